"""A real host over SSH: one connection, used by many commands at once."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from outlast.errors import RemoteError
from outlast.remote.base import RemoteFiles
from outlast.remote.process import PATH
from outlast.spec.command import Output

_AT_ONCE = 8
"""sshd allows ten sessions per connection by default."""

_GRACE_SECONDS = 2.0
"""How much later than the node we give up waiting for a command's end."""

_CHUNK = 65536
_KILLED = 128 + 9
_NO_PROGRAM = (126, 127)
_REFUSALS = (asyncssh.PermissionDenied, asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)


@dataclass(frozen=True)
class SshTarget:
    """Who and where. Without `keys` the agent's and the user's own keys are tried; a host key must be known always."""

    host: str
    port: int = 22
    user: str = "root"
    keys: tuple[str, ...] = ()
    known_hosts: str = ""
    become: tuple[str, ...] = ()
    connect_seconds: float = 10.0


class SshConnector(RemoteFiles):
    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._connection: Any = None
        self._connecting = asyncio.Lock()
        self._sessions = asyncio.Semaphore(_AT_ONCE)
        self._pumps: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(self, argv: Sequence[str], *, timeout: float, input: bytes | None = None) -> Output:
        async with self._sessions:
            # Taken first: the node's own clock for the command starts before we hear that it runs.
            started = time.monotonic()
            process = await self._start(self._line(argv, timeout), argv[0])
            try:
                async with asyncio.timeout(timeout + _GRACE_SECONDS):
                    if input:
                        process.channel.write(input)
                    # Always: asyncssh sends no end of file of its own where there is no input.
                    process.channel.write_eof()
                    stdout, stderr = await process.communicate()
            except TimeoutError:
                raise _late(argv[0], timeout) from None
            except (OSError, asyncssh.Error) as error:
                raise self._lost(argv[0], error) from None
            finally:
                await _end(process)
            if process.returncode in (_KILLED, -9) and time.monotonic() - started >= timeout:
                raise _late(argv[0], timeout)
        return self._output(argv, process.returncode, stdout, stderr)

    def _line(self, argv: Sequence[str], timeout: float) -> str:
        """sshd delivers no signals to a root session, so the node itself ends what takes too long."""
        limit = ["timeout", "--signal=KILL", f"{timeout:.3f}"]
        return "exec " + shlex.join([*self._target.become, *limit, "env", f"PATH={PATH}", "LANG=C.UTF-8", *argv])

    async def stream(self, unix_path: str) -> tuple[StreamReader, StreamWriter]:
        connection = await self._connect()
        try:
            far_reader, far_writer = await connection.open_unix_connection(unix_path, encoding=None)
        except asyncssh.ChannelOpenError as error:
            raise await self._no_stream(unix_path, error) from None
        except (OSError, asyncssh.Error) as error:
            raise self._lost(unix_path, error) from None
        ours, theirs = socket.socketpair()
        near_reader, near_writer = await asyncio.open_connection(sock=theirs)
        pump = asyncio.create_task(_pump_both((far_reader, near_writer), (near_reader, far_writer)))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return await asyncio.open_connection(sock=ours)

    async def close(self) -> None:
        self._closed = True
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()
            with contextlib.suppress(OSError, asyncssh.Error):
                await self._connection.wait_closed()

    async def _start(self, line: str, program: str) -> Any:
        for attempt in (1, 2):
            connection = await self._connect()
            try:
                return await connection.create_process(line, encoding=None)
            except asyncssh.ChannelOpenError as error:
                # No channel, no command: the one failure after which trying again cannot do anything twice.
                if attempt == 2:
                    raise RemoteError("remote.unreachable", f"{self._target.host}: {error.reason}") from None
                connection.abort()
            except (OSError, asyncssh.Error) as error:
                raise self._lost(program, error) from None
        raise AssertionError

    async def _connect(self) -> Any:
        async with self._connecting:
            if self._closed:
                raise RemoteError("remote.closed", "this connection has been closed")
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> Any:
        target, options = self._target, dict[str, Any]()
        if target.keys:
            options["client_keys"] = list(target.keys)
            options["agent_path"] = None
        if target.known_hosts:
            options["known_hosts"] = target.known_hosts
        try:
            return await asyncssh.connect(
                target.host,
                target.port,
                username=target.user,
                connect_timeout=target.connect_seconds,
                keepalive_interval=5,
                keepalive_count_max=3,
                **options,
            )
        except _REFUSALS as error:
            raise RemoteError("remote.refused", f"{target.host}: {error.reason}") from None
        except (OSError, TimeoutError, asyncssh.Error) as error:
            raise RemoteError("remote.unreachable", f"{target.host}: {error or type(error).__name__}") from None

    def _output(self, argv: Sequence[str], status: int | None, stdout: bytes, stderr: bytes) -> Output:
        if status is None:
            raise self._lost(argv[0], "the command's end was not reported")
        if status in _NO_PROGRAM and stderr.startswith(b"env: "):
            raise RemoteError("remote.no-command", stderr.decode(errors="replace").strip().removeprefix("env: "))
        return Output(tuple(argv), 128 - status if status < 0 else status, stdout, stderr)

    def _lost(self, what: str, error: object) -> RemoteError:
        return RemoteError("remote.lost", f"{self._target.host}: connection lost during {what}: {error}")

    async def _no_stream(self, path: str, error: asyncssh.ChannelOpenError) -> RemoteError:
        """sshd gives one answer for all failures; looking at the file tells them apart."""
        seen = await self.run(["test", "-S", path], timeout=self._target.connect_seconds)
        if seen.status:
            return RemoteError("remote.not-found", f"{path}: no such socket")
        return RemoteError("remote.unreachable", f"{path}: {error.reason}")


def _late(program: str, timeout: float) -> RemoteError:
    return RemoteError("remote.timeout", f"{program}: no end after {timeout:g} s")


async def _end(process: Any) -> None:
    process.close()
    with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
        await asyncio.wait_for(process.wait_closed(), _GRACE_SECONDS)


async def _pump_both(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    try:
        await asyncio.gather(_pump(*one), _pump(*other))
    finally:
        for _, target in (one, other):
            target.close()


async def _pump(source: Any, target: Any) -> None:
    """Carry bytes one way; hand on the end of the stream as just that, for the other way may go on."""
    try:
        while content := await source.read(_CHUNK):
            target.write(content)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except (OSError, asyncssh.Error):
        target.close()
