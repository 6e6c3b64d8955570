"""Ends this node's connections to a node that has vanished, for clients that choose among members by themselves.

Who has lost power resets nothing. A client of its broker, its cache or its OVN database waits until a heartbeat or the
kernel gives up (5 s and more), and asks it again when its turn comes. The kernels of these nodes are asked four times
a second (ICMP echo); one that was heard and is silent for a second, while another one answers, has its connections
reset here, and all new ones for as long as it stays silent: their clients go to the next member at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from outlast.node import sock_diag
from outlast.node.guard.echo import Echo
from outlast.spec.bundle import Watch

ROUND = 0.25
"""Seconds between two questions."""
SILENT = 4
"""Rounds without an answer after which a node has vanished: a second, as for a node that judges itself cut off."""
NEAR = 2
"""Rounds within which somebody else must have answered: else it is this node that is cut off."""


@dataclass(frozen=True)
class Standing:
    """Rounds asked, the latest round that each node answered, and who has vanished."""

    asked: int = 0
    heard: Mapping[str, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


def advance(standing: Standing, answered: Mapping[str, int]) -> Standing:
    """After one more round. Who was never heard has not vanished; an answer brings a node back."""
    heard = {**standing.heard, **answered}
    silent = {name for name, last in heard.items() if standing.asked - last >= SILENT}
    near = any(standing.asked - last < NEAR for last in heard.values())
    gone = silent if near else silent & standing.gone
    return replace(standing, heard=heard, gone=frozenset(gone))


class Vanished:
    """One per agent. `tell(service, code, sentence)` once for each absence."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._watch: Watch | None = None
        self._echo: Echo | None = None
        self.standing = Standing()

    def adopt(self, watch: Watch | None) -> None:
        """None: nobody is watched, and nothing is ended."""
        if watch == self._watch:
            return
        if self._echo:
            self._echo.close()
        self._watch, self.standing = watch, Standing()
        self._echo = Echo(watch.interface, watch.address, dict(watch.peers)) if watch else None

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(ROUND)

    def turn(self) -> None:
        """Judge the last round, and ask the next. An answer that came late, or that was read late, still counts."""
        if not self._echo or not self._watch:
            return
        before = self.standing
        standing = advance(before, self._echo.answers())
        # What could not be asked has no answer, and that says nothing of anybody.
        self.standing = before if self._echo.trouble else standing
        for name, address in self._watch.peers:
            if name in self.standing.gone:
                self._end(name, address, first=name not in before.gone)
        self.standing = replace(self.standing, asked=self.standing.asked + 1)
        self._echo.ask(self.standing.asked)

    def _end(self, name: str, address: str, first: bool) -> None:
        ports = self._watch.ports if self._watch else ()
        try:
            count = end(address, ports)
        except OSError as error:
            words = f"connections to it cannot be ended: {error}"
        else:
            words = f"connections to its members are ended ({count}), and new ones, until it answers"
        if first:
            self._tell("", "peer.vanished", f"{name} has not answered for {SILENT * ROUND:g} s, others do: {words}")


def end(address: str, ports: tuple[int, ...]) -> int:
    """Reset what this node has with these ports of an address; how many there were. Raises OSError as sock_diag."""
    there = {(socket.inet_aton(address), port) for port in ports}
    with sock_diag.opened(0.5) as link:
        alive = sock_diag.connections(link, sock_diag.ALIVE)
        names = [one.name for one in alive if sock_diag.remote(one.name) in there]
        for name in names:
            sock_diag.reset(link, name)
    return len(names)
