"""Ends this node's connections to a node that has vanished, for clients that choose among members by themselves.

Who has lost power resets nothing. A client of its broker, its cache or its OVN database waits until a heartbeat or the
kernel gives up (5 s and more), and asks it again when its turn comes. The kernels of these nodes are asked all the
time (ICMP echo); one that was heard and is silent for 0.6 s, while another one answers, has its connections reset
here, and all new ones for as long as it stays silent: their clients go to the next member at once. So have those
that its own clients made to members here: what they had not acknowledged goes to others.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

from outlast.node import sock_diag
from outlast.node.guard.echo import Echo
from outlast.node.kept_out import KeptOut
from outlast.node.secluded import Secluded
from outlast.node.standing import ROUND, SILENT, Standing, advance
from outlast.spec.bundle import Watch


class Vanished:
    """One per agent. `tell(service, code, sentence)` and `also(name, address)` once for each absence.

    `primary()`: whether this node's database member is in a primary component.
    """

    def __init__(
        self,
        tell: Callable[[str, str, str], None],
        also: Callable[[str, str], None],
        primary: Callable[[], bool],
    ) -> None:
        self._tell, self._also = tell, also
        self._watch: Watch | None = None
        self._echo: Echo | None = None
        self.standing = Standing()
        self.secluded, self.kept_out = Secluded(tell), KeptOut(tell, primary)

    def adopt(self, watch: Watch | None) -> None:
        """None: nobody is watched, and nothing is ended."""
        if watch == self._watch:
            return
        if self._echo:
            self._echo.close()
        self._watch, self.standing = watch, Standing()
        self.secluded.adopt(watch)
        self.kept_out.adopt(watch)
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
        if not self._echo.trouble:
            self.secluded.turn(self.standing)
            self.kept_out.turn(self.standing.gone)
        self.standing = replace(self.standing, asked=self.standing.asked + 1)
        self._echo.ask(self.standing.asked)

    def _end(self, name: str, address: str, first: bool) -> None:
        ports = self._watch.ports if self._watch else ()
        try:
            count = end(address, ports)
        except OSError as error:
            words = f"connections to it cannot be ended: {error}"
        else:
            words = f"connections with its members are ended ({count}), and new ones, until it answers"
        if first:
            self._also(name, address)
            self._tell("", "peer.vanished", f"{name} has not answered for {SILENT * ROUND:g} s, others do: {words}")


def end(address: str, ports: tuple[int, ...]) -> int:
    """Reset what this node has with an address, at these ports of either end; how many. Raises OSError as sock_diag."""
    there = socket.inet_aton(address)
    with sock_diag.opened(0.5) as link:
        alive = [one.name for one in sock_diag.connections(link, sock_diag.ALIVE)]
        names = [name for name in alive if sock_diag.remote(name) == there and {*sock_diag.ports(name)} & {*ports}]
        for name in names:
            sock_diag.reset(link, name)
    return len(names)
