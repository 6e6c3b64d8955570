"""Requests that a program leaves unread: a hang shows there long before the next question of ours is due.

For programs that hold nothing anybody would miss. While one hangs, every client waits for it up to a time-out of its
own, so it is asked at once when what a client sent is still there at the next look; who answers is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from outlast.node import sock_diag
from outlast.spec.bundle import BundleMember
from outlast.spec.probe import Probe

LOOK, AGAIN = 0.25, 0.05
"""Seconds between two looks, and to the next one where something was unread. A look costs 0.8 ms of processor time."""
REST = 5.0
"""Seconds without looks where the kernel does not list connections."""


class Unread:
    """One per agent. `hasten`: ask this question now."""

    def __init__(self, hasten: Callable[[Probe], None]) -> None:
        self._hasten = hasten
        self._probes: tuple[Probe, ...] = ()
        self._before: dict[int, frozenset[bytes]] = {}

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Look at the programs of these members that may be killed lightly."""
        self._probes = tuple(
            probe
            for member in members
            for probe in member.probes
            if probe.port and any(one.disposable and one.name == probe.program for one in member.programs)
        )

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            try:
                pause = AGAIN if self.turn() else LOOK
            except OSError:
                pause = REST
            await asyncio.sleep(pause)

    def turn(self) -> bool:
        """One look; whether something was unread. Raises OSError where the kernel does not tell."""
        waiting: dict[int, frozenset[bytes]] = {}
        for probe in self._probes:
            now = waiting[probe.port] = unread(probe.port)
            if now & self._before.get(probe.port, frozenset()):
                self._hasten(probe)
        self._before = waiting
        return any(waiting.values())


def unread(port: int) -> frozenset[bytes]:
    """Connections to a local port whose next request waits there. Raises OSError where the kernel does not tell."""
    with sock_diag.opened(0.2) as link:
        return frozenset(one.name for one in sock_diag.connections(link, sock_diag.ESTABLISHED, port) if one.unread)


def waits(probes: Iterable[Probe], program: str) -> bool:
    """Whether a request for this program waits on a port that it is asked at; False where the kernel does not tell."""
    try:
        return any(unread(probe.port) for probe in probes if probe.port and probe.program == program)
    except OSError:
        return False
