"""Questions of one round trip. Each returns a sentence for a good answer, or raises Bad, OSError or ValueError."""

from __future__ import annotations

import asyncio
import json

from outlast.node.answers import Bad
from outlast.spec.probe import UNIX, Probe

MOST = 65536
"""Bytes of an answer that are looked at."""


async def tcp(probe: Probe) -> str:
    reader, writer = await asyncio.open_connection(probe.address, probe.port)
    try:
        if probe.contains and not await _reads(reader, (probe.contains.encode(),)):
            raise Bad(f"no greeting with {probe.contains!r}")
        return "greeted" if probe.contains else "connected"
    finally:
        writer.close()


async def http(probe: Probe) -> str:
    reader, writer = await _connect(probe)
    try:
        host = "localhost" if probe.address.startswith(UNIX) else probe.address
        fields = (("Host", host), ("User-Agent", "outlast-agent"), *probe.headers, ("Connection", "close"))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        writer.write(f"GET {probe.path} HTTP/1.1\r\n{head}\r\n".encode())
        status_line = await reader.readline()
        parts = status_line.split()
        if len(parts) < 2 or not parts[1].isdigit():
            raise Bad(f"no HTTP status in {status_line[:40]!r}")
        status = int(parts[1])
        if status not in probe.statuses:
            raise Bad(f"status {status}")
        if probe.contains:
            await _body(reader, probe.contains.encode())
        return f"status {status}"
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, wanted: bytes) -> None:
    """A body that is whole, as far as its length was told, and has what the right service always says."""
    length = -1
    while (line := await reader.readline()).strip():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
    if length < 0:
        good = await _reads(reader, (wanted,))
    else:
        try:
            good = wanted in await reader.readexactly(min(length, MOST))
        except asyncio.IncompleteReadError as error:
            raise Bad(f"answer cut short after {len(error.partial)} of {length} bytes") from error
    if not good:
        raise Bad(f"answer without {wanted.decode()!r}")


async def _connect(probe: Probe) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """By TCP, or by a unix socket where the address says so."""
    if probe.address.startswith(UNIX):
        return await asyncio.open_unix_connection(probe.address.removeprefix(UNIX))
    return await asyncio.open_connection(probe.address, probe.port)


async def _reads(reader: asyncio.StreamReader, words: tuple[bytes, ...], heard: bytes = b"") -> bool:
    """Reads on until one of the words has come; False when the other side is through, or has said too much."""
    while not any(word in heard for word in words):
        more = await reader.read(4096)
        heard += more
        if not more or len(heard) > MOST:
            return False
    return True


async def _line(probe: Probe, request: bytes, good: tuple[bytes, ...]) -> str:
    reader, writer = await asyncio.open_connection(probe.address, probe.port)
    try:
        writer.write(request)
        answer = await reader.read(4096)
        # Whole lines are whole answers, except ZooKeeper's: the word that counts comes in one of the last ones.
        whole = answer.endswith((b"\n", b"}")) and probe.kind != "zookeeper"
        if not any(word in answer for word in good) and (whole or not await _reads(reader, good, answer)):
            raise Bad(f"answered {answer[:60]!r}")
        return answer[:60].decode(errors="replace").strip()
    finally:
        writer.close()


async def zookeeper(probe: Probe) -> str:
    return await _line(probe, b"srvr", (b"Mode: leader", b"Mode: follower", b"Mode: standalone"))


async def memcached(probe: Probe) -> str:
    return await _line(probe, b"version\r\n", (b"VERSION",))


async def ovsdb(probe: Probe) -> str:
    """A server of a cluster that has no majority, or no leader yet, lists its databases too, but is not connected."""
    where = [["name", "==", probe.contains]]
    select = {"op": "select", "table": "Database", "where": where, "columns": ["name", "connected"]}
    request = json.dumps({"method": "transact", "params": ["_Server", select], "id": 1}).encode()
    return await _line(probe, request, (b'"connected":true',))


async def command(probe: Probe) -> str:
    process = await asyncio.create_subprocess_exec(
        *probe.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    text = output.decode(errors="replace").strip()
    last = text.splitlines()[-1][:120] if text else ""
    if process.returncode:
        raise Bad(f"exit {process.returncode}: {last}")
    if probe.contains and probe.contains not in text:
        raise Bad(f"output without {probe.contains!r}: {last}")
    return last or "exit 0"
