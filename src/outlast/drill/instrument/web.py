"""Sends requests to the APIs: each once, with a deadline, and says how it ended.

A client library would repeat, reconnect and wait; what it hides is what a drill is about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from outlast.drill.instrument import api
from outlast.drill.instrument.api import API, Call, Names
from outlast.drill.instrument.mix import MIX
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.task import Reply, Task, Tell, Trace

RENEW = 1500.0
"""Seconds after which a token is replaced (Keystone's own lasts an hour)."""

_IDLE = 30.0

_WORDS: Mapping[type[BaseException], str] = {
    aiohttp.ClientPayloadError: "cut answer",
    aiohttp.ServerDisconnectedError: "disconnected",
    ConnectionRefusedError: "refused",
    ConnectionResetError: "reset",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came whole, judged."""

    reply: Reply
    status: int
    body: bytes


class Web:
    """Both kinds of connections, and the token. Must be opened and closed inside the loop that uses it."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self._fresh = _session(aiohttp.TCPConnector(force_close=True, limit=0, use_dns_cache=False))
        self._pooled = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, use_dns_cache=False))
        self._token = ""
        self._renewal: asyncio.Task[None] | None = None
        self._names = _names(order)

    async def close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        await self._fresh.close()
        await self._pooled.close()

    async def send(self, task: Task, trace: Trace) -> Reply:
        """One request of the table. Raises nothing but what is our own fault, and TimeoutError of who waits."""
        call = _call(task)
        try:
            answer = await self.ask(task.service, call, self.names(task.key, task.ref), task.fresh, trace)
        except aiohttp.InvalidURL:
            raise
        except (aiohttp.ClientError, OSError) as error:
            return broken(error, trace)
        return answer.reply

    async def ask(self, service: str, call: Call, names: Names, fresh: bool, trace: Trace) -> Answer:
        """Sends and judges. Raises aiohttp.ClientError or OSError where no whole answer came."""
        headers = {"Accept": "application/json", **api.HEADERS.get(service, {})}
        if call is not api.TOKEN and not call.anonymous:
            headers["X-Auth-Token"] = self._token
        body = api.body_of(call, names) or None
        if body is not None:
            headers["Content-Type"] = "application/json" if call.body is not None else "text/plain"
        session = self._fresh if fresh else self._pooled
        url = self._order.urls[service] + call.path.format_map(names)
        async with session.request(
            call.method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=trace
        ) as answer:
            text = await answer.read()
            if answer.status == 401 and call is not api.TOKEN:
                self.renew()
            return Answer(api.judge(call, names, answer.status, answer.headers, text), answer.status, text)

    def names(self, key: str = "", ref: str = "") -> dict[str, str]:
        return {**self._names, **api.names_of(key, ref, self._order.prefix)}

    async def log_in(self, until: float) -> None:
        """The first token; raises TimeoutError with the last refusal if there is none at `until`."""
        while not await self._try_log_in():
            if time.monotonic() > until:
                raise TimeoutError(f"no token from {self._order.urls['keystone']}")
            await asyncio.sleep(0.5)

    def renew(self) -> None:
        """Fetches a new token beside the load; requests go on with the old one."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def keep_token(self) -> None:
        """For ever: a new token before the old one ends."""
        while True:
            await asyncio.sleep(RENEW)
            self.renew()

    async def _renew(self) -> None:
        while not await self._try_log_in():
            await asyncio.sleep(0.5)

    async def _try_log_in(self) -> bool:
        url = self._order.urls["keystone"] + api.TOKEN.path
        body = api.body_of(api.TOKEN, self._names)
        try:
            async with (
                asyncio.timeout(5.0),
                self._fresh.post(url, data=body, headers={"Content-Type": "application/json"}) as answer,
            ):
                told = msgspec.json.decode(await answer.read())
                token = answer.headers["X-Subject-Token"]
                self._names |= {"user": told["token"]["user"]["id"], "account": told["token"]["project"]["id"]}
        except (aiohttp.ClientError, OSError, TimeoutError, KeyError, TypeError, msgspec.MsgspecError):
            return False
        self._token = token
        return True


def broken(error: Exception, trace: Trace) -> Reply:
    """No whole answer. What was refused before anything left has certainly not been done."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return Reply(trace.broken, _WORDS.get(type(cause), type(cause).__name__))


def _call(task: Task) -> Call:
    calls = API[task.workload]
    # A read that knows no thing yet looks at the list.
    return calls["list"] if task.kind == "read" and "{key}" in calls["read"].path and not task.key else calls[task.kind]


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=True,
        trust_env=False,
        auto_decompress=True,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trace_configs=[_tracing()],
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
    )
    # aiohttp silently repeats GET, PUT and DELETE when a pooled connection turns out dead. There is no public switch;
    # a test counts the requests that arrive.
    session._retry_connection = False
    return session


def _tracing() -> aiohttp.TraceConfig:
    """Notes when a request set out, and whether anything of it left."""
    config = aiohttp.TraceConfig()

    def trace_of(context: object) -> Trace | None:
        found = getattr(context, "trace_request_ctx", None)
        return found if isinstance(found, Trace) else None

    async def begun(_session: object, context: object, _params: object) -> None:
        trace = trace_of(context)
        if trace is not None and trace.begun is None:
            trace.begun = time.monotonic()

    async def left(_session: object, context: object, _params: object) -> None:
        trace = trace_of(context)
        if trace is not None:
            trace.left = True

    config.on_request_start.append(begun)
    config.on_request_headers_sent.append(left)
    return config


def _names(order: Order) -> dict[str, str]:
    """Values that are the same for all requests."""
    auth: Mapping[str, str] = order.auth
    server = order.server
    return {
        "username": auth.get("OS_USERNAME", ""),
        "password": auth.get("OS_PASSWORD", ""),
        "project": auth.get("OS_PROJECT_NAME", ""),
        "user_domain": auth.get("OS_USER_DOMAIN_NAME", ""),
        "project_domain": auth.get("OS_PROJECT_DOMAIN_NAME", ""),
        "public_key": api.public_key(order.prefix),
        "image": server.image if server else "",
        "flavor": server.flavor if server else "",
        "network": server.network if server else "",
        "user": "",
        "account": "",
    }


def api_workloads(order: Order) -> tuple[str, ...]:
    """Those of the order that need a token."""
    return tuple(name for name in order.workloads if MIX[name].service in order.urls and name in API)
