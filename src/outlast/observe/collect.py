"""Asks every node's agent for its snapshot: straight from the nodes, so that it works without ZooKeeper."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from outlast.errors import RemoteError
from outlast.observe.answer import Answer as Answer
from outlast.observe.answer import Unreachable as Unreachable
from outlast.record.events import Event
from outlast.remote.base import Connector
from outlast.spec import snapshot as snapshots

AGENT_SOCKET = "/run/outlast/agent.sock"


async def snapshot(connector: Connector, timeout: float = 2.0) -> Answer:
    """One node's snapshot; never raises for a node that is off, slow or without an agent."""
    try:
        body = await asyncio.wait_for(ask(connector, "/snapshot"), timeout)
        return snapshots.decode(body)
    except TimeoutError:
        return Unreachable(f"its agent did not answer within {timeout:g} s")
    except RemoteError as error:
        return Unreachable(error.message)
    except (OSError, ValueError) as error:
        return Unreachable(str(error))


async def collect(connectors: Mapping[str, Connector], timeout: float = 2.0) -> dict[str, Answer]:
    """Snapshots of all nodes at once."""
    answers = await asyncio.gather(*(snapshot(connector, timeout) for connector in connectors.values()))
    return dict(zip(connectors, answers, strict=True))


async def events(
    connector: Connector, after: int = 0, timeout: float = 5.0, *, since: float = 0.0, last: int = 50_000
) -> list[Event]:
    """A node's events, its guards' among them: the agent's behind `after`, all from `since` on (wall time, seconds).

    Raises RemoteError or OSError where the agent does not answer.
    """
    import msgspec

    body = await asyncio.wait_for(ask(connector, f"/events?after={after}&since={since}&last={last}"), timeout)
    return msgspec.json.decode(body, type=list[Event])


async def ask(connector: Connector, path: str) -> bytes:
    """One GET to the node's agent; the body."""
    reader, writer = await connector.stream(AGENT_SOCKET)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(f"the agent answered {head[:40]!r} to {path}")
    return body
