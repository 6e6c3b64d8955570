"""Whether a program that does not answer is at work, or kept from it: processor time it used or waited for, from /proc.

/proc/PID/task/*/schedstat: nanoseconds on a processor, nanoseconds of waiting for one, number of slices (Linux,
Documentation/scheduler/sched-stats.rst).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from outlast.node.pulse import PROC, group

SHARE = 0.2
"""Share of the time in which one of its threads ran or wanted to: above it the program is at work."""

IDLE, BUSY, STARVED = "idle", "busy", "starved"
"""Does nothing; computes; would compute, but waits for a processor more than it has one."""


def work(leader: int) -> tuple[float, float]:
    """Seconds that all threads of a program ran, and waited for a processor, since they were started."""
    ran = waited = 0
    for pid in group(leader):
        for path in (PROC / str(pid) / "task").glob("*/schedstat"):
            with suppress(OSError, ValueError):
                words = path.read_text().split()
                ran, waited = ran + int(words[0]), waited + int(words[1])
    return ran / 1e9, waited / 1e9


def runnable(leader: int) -> bool:
    """Whether a thread of the program has a processor, or would have one: the wait that still lasts is in no count."""
    for pid in group(leader):
        for path in (PROC / str(pid) / "task").glob("*/stat"):
            with suppress(OSError, IndexError):
                if path.read_text().rpartition(") ")[2][0] == "R":
                    return True
    return False


class Strain:
    """Looks at sick programs only; remembers where each began."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, float, float, float]] = {}

    def look(self, pids: Mapping[str, int]) -> dict[str, str]:
        """IDLE, BUSY or STARVED for each of these programs (with its main process), since it was first asked about."""
        self._first = {name: seen for name, seen in self._first.items() if pids.get(name) == seen[0]}
        return {name: self._judge(name, pid) for name, pid in pids.items() if pid}

    def _judge(self, name: str, pid: int) -> str:
        now, (ran, waited) = time.monotonic(), work(pid)
        _, begun, ran_before, waited_before = self._first.setdefault(name, (pid, now, ran, waited))
        ran, waited, took = ran - ran_before, waited - waited_before, now - begun
        # In less than half a second little is counted. Nobody is due so soon but who may be killed lightly.
        if took < 0.5:
            return STARVED if runnable(pid) else IDLE
        if ran + waited < SHARE * took:
            return IDLE
        return STARVED if waited > ran else BUSY
