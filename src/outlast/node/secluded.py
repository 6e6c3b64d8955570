"""Turns away who calls a member that is cut off from the others, and cannot carry out what it takes.

RabbitMQ with Khepri goes on taking connections without a majority (4.0 pauses no minority any more, whatever its
configuration says): publishers wait ten seconds for each message, consumers wait for messages that come to the others.
And a member that is back takes itself for the leader of its queues for a moment: what is published to it then is lost
on the way and waited for, ten seconds again. Its clients know the other members, and go there if they are told to.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from outlast.node import sock_diag
from outlast.node.deaf import deafen
from outlast.node.standing import ROUND, SILENT, Standing
from outlast.spec.bundle import Watch

STEADY = 20
"""Rounds in a row with a majority after which clients are taken again: 3 s. Brokers look for each other once a second,
and a leader that was replaced meanwhile hears of it with the first word from the new one."""
PACE, PACE_HEARING = 0.1, 0.015
"""Seconds between two looks for new connections meanwhile. The member is made deaf (node/deaf.py): whoever comes has
said nothing yet and is free to ask another one. Where that cannot be, the looks have to be quicker than a client's
first message; each takes the kernel a millisecond with thousands of sockets."""
LEASE, RENEWED = 2.0, 0.7
"""Seconds for which it is deaf without another word, and after which that is said again."""


@dataclass(frozen=True)
class Seclusion:
    """Whether a majority was ever heard, whether this member is cut off from it, and rounds in a row that it is not."""

    armed: bool = False
    cut: bool = False
    steady: int = 0


def judge(seclusion: Seclusion, standing: Standing, voters: tuple[str, ...]) -> Seclusion:
    """After one more round. `voters` are the other members; a majority is of all of them and this one."""
    near = sum(standing.asked - standing.heard[name] < SILENT for name in voters if name in standing.heard)
    if 2 * (near + 1) > len(voters) + 1:
        steady = seclusion.steady + 1
        return Seclusion(armed=True, cut=seclusion.cut and steady < STEADY, steady=steady)
    return replace(seclusion, cut=seclusion.armed, steady=0)


class Secluded:
    """One per agent. `tell(service, code, sentence)` when a seclusion begins and when it ends."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._watch: Watch | None = None
        self.seclusion = Seclusion()
        self._begun = asyncio.Event()

    def adopt(self, watch: Watch | None) -> None:
        """A node without such a member turns nobody away."""
        self._watch, self.seclusion = watch, Seclusion()

    async def watch(self) -> None:
        """Turn away who comes while the member is cut off. Until cancelled."""
        while True:
            await self._begun.wait()
            watch = self._watch
            if watch and self.seclusion.cut:
                await self._seclude(watch)
            self._begun.clear()

    async def _seclude(self, watch: Watch) -> None:
        told, due = "", 0.0
        while self._watch == watch and self.seclusion.cut:
            if time.monotonic() >= due:
                told, due = await _deafened(watch, LEASE), time.monotonic() + RENEWED
            with suppress(OSError):
                turn_away(watch.address, watch.shared)
            await asyncio.sleep(PACE_HEARING if told else PACE)
        told = told or await _deafened(watch, 0.0)
        if told:
            self._tell("", "member.hearing", f"members could not be made deaf while they were cut off: {told}")

    def turn(self, standing: Standing) -> None:
        """Judge what was heard, and turn away who is connected when a seclusion begins."""
        watch = self._watch
        if watch is None or not watch.voters:
            return
        before, self.seclusion = self.seclusion, judge(self.seclusion, standing, watch.voters)
        if self.seclusion.cut and not before.cut:
            self._turn_away(watch, standing)
            self._begun.set()
        elif before.cut and not self.seclusion.cut:
            self._tell("", "member.joined", f"a majority answers for {STEADY * ROUND:g} s: clients are taken again")

    def _turn_away(self, watch: Watch, standing: Standing) -> None:
        try:
            count = turn_away(watch.address, watch.shared)
        except OSError as error:
            words = f"clients cannot be turned away: {error}"
        else:
            words = f"clients from elsewhere are turned away ({count}), and new ones, until one is heard"
        silent = ", ".join(name for name in watch.voters if standing.asked - standing.heard.get(name, 0) >= SILENT)
        ports = ", ".join(map(str, watch.shared))
        sentence = f"no majority of the members of port {ports} answers ({silent} silent for {SILENT * ROUND:g} s)"
        self._tell("", "member.secluded", f"{sentence}: {words}")


async def _deafened(watch: Watch, seconds: float) -> str:
    """Why not; nothing where it was done. In a thread: it looks through all processes."""
    try:
        for port in watch.shared:
            await asyncio.to_thread(deafen, watch.address, port, seconds)
    except OSError as error:
        return str(error)
    return ""


def turn_away(address: str, ports: tuple[int, ...]) -> int:
    """Reset what others have with these ports of this node's address; how many there were. Raises OSError as sock_diag.

    What comes from this address itself stays: the agent's own questions, and clients that have nowhere to go.
    """
    own = socket.inet_aton(address)
    count = 0
    with sock_diag.opened(0.5) as link:
        for port in ports:
            for one in list(sock_diag.connections(link, sock_diag.ALIVE, port)):
                if sock_diag.local(one.name) == own and sock_diag.remote(one.name) != own:
                    sock_diag.reset(link, one.name)
                    count += 1
    return count
