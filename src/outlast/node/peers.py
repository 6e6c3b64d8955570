"""How the other members of a service are, asked from their agents while one of our own is sick."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from outlast.node.serve import fetch
from outlast.node.view import Others
from outlast.spec import snapshot as snapshots
from outlast.spec.bundle import Bundle, Peer
from outlast.spec.snapshot import Snapshot

LOOK = 0.5
"""Seconds between two questions to all."""

FRESH = 3.0
"""Seconds after which an answer counts no more."""


class Peers:
    """One per agent; asks nobody while nobody wants to know."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.heard: dict[str, tuple[float, Snapshot]] = {}
        self.looking: asyncio.Task[None] | None = None
        self.looked_at = 0.0
        self.majority: dict[str, float] = {}

    def others(self, service: str) -> Others:
        """What is known now; the next question goes out when it is due."""
        if self.looking is None and time.monotonic() - self.looked_at >= LOOK:
            self.looking = asyncio.create_task(self._look())
        of = [peer.node for peer in self.bundle.peers if service in peer.services]
        found = Others(sum(self._well(node, service) for node in of), len(of))
        if not found.majority:
            self.majority.pop(service, None)
            return found
        return replace(found, since=self.majority.setdefault(service, time.monotonic()))

    def _well(self, node: str, service: str) -> bool:
        at, said = self.heard.get(node, (0.0, None))
        if said is None or time.monotonic() - at > FRESH:
            return False
        return any(state.service == service and state.health.status == "ok" for state in said.members)

    async def _look(self) -> None:
        try:
            await asyncio.gather(*(self._hear(peer) for peer in self.bundle.peers))
        finally:
            self.looked_at = time.monotonic()
            self.looking = None

    async def _hear(self, peer: Peer) -> None:
        if said := await hear(self.bundle, peer):
            self.heard[peer.node] = (time.monotonic() - said.age, said)


async def hear(bundle: Bundle, peer: Peer) -> Snapshot | None:
    """What a peer's agent says of its node; None where it says nothing within a second, or is of another cluster."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(peer.address, bundle.agent_port)
            said = snapshots.decode(await fetch(reader, writer, "/snapshot"))
    except (OSError, ValueError):
        return None
    return said if said.cluster == bundle.cluster else None
