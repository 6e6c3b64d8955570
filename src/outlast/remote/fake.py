"""A node in memory, for tests of whatever talks to nodes. Records every call."""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from outlast.errors import RemoteError
from outlast.spec.command import Output

Program = Callable[[Sequence[str], bytes], Awaitable[Output]]
"""What stands for a program: (argv, input) -> Output."""

Server = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class FakeFile:
    content: bytes
    mode: int
    owner: str


@dataclass
class FakeConnector:
    """`folders` are those that exist, "/" always does. Set `trouble` to make every call fail with it."""

    programs: Mapping[str, Program] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    files: dict[str, FakeFile] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    trouble: RemoteError | None = None
    commands: list[tuple[tuple[str, ...], bytes | None]] = field(default_factory=list)
    closed: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output:
        self._check()
        self.commands.append((tuple(argv), input))
        program = self.programs.get(argv[0])
        if program is None:
            raise RemoteError("remote.no-command", f"{argv[0]}: no such program in this fake node")
        try:
            return await asyncio.wait_for(program(argv, input or b""), timeout)
        except TimeoutError:
            raise RemoteError("remote.timeout", f"{argv[0]}: no end after {timeout:g} s") from None

    async def put(self, path: str, content: bytes, *, mode: int, owner: str = "root") -> None:
        self._check()
        folder = path.rpartition("/")[0] or "/"
        if folder != "/" and folder not in self.folders:
            raise RemoteError("remote.not-found", f"{path}: its folder does not exist")
        self.files[path] = FakeFile(content, mode, owner)

    async def get(self, path: str) -> bytes:
        self._check()
        if path in self.folders:
            raise RemoteError("remote.not-allowed", f"{path}: is a folder")
        if path not in self.files:
            raise RemoteError("remote.not-found", f"{path}: no such file")
        return self.files[path].content

    async def stream(self, unix_path: str) -> tuple[StreamReader, StreamWriter]:
        self._check()
        if unix_path not in self.servers:
            raise RemoteError("remote.not-found", f"{unix_path}: no such socket")
        ours, theirs = socket.socketpair()
        task = asyncio.create_task(self._serve(self.servers[unix_path], theirs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.open_connection(sock=ours)

    async def close(self) -> None:
        self.closed = True

    async def _serve(self, server: Server, end: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=end)
        try:
            await server(reader, writer)
        finally:
            writer.close()

    def _check(self) -> None:
        if self.closed:
            raise RemoteError("remote.closed", "this connection has been closed")
        if self.trouble is not None:
            raise self.trouble
