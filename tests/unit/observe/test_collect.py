"""Asking agents: every way not to answer is an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from outlast.errors import RemoteError
from outlast.observe import collect
from outlast.observe.answer import Answer, Unreachable
from outlast.record.events import Event
from outlast.remote.fake import FakeConnector
from outlast.spec import snapshot as snapshots
from outlast.spec.snapshot import Snapshot

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SAID = Snapshot("lab", "c1", "d", "c", "b", 1, "all members are well")


class Wire(FakeConnector):
    """A node whose agent listens on a socket of this machine, or whose way is broken."""

    path: Path
    broken: RemoteError | None = None

    async def stream(self, unix_path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.broken:
            raise self.broken
        return await asyncio.open_unix_connection(str(self.path))


def says(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return talk


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def asked(tmp_path: Path, talk: Talk, timeout: float = 5.0) -> Answer:
    async def go() -> Answer:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk(reader, writer)
            writer.close()

        server = await asyncio.start_unix_server(connected, str(tmp_path / "s"))
        wire = Wire()
        wire.path = tmp_path / "s"
        try:
            return await collect.snapshot(wire, timeout)
        finally:
            server.close()

    return asyncio.run(go())


def test_a_snapshot(tmp_path: Path) -> None:
    assert asked(tmp_path, says(b"HTTP/1.1 200 OK\r\n\r\n" + snapshots.encode(SAID))) == SAID


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (says(b"HTTP/1.1 404 Not Found\r\n\r\n{}"), "404"),
        (says(b"HTTP/1.1 500 Oh\r\n\r\n200 "), "500"),
        (says(b"HTTP/1.1 200 OK\r\n\r\nnot json"), "JSON"),
        (says(b'HTTP/1.1 200 OK\r\n\r\n{"cluster": 1}'), "Expected"),
        (says(b""), "answered"),
    ],
)
def test_wrong_answers(tmp_path: Path, talk: Talk, words: str) -> None:
    found = asked(tmp_path, talk)
    assert isinstance(found, Unreachable)
    assert words in found.reason


def test_a_hung_agent(tmp_path: Path) -> None:
    found = asked(tmp_path, silent, timeout=0.2)
    assert found == Unreachable("its agent did not answer within 0.2 s")


def test_a_node_that_is_off(tmp_path: Path) -> None:
    wire = Wire()
    wire.broken = RemoteError("remote.unreachable", "the node is off")
    assert asyncio.run(collect.snapshot(wire)) == Unreachable("the node is off")


def test_all_at_once() -> None:
    class Slow(Wire):
        async def stream(self, unix_path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            await asyncio.sleep(0.3)
            raise RemoteError("remote.unreachable", "off")

    begun = time.monotonic()
    found = asyncio.run(collect.collect({f"n{n}": Slow() for n in range(40)}))
    assert list(found) == [f"n{n}" for n in range(40)]
    assert set(found.values()) == {Unreachable("off")}
    assert time.monotonic() - begun < 6


def test_events(tmp_path: Path) -> None:
    told = [Event(1, 1.0, "c1", "nova", "member.start", "starting nova")]

    async def go() -> list[Event]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            assert request.startswith(b"GET /events?after=7&since=8.5&last=50000 ")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + msgspec.json.encode(told))
            await writer.drain()
            writer.close()

        server = await asyncio.start_unix_server(connected, str(tmp_path / "s"))
        wire = Wire()
        wire.path = tmp_path / "s"
        try:
            return await collect.events(wire, after=7, since=8.5)
        finally:
            server.close()

    assert asyncio.run(go()) == told
