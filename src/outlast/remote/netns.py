"""A lab node: a set of namespaces on this machine."""

from __future__ import annotations

import os
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Sequence
from typing import TypeVar

from outlast.errors import OutlastError, RemoteError
from outlast.remote.base import RemoteFiles
from outlast.remote.in_root import open_in_root
from outlast.remote.process import ENVIRONMENT, run_process
from outlast.remote.unix import open_socket
from outlast.spec.command import Output

_NO_PROGRAM = (126, 127)
_KILLED = 128 + 9

_Answer = TypeVar("_Answer")


class NetnsConnector(RemoteFiles):
    """`enter` gives the prefix that runs a command inside the node, `root` the node's root as this machine sees it.

    Both are asked at every call: after a power cycle the node is another process. They raise when the node is off.
    """

    def __init__(self, enter: Callable[[], Sequence[str]], root: Callable[[], str | os.PathLike[str]]) -> None:
        self._enter = enter
        self._root = root
        self._closed = False

    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output:
        prefix = self._ask(self._enter)
        output = await run_process(argv, prefix=prefix, env=ENVIRONMENT, timeout=timeout, input=input)
        if output.stderr.startswith(b"nsenter: "):
            self._explain(argv[0], output)
        # A command killed with its node looks like any killed command; asking again tells them apart.
        if output.status == _KILLED and list(self._ask(self._enter, "remote.lost")) != list(prefix):
            raise RemoteError("remote.lost", f"{argv[0]}: the node lost power meanwhile")
        return output

    async def stream(self, unix_path: str) -> tuple[StreamReader, StreamWriter]:
        root = os.fspath(self._ask(self._root))
        try:
            fd = open_in_root(root, unix_path, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            raise RemoteError("remote.not-found", f"{unix_path}: no such socket") from None
        except OSError as error:
            raise RemoteError("remote.not-allowed", f"{unix_path}: {error.strerror}") from None
        try:
            # The short name of an open file: a socket's address has room for 107 characters only.
            return await open_socket(f"/proc/self/fd/{fd}", unix_path)
        finally:
            os.close(fd)

    async def close(self) -> None:
        self._closed = True

    def _ask(self, question: Callable[[], _Answer], code: str = "remote.unreachable") -> _Answer:
        if self._closed:
            raise RemoteError("remote.closed", "this connection has been closed")
        try:
            return question()
        except OutlastError as error:
            raise RemoteError(code, error.message) from None

    def _explain(self, program: str, output: Output) -> None:
        reason = output.stderr.decode(errors="replace").strip()
        if output.status in _NO_PROGRAM:
            raise RemoteError("remote.no-command", reason.removeprefix("nsenter: "))
        raise RemoteError("remote.unreachable", f"{program}: {reason}")
