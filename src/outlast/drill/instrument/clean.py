"""Removes everything whose name begins with the order's prefix, by the same requests that the load sends."""

from __future__ import annotations

import msgspec

from outlast.drill.instrument.api import API, NO_CONTAINER, Call, at, listing, trait
from outlast.drill.instrument.mix import MIX
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.task import Tell, Trace
from outlast.drill.instrument.web import Web, api_workloads


async def clean(order: Order, web: Web, tell: Tell) -> int:
    """How many things were removed. What could not be listed or removed is told; the rest goes on."""
    removed = 0
    for workload in api_workloads(order):
        if "delete" in API[workload]:
            removed += await _clean(order, workload, web, tell)
    if "swift-objects" in order.workloads:
        await web.ask("swift", NO_CONTAINER, web.names(), True, Trace())
    return removed


async def _clean(order: Order, workload: str, web: Web, tell: Tell) -> int:
    service, calls = MIX[workload].service, API[workload]
    answer = await web.ask(service, calls["list"], web.names(), True, Trace())
    if answer.reply.outcome != "ok":
        if answer.status != 404:  # a container that was never made
            tell(f"{workload}: not listed: {answer.reply.detail}")
        return 0
    removed = 0
    for key, ref in things(calls["list"], answer.body, order.prefix):
        gone = await web.ask(service, calls["delete"], web.names(key, ref), True, Trace())
        if gone.status == 404 or gone.reply.outcome == "ok":
            removed += 1
        else:
            tell(f"{workload}: {key} not removed: {gone.reply.detail}")
    return removed


def things(call: Call, body: bytes, prefix: str) -> list[tuple[str, str]]:
    """Name and id of what is ours in an answer to a list; where entries have no id, the name is it."""
    answer = msgspec.json.decode(body)
    names = listing(call, answer) or []
    entries = (at(answer, call.listed[0]) if call.listed[0] else answer) or []
    pairs = zip(names, entries, strict=True)
    ours = (f"{prefix}-", trait(prefix))
    return [(name, str(at(entry, "id") or name)) for name, entry in pairs if name.startswith(ours)]
