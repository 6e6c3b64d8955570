"""This machine itself as a node."""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence

from outlast.errors import RemoteError
from outlast.remote.base import RemoteFiles
from outlast.remote.process import ENVIRONMENT, run_process
from outlast.remote.unix import open_socket
from outlast.spec.command import Output


class LocalConnector(RemoteFiles):
    def __init__(self) -> None:
        self._closed = False

    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output:
        self._check_open()
        return await run_process(argv, env=ENVIRONMENT, timeout=timeout, input=input)

    async def stream(self, unix_path: str) -> tuple[StreamReader, StreamWriter]:
        self._check_open()
        return await open_socket(unix_path, unix_path)

    async def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise RemoteError("remote.closed", "this connection has been closed")
