"""Nodes in memory behind a target, each with an agent that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from outlast.errors import RemoteError
from outlast.node import disk
from outlast.observe.collect import AGENT_SOCKET
from outlast.remote.fake import FakeConnector
from outlast.spec import snapshot as snapshots
from outlast.spec.command import Output
from outlast.spec.snapshot import Snapshot

OFF = RemoteError("remote.unreachable", "the node is off")


def node(name: str, say: Callable[[FakeConnector], Snapshot] | None = None, *, off: bool = False) -> FakeConnector:
    """A node with the agent's folder and a shell that can only remove the file named last."""
    made = FakeConnector(folders={str(disk.HOME), str(disk.PERMITS)}, trouble=OFF if off else None)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        said = say(made) if say else plain(name, made)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + snapshots.encode(said))
        await writer.drain()

    async def remove(argv: Sequence[str], given: bytes) -> Output:
        return Output(tuple(argv), 0 if made.files.pop(argv[-1], None) else 3, b"", b"")

    made.servers, made.programs = {AGENT_SOCKET: serve}, {"/bin/sh": remove}
    return made


def plain(name: str, connector: FakeConnector, **more: Any) -> Snapshot:
    """An agent that reads its pause file as the real one does."""
    note = connector.files.get(str(disk.PAUSE))
    return Snapshot("lab", name, "d", "c", "b", 1, "well", paused=note.content.decode().strip() if note else "", **more)


class Nodes:
    """As much of a Target as verbs need that only talk to nodes."""

    path = Path("lab.yaml")

    def __init__(self, nodes: Mapping[str, FakeConnector]) -> None:
        self.nodes = nodes

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[Mapping[str, FakeConnector]]:
        yield self.nodes
