"""`outlast events`: what agents and guards decided and did, from all nodes, in time order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from outlast.errors import InputError
from outlast.observe.collect import events
from outlast.pipeline.target import Target
from outlast.record.events import Event

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Wanted:
    """Which events. `code`: how it begins; "" matches all. `since`, `until`: wall time, both included; until 0: now.

    `service` "agent": the agents' own, which belong to none.
    """

    node: str = ""
    service: str = ""
    code: str = ""
    since: float = 0.0
    until: float = 0.0

    def matches(self, event: Event) -> bool:
        return (
            (not self.node or event.node == self.node)
            and (not self.service or (event.service or "agent") == self.service)
            and event.code.startswith(self.code)
            and event.at >= self.since
            and (not self.until or event.at <= self.until)
        )


@dataclass(frozen=True)
class Found:
    """Events in time order, and the nodes that did not answer."""

    events: tuple[Event, ...]
    silent: tuple[str, ...]


async def find(target: Target, wanted: Wanted) -> Found:
    """Asks all nodes, or the one wanted. Raises InputError for a node or service that is not in the cluster."""
    _check(target, wanted)
    async with target.reached() as all_nodes:
        connectors = {name: item for name, item in all_nodes.items() if wanted.node in ("", name)}
        asked = (events(item, since=wanted.since) for item in connectors.values())
        said = await asyncio.gather(*asked, return_exceptions=True)
    silent = tuple(name for name, item in zip(connectors, said, strict=True) if isinstance(item, BaseException))
    flat = [event for item in said if not isinstance(item, BaseException) for event in item]
    return Found(select(flat, wanted), silent)


def select(found: Iterable[Event], wanted: Wanted) -> tuple[Event, ...]:
    """Those wanted, in time order; what one node wrote at one moment stays in its order."""
    return tuple(sorted(filter(wanted.matches, found), key=lambda event: event.at))


def _check(target: Target, wanted: Wanted) -> None:
    if wanted.node and wanted.node not in target.plan.node_by_name:
        known = ", ".join(node.name for node in target.plan.nodes)
        raise InputError("node.unknown", f"no node {wanted.node}; there are {known}")
    if wanted.service not in ("", "agent", *target.plan.specs):
        known = ", ".join(target.plan.specs)
        raise InputError("events.service", f"no service {wanted.service}; there are agent, {known}")


def moment(text: str, now: float) -> float:
    """ "10m" (ago), "2h", or a time in ISO form (local unless it says otherwise) as wall time in seconds; "" is 0.

    Raises InputError for anything else.
    """
    if not text:
        return 0.0
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip()):
        return now - float(ago[1]) * UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except ValueError:
        raise InputError(
            "events.time", f"{text!r} is no time; say how long ago (90s, 10m, 2h, 1d) or when (2026-02-03T12:30)"
        ) from None
