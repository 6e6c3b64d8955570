"""Servers: a create counts when the server is ACTIVE, a delete when it is gone."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import msgspec

from outlast.drill.instrument.api import API, at
from outlast.drill.instrument.task import Reply, Task, Trace
from outlast.drill.instrument.web import Answer, Web, broken

POLL = 0.5
ONE_POLL = 5.0
"""Seconds for one look; a look that fails is no failure of the server."""

_CALLS = API["nova-servers"]


class Servers:
    def __init__(self, web: Web) -> None:
        self._web = web

    async def send(self, task: Task, trace: Trace) -> Reply:
        names = self._web.names(task.key, task.ref)
        try:
            answer = await self._web.ask(task.service, _CALLS[task.kind], names, task.fresh, trace)
        except aiohttp.InvalidURL:
            raise
        except (aiohttp.ClientError, OSError) as error:
            return broken(error, trace)
        if answer.reply.outcome != "ok":
            return answer.reply
        trace.accepted = time.monotonic()
        if task.kind == "delete":
            return await self._gone(task)
        trace.value = answer.reply.value
        return await self._active(task.key, trace.value)

    async def _active(self, key: str, ref: str) -> Reply:
        while True:
            answer = await self._look(key, ref)
            state = _state(answer)
            if state == "ACTIVE" and answer is not None:
                return Reply(answer.reply.outcome, answer.reply.detail, ref)
            if state == "ERROR":
                return Reply("failed", "server in ERROR", ref)
            await asyncio.sleep(POLL)

    async def _gone(self, task: Task) -> Reply:
        while True:
            answer = await self._look(task.key, task.ref)
            if answer is not None and answer.status == 404:
                return Reply("ok")
            await asyncio.sleep(POLL)

    async def _look(self, key: str, ref: str) -> Answer | None:
        try:
            async with asyncio.timeout(ONE_POLL):
                return await self._web.ask("nova", _CALLS["read"], self._web.names(key, ref), True, Trace())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None


def _state(answer: Answer | None) -> str:
    """The server's state, "" where nothing is known."""
    if answer is None or answer.status != 200:
        return ""
    try:
        return str(at(msgspec.json.decode(answer.body), "server.status"))
    except msgspec.MsgspecError:
        return ""
