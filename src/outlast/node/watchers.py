"""What the agent watches beside its cycle, each in a task of its own: what the kernel tells needs no question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from outlast.node.diverged import Replicas
from outlast.node.marked_down import MarkedDown
from outlast.node.taps import Taps
from outlast.node.turning import Turning
from outlast.node.unread import Unread
from outlast.node.uplink import Uplink
from outlast.node.vanished import Vanished
from outlast.spec.bundle import Bundle
from outlast.spec.probe import Probe

AGAIN = 5.0
"""Seconds after which a watcher that failed begins anew."""

Tell = Callable[[str, str, str], None]


class Watchers:
    """`tell(service, code, sentence)` makes an event; `hasten` asks a question now.

    `primary()`: whether this node's database member is in a primary component.
    """

    def __init__(self, tell: Tell, hasten: Callable[[Probe], None], primary: Callable[[], bool]) -> None:
        self._tell = tell
        self.uplink, self.unread, self.marked_down = Uplink(tell), Unread(hasten), MarkedDown(tell)
        self.vanished = Vanished(tell, self.marked_down.vanished, primary)
        self.turning, self.replicas, self.taps = Turning(tell), Replicas(tell), Taps(tell)

    def start(self) -> set[asyncio.Task[None]]:
        """Their tasks; they run until they are cancelled."""
        found = {
            "uplink": self.uplink.watch,
            "unread": self.unread.watch,
            "vanished": self.vanished.watch,
            "secluded": self.vanished.secluded.watch,
            "kept out": self.vanished.kept_out.watch,
            "turning": self.turning.watch,
            "replicas": self.replicas.watch,
            "taps": self.taps.watch,
        }
        return {asyncio.create_task(kept(name, watch, self._tell)) for name, watch in found.items()}

    def adopt(self, bundle: Bundle) -> None:
        """Go by a new bundle."""
        self.uplink.adopt(bundle.members)
        self.unread.adopt(bundle.members)
        self.turning.adopt(bundle.members)
        # A bundle without a watch is one without repairs.
        repaired = bundle.members if bundle.repair_after else ()
        self.replicas.adopt(repaired)
        self.taps.adopt(repaired)
        self.marked_down.adopt(repaired)
        self.vanished.adopt(bundle.watch)


async def kept(name: str, watch: Callable[[], Awaitable[None]], tell: Tell) -> None:
    """Begin a watcher again whenever it fails, and say so: nobody would miss it before it is needed."""
    while True:
        try:
            await watch()
        except Exception as error:
            tell("", "watch.failed", f"{name}: {type(error).__name__}: {error}; begins again in {AGAIN:g} s")
        await asyncio.sleep(AGAIN)
