"""Puts a program last in line that turns in a loop while it has nobody to talk to.

OVN's controller (25.03) that has lost its southbound database wants to compute anew at once, cannot without one, and
tries again without a pause: three quarters of a core, ahead of nearly everything else on its node (decision 0035).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from outlast.node.answers import Bad
from outlast.node.ask_daemon import unixctl
from outlast.node.pulse import PROC
from outlast.spec.bundle import BundleMember
from outlast.spec.probe import Probe

TURNS = "turns"
"""Fact of a member: folder and name of the program's control socket and pid file, without their endings."""
LOOK = 1.0
"""Seconds between two looks."""
SHARE = 0.4
"""Of a processor, from one look to the next: more than a controller needs to follow changes of its database."""
LAST = 19
"""Niceness of who is last in line."""
PATIENCE = 1.0
"""Seconds for an answer on the control socket."""

Tell = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Look:
    """Of one process at one moment: seconds of the monotonic clock, of processor time that it used, its niceness."""

    pid: int
    at: float
    ran: float
    nice: int = 0


def suspicious(before: Look | None, now: Look) -> bool:
    """Whether it used so much since the last look that its connection is to be asked for."""
    if before is None or before.pid != now.pid or now.at <= before.at:
        return False
    return now.ran - before.ran >= SHARE * (now.at - before.at)


class Turning:
    """One per agent. `tell(service, code, sentence)` for every change."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._stem = self._service = ""
        self._nice = 0
        self._before: Look | None = None

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Of a node without such a program nothing is watched."""
        self._stem = ""
        for member in members:
            if stem := dict(member.facts).get(TURNS, ""):
                name = Path(stem).name
                self._stem, self._service = stem, member.service
                self._nice = next((one.nice for one in member.programs if one.name == name), 0)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self.turn(time.monotonic())
            await asyncio.sleep(LOOK)

    async def turn(self, at: float) -> None:
        """One look, and what follows from it."""
        now = look(self._stem, at) if self._stem else None
        before, self._before = self._before, now
        if now is None:
            return
        # It says itself that it is last: an earlier agent may have put it there.
        last = now.nice == LAST
        if not last and not suspicious(before, now):
            return
        found = await connected(f"{self._stem}.ctl")
        if found is last:
            self._put(now.pid, not last)

    def _put(self, pid: int, last: bool) -> None:
        renice(pid, LAST if last else self._nice)
        name = Path(self._stem).name
        if last:
            self._tell(self._service, "program.turns", f"{name} turns in a loop without its database: last in line now")
        else:
            self._tell(self._service, "program.turned", f"{name} has its database again: in line as before")


def look(stem: str, at: float) -> Look | None:
    """None where the program does not run."""
    try:
        pid = int(Path(f"{stem}.pid").read_text(encoding="ascii"))
        ran = int((PROC / str(pid) / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
        return Look(pid, at, ran, os.getpriority(os.PRIO_PROCESS, pid))
    except (OSError, ValueError, IndexError):
        return None


async def connected(path: str) -> bool | None:
    """Whether it has its database, by its own word; None where it gives none."""
    with suppress(OSError, Bad, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            return await unixctl(Probe("unixctl", path=path, argv=("connection-status",))) == "connected"
    return None


def renice(pid: int, nice: int) -> None:
    """All threads of a process; one that ended meanwhile is no error."""
    for task in (PROC / str(pid) / "task").glob("*"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(task.name), nice)
