"""The agent's answers over HTTP: on its unix socket (operator, over the node's shell) and on the management network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Handler = Callable[[Mapping[str, str]], bytes]


class Server:
    """GET only: path → handler(query) → JSON bytes."""

    def __init__(self, routes: Mapping[str, Handler]) -> None:
        self._routes = routes
        self._servers: list[asyncio.Server] = []

    async def listen_unix(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._servers.append(await asyncio.start_unix_server(self._serve, str(path)))
        os.chmod(path, 0o600)

    async def listen_tcp(self, address: str, port: int) -> None:
        self._servers.append(await asyncio.start_server(self._serve, address, port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await asyncio.wait_for(reader.readline(), 2)
            while (await asyncio.wait_for(reader.readline(), 2)).strip():
                pass
            status, body = self._answer(request)
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    def _answer(self, request: bytes) -> tuple[str, bytes]:
        parts = request.decode("latin-1").split()
        if len(parts) < 2 or parts[0] != "GET":
            return "405 Method Not Allowed", b"{}"
        url = urlsplit(parts[1])
        handler = self._routes.get(url.path)
        if handler is None:
            return "404 Not Found", b"{}"
        return "200 OK", handler({key: values[-1] for key, values in parse_qs(url.query).items()})


async def fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
    """One GET over an open connection; the body. Raises OSError for any status but 200."""
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        raise OSError(f"the agent answered {head[:40]!r} to {path}")
    return body
