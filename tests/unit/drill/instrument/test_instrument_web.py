"""What the instrument makes of answers, good and bad: a real server, real sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from wrong_cloud import WrongCloud

from outlast.drill.instrument.task import Reply, Task, Trace
from outlast.drill.instrument.web import Web
from outlast.record.history import Kind


def task(kind: Kind = "create", fresh: bool = True, ref: str = "") -> Task:
    return Task(
        id=7,
        workload="keystone-projects",
        service="keystone",
        kind=kind,
        scheduled=0.0,
        until=0.0,
        key="d1-7",
        ref=ref,
        fresh=fresh,
    )


def no_problem(sentence: str) -> None:
    raise AssertionError(sentence)


async def _one(way: str, kind: Kind, folder: Path) -> tuple[Reply, Trace]:
    async with WrongCloud().running() as cloud:
        web = Web(cloud.order(folder), no_problem)
        await web.log_in(0.0)
        cloud.way = way
        trace = Trace()
        try:
            reply = await asyncio.wait_for(web.send(task(kind, ref="i"), trace), 0.5)
        except TimeoutError:
            reply = Reply(trace.broken, "time-out")
        await web.close()
        return reply, trace


@pytest.mark.parametrize(
    ("way", "kind", "outcome", "detail"),
    [
        ("good", "create", "ok", ""),
        ("good", "list", "ok", ""),
        ("good", "delete", "ok", ""),
        ("500", "create", "failed", "500"),
        ("409", "create", "failed", "409"),
        ("404", "delete", "failed", "404"),
        ("200", "create", "failed", "200"),
        ("502", "create", "unknown", "502"),
        ("504", "delete", "unknown", "504"),
        ("503", "create", "failed", "503"),
        ("balancer", "create", "failed", "503 no server"),
        ("broken", "create", "failed", "wrong answer: no JSON"),
        ("others", "create", "failed", "wrong answer: project.name is 'somebody-else'"),
        ("cut", "create", "unknown", "cut answer"),
        ("stall", "create", "unknown", "time-out"),
        ("silent", "create", "unknown", "time-out"),
        ("reset", "create", "unknown", "disconnected"),
    ],
)
def test_outcome(way: str, kind: Kind, outcome: str, detail: str, tmp_path: Path) -> None:
    reply, trace = asyncio.run(_one(way, kind, tmp_path))
    assert (reply.outcome, reply.detail) == (outcome, detail)
    assert trace.sent is not None


def test_values(tmp_path: Path) -> None:
    """Of a create the id, of a list the names that are ours."""
    assert asyncio.run(_one("good", "create", tmp_path))[0].value == "id-of-d1-7"
    assert asyncio.run(_one("good", "list", tmp_path))[0].value == "d1-7"


def test_refused_connection_has_certainly_failed(tmp_path: Path) -> None:
    async def refused() -> tuple[Reply, Trace]:
        async with WrongCloud().running() as cloud:
            web = Web(cloud.order(tmp_path), no_problem)
            await web.log_in(0.0)
        trace = Trace()
        reply = await web.send(task(), trace)
        await web.close()
        return reply, trace

    reply, trace = asyncio.run(refused())
    assert (reply.outcome, reply.detail) == ("failed", "refused")
    assert trace.begun is not None and trace.sent is None


def test_nothing_left_while_nobody_takes_the_connection(tmp_path: Path) -> None:
    """A full backlog: the handshake never ends, so nothing can have been done."""

    async def waiting() -> Trace:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                cloud = WrongCloud()
                cloud.url = f"http://127.0.0.1:{port}"
                web = Web(cloud.order(tmp_path), no_problem)
                trace = Trace()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(web.send(task(), trace), 0.3)
                await web.close()
                return trace

    trace = asyncio.run(waiting())
    assert trace.begun is not None and trace.sent is None and trace.broken == "failed"


@pytest.mark.parametrize("kind", ["list", "delete", "create"])
def test_a_request_on_a_dead_pooled_connection_is_not_repeated(kind: Kind, tmp_path: Path) -> None:
    async def twice() -> tuple[Reply, list[str]]:
        async with WrongCloud().running() as cloud:
            web = Web(cloud.order(tmp_path), no_problem)
            await web.log_in(0.0)
            assert (await web.send(task("list", fresh=False), Trace())).outcome == "ok"
            cloud.way = "reset"
            reply = await web.send(task(kind, fresh=False, ref="i"), Trace())
            await web.close()
            return reply, cloud.seen

    reply, seen = asyncio.run(twice())
    assert reply.outcome == "unknown"
    assert len(seen) == 2


def test_fresh_requests_have_connections_of_their_own(tmp_path: Path) -> None:
    async def ports(fresh: bool) -> int:
        taken: set[object] = set()

        class Noting(WrongCloud):
            async def _good(self, request):  # type: ignore[no-untyped-def]
                taken.add(request.transport.get_extra_info("peername"))
                return await super()._good(request)

        async with Noting().running() as cloud:
            web = Web(cloud.order(tmp_path), no_problem)
            for _ in range(3):
                await web.send(task("list", fresh=fresh), Trace())
            await web.close()
        return len(taken)

    assert asyncio.run(ports(fresh=True)) == 3
    assert asyncio.run(ports(fresh=False)) == 1


def test_a_rejected_token_is_a_failure_and_replaced_beside_the_load(tmp_path: Path) -> None:
    async def rejected() -> tuple[Reply, Reply, int]:
        async with WrongCloud().running() as cloud:
            web = Web(cloud.order(tmp_path), no_problem)
            await web.log_in(0.0)
            cloud.way = "expired"
            first = await web.send(task(), Trace())
            assert web._renewal is not None
            await web._renewal
            second = await web.send(task(), Trace())
            await web.close()
            return first, second, cloud.logins

    first, second, logins = asyncio.run(rejected())
    assert (first.outcome, first.detail) == ("failed", "401")
    assert second.outcome == "ok" and logins == 2
