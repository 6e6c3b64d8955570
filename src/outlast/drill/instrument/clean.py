"""Removes everything whose name begins with the order's prefix, by the same requests that the load sends."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec

from outlast.drill.instrument.api import API, NO_CONTAINER, Call, at, listing, trait
from outlast.drill.instrument.mix import MIX
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.task import Tell, Trace
from outlast.drill.instrument.web import Answer, Web, api_workloads


async def clean(order: Order, web: Web, tell: Tell) -> int:
    """How many things were removed. What could not be listed or removed is told; the rest goes on."""
    cleaner = _Cleaner(order, web, tell)
    removed = 0
    for workload in api_workloads(order):
        if "delete" in API[workload]:
            removed += await cleaner.remove(workload)
    if "swift-objects" in order.workloads:
        await cleaner.ask("swift-objects", NO_CONTAINER)
    return removed


class _Cleaner:
    def __init__(self, order: Order, web: Web, tell: Tell) -> None:
        self._order = order
        self._web = web
        self._tell = tell

    async def remove(self, workload: str) -> int:
        calls = API[workload]
        answer = await self.ask(workload, calls["list"])
        removed = 0
        for key, ref in things(calls["list"], answer.body, self._order.prefix) if answer else ():
            removed += await self.ask(workload, calls["delete"], key, ref) is not None
        return removed

    async def ask(self, workload: str, call: Call, key: str = "", ref: str = "") -> Answer | None:
        """The answer when it is good; None where there is nothing any more, or where it was told that it is bad."""
        try:
            async with asyncio.timeout(self._order.deadline):
                answer = await self._web.ask(MIX[workload].service, call, self._web.names(key, ref), True, Trace())
        except (aiohttp.ClientError, OSError) as error:
            self._tell(f"{workload}: {call.method} {key}: {type(error).__name__}")
            return None
        if answer.status == 404:
            return None
        if answer.reply.outcome != "ok":
            self._tell(f"{workload}: {call.method} {key}: {answer.reply.detail}")
            return None
        return answer


def things(call: Call, body: bytes, prefix: str) -> list[tuple[str, str]]:
    """Name and id of what is ours in an answer to a list; where entries have no id, the name is it."""
    answer = msgspec.json.decode(body)
    names = listing(call, answer) or []
    entries = (at(answer, call.listed[0]) if call.listed[0] else answer) or []
    pairs = zip(names, entries, strict=True)
    ours = (f"{prefix}-", trait(prefix))
    return [(name, str(at(entry, "id") or name)) for name, entry in pairs if name.startswith(ours)]
