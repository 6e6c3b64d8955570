"""Whether a program that does not answer is at work: processor time it used or waited for, from /proc.

/proc/PID/task/*/schedstat: nanoseconds on a processor, nanoseconds of waiting for one, number of slices (Linux,
Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SHARE = 0.2
"""Share of the time in which one of its threads ran or wanted to: above it the program is busy."""


def group(leader: int) -> tuple[int, ...]:
    """Processes of a program: supervisord gives each a process group of its own, named by its main process."""
    found = []
    for path in PROC.glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            if int(path.read_text().rsplit(")", 1)[1].split()[2]) == leader:
                found.append(int(path.parent.name))
    return tuple(found)


def work(leader: int) -> float:
    """Seconds that all threads of a program ran or waited for a processor, since they were started."""
    total = 0
    for pid in group(leader):
        for path in PROC.glob(f"{pid}/task/*/schedstat"):
            with suppress(OSError, ValueError):
                ran, waited, _ = path.read_text().split()
                total += int(ran) + int(waited)
    return total / 1e9


class Strain:
    """Looks at sick programs only; remembers where each began."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, float, float]] = {}

    def busy(self, pids: Mapping[str, int]) -> frozenset[str]:
        """Which of these programs (by name, with their main process) were busy since they were first asked about."""
        self._first = {name: seen for name, seen in self._first.items() if pids.get(name) == seen[0]}
        return frozenset(name for name, pid in pids.items() if pid and self._share(name, pid) > SHARE)

    def _share(self, name: str, pid: int) -> float:
        now, done = time.monotonic(), work(pid)
        _, begun, before = self._first.setdefault(name, (pid, now, done))
        # Of less than half a second nothing can be said; who has only just begun to be silent is not due yet either.
        return (done - before) / (now - begun) if now - begun > 0.5 else 0.0
