"""Whether a program runs at all, by the kernel's count of the times that its threads got a processor.

Weaker than a round trip: it tells a stopped or dead-locked program from a living one, not a right one from a wrong one.
For programs that wake by themselves and that nobody can ask. The count is the third figure of
/proc/PID/task/*/schedstat (Linux, Documentation/scheduler/sched-stats.rst); reading it wakes nobody.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from outlast.node.answers import Bad
from outlast.spec.probe import Probe
from outlast.spec.snapshot import ProgramState

PROC = Path("/proc")
FIRST_LOOK, MOST_BETWEEN = 0.3, 1.0
"""Seconds to the second look, doubled up to the most between two."""


async def wakes(probe: Probe, program: ProgramState | None) -> str:
    """Waits until the program has run, at most the probe's time-out. Raises Bad when it has not, or is not there."""
    if program is None or not program.pid:
        raise Bad("it has no process")
    begun = time.monotonic()
    pids = (program.pid,) if probe.path == "main" else tuple(group(program.pid))
    before, pause = turns(pids), FIRST_LOOK
    while (left := probe.timeout - (time.monotonic() - begun)) > 0:
        await asyncio.sleep(min(pause, left))
        # A process that ended takes its count with it: any other sum is a sign of life.
        if turns(pids) != before:
            return f"ran within {time.monotonic() - begun:.1f} s"
        pause = min(2 * pause, MOST_BETWEEN)
    raise Bad(f"did not run for {probe.timeout:g} s")


def turns(pids: Iterable[int]) -> int:
    """How often the threads of these processes were given a processor; processes that are gone count nothing."""
    total = 0
    for pid in pids:
        for path in (PROC / str(pid) / "task").glob("*/schedstat"):
            with suppress(OSError, ValueError, IndexError):
                total += int(path.read_text().split()[2])
    return total


def group(leader: int) -> list[int]:
    """Processes of a program: supervisord gives each a process group of its own, named by its main process."""
    found = []
    # Not by Path: this is asked often on busy nodes, and it costs a third of it.
    for name in filter(str.isdigit, os.listdir(PROC)):
        with suppress(OSError):
            if os.getpgid(int(name)) == leader:
                found.append(int(name))
    return found
