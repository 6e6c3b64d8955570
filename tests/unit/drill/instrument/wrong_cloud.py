"""A small Keystone on the loopback interface that misbehaves on purpose, one way per project name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from outlast.drill.instrument.order import Order

Way = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _reset(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


class WrongCloud:
    """`way` says what the next answers are like; `seen` holds method and path of all that arrived, logins left out."""

    def __init__(self) -> None:
        self.way = "good"
        self.seen: list[str] = []
        self.logins = 0
        self.history: Path | None = None
        self.in_history: list[bool] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WrongCloud]:
        app = web.Application()
        app.router.add_post("/v3/auth/tokens", self._login)
        app.router.add_route("*", "/v3/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def order(self, folder: Path, workloads: tuple[str, ...] = ("keystone-projects",), **more: object) -> Order:
        auth = {"OS_USERNAME": "admin", "OS_PROJECT_NAME": "admin", "OS_PASSWORD": "x"}
        given: dict[str, object] = {"seed": 3, "rate": 50.0, "seconds": 1.0, "deadline": 2.0, "prefix": "d1", **more}
        return Order(folder=str(folder), workloads=workloads, auth=auth, urls={"keystone": self.url}, **given)  # type: ignore[arg-type]

    async def _login(self, _request: web.Request) -> web.StreamResponse:
        self.logins += 1
        token = {"user": {"id": "u1", "name": "admin"}, "project": {"id": "p1", "name": "admin"}}
        return web.json_response({"token": token}, status=201, headers={"X-Subject-Token": f"t{self.logins}"})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        text = await request.text()
        if self.history is not None and request.method in ("POST", "DELETE"):
            name = (await request.json())["project"]["name"] if text else request.path.rpartition("id-of-")[2]
            kind = "create" if text else "delete"
            noted = self.history.read_text().splitlines()
            self.in_history.append(any(f'"kind":"{kind}"' in line and f'"key":"{name}"' in line for line in noted))
        answered = getattr(self, f"_{self.way}", None)
        if answered is not None:
            found: web.StreamResponse = await answered(request)
            return found
        return web.Response(status=int(self.way), text="{}")

    async def _good(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            return web.Response(status=204)
        if request.method == "GET":
            return web.json_response({"projects": [{"id": "1", "name": "d1-7"}, {"id": "2", "name": "other"}]})
        name = (await request.json())["project"]["name"]
        return web.json_response({"project": {"id": f"id-of-{name}", "name": name}}, status=201)

    async def _balancer(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="<html>No server is available to handle this request.</html>")

    async def _broken(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=201, text='{"project": {"id": "1", "na')

    async def _others(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"project": {"id": "1", "name": "somebody-else"}}, status=201)

    async def _expired(self, request: web.Request) -> web.StreamResponse:
        good = request.headers["X-Auth-Token"] != "t1"
        return await self._good(request) if good else web.Response(status=401)

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"{")
        _reset(request)
        return answer

    async def _stall(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await asyncio.sleep(30)
        return answer

    async def _silent(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return await self._good(request)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        _reset(request)
        return web.Response()
