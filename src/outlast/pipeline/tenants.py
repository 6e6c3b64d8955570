"""The tenants of a drill: a server that is reached from outside, and another, elsewhere, that streams to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from outlast.drill.console_stream import ConsoleStream
from outlast.drill.faults.hands import Hands
from outlast.errors import InputError, MachineError, OutlastError
from outlast.pipeline.demo import DRILLS, demo
from outlast.pipeline.target import Target

FIRST, SECOND = DRILLS
"""The first: the server that every drill's tenant streams go to; made once, and left for the next drill.
The second: one that streams to it, on another compute node, and only while drills run: its packets cost time."""
BETWEEN = "between"
"""Name of the stream from the second to the first."""
_CONSOLE = "/var/lib/nova/instances/{id}/console.log"
_BOOT_SECONDS = 60.0


def first(target: Target) -> Mapping[str, Any]:
    """The tenant server with its floating address (made where it is not there yet), and ids to make others like it."""
    told: dict[str, object] = {}
    try:
        asyncio.run(demo(target, told.update, server=FIRST))
    except OutlastError:
        # A cluster that has just come up may be slow; what cannot be made in two tries is a finding.
        asyncio.run(demo(target, told.update, server=FIRST))
    return {"address": told["address"], "server": told["ids"]}


def between(target: Target, hands: Hands) -> ConsoleStream:
    """The stream between two servers, which has begun. Raises InputError drill.no-second-tenant where there is only one
    compute node, MachineError where the server or its stream does not come."""
    told: dict[str, object] = {}
    asyncio.run(demo(target, told.update, action="second", server=FIRST, second=SECOND))
    if "id" not in told:
        raise InputError("drill.no-second-tenant", f"two compute nodes are needed: {told['sentence']}")
    stream = ConsoleStream(BETWEEN, hands, str(told["host"]), _CONSOLE.format(id=told["id"]))
    if not stream.speaks(_BOOT_SECONDS):
        # Whatever is wrong with this one: the next drill makes another.
        forget(target, SECOND, lambda sentence: None)
        raise MachineError("drill.tenant", f"{SECOND} on {told['host']} got no answer from {FIRST} on {told['to']}")
    return stream


def forget(target: Target, server: str, tell: Callable[[str], None]) -> None:
    """Removes a server with its port and floating address; what cannot be removed is told."""
    try:
        asyncio.run(demo(target, lambda told: None, action="forget", server=server))
    except OutlastError as error:
        tell(f"{server} could not be removed: {error.message}")
