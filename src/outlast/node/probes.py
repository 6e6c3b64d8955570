"""Asking: one coroutine per kind of probe. It returns a sentence for a good answer and raises Bad for any other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from outlast.spec.probe import Probe

MOST = 65536
"""Bytes of an answer that are looked at."""


class Bad(Exception):
    """The probe was answered, and the answer is not good; the message says what came."""


@dataclass(frozen=True)
class Answer:
    """Result of one probe: good or not, in words, at `at` (node's monotonic seconds), after `took` seconds."""

    good: bool
    sentence: str
    at: float
    took: float = 0.0


async def ask(probe: Probe, processes: Mapping[str, str]) -> Answer:
    """Asks once, never longer than the probe's time-out. `processes`: supervisord's state by program name."""
    begun = time.monotonic()
    try:
        if probe.kind == "process":
            sentence, good = _process(probe, processes)
        else:
            sentence = await asyncio.wait_for(_KINDS[probe.kind](probe), probe.timeout)
            good = True
    except TimeoutError:
        sentence, good = f"no answer within {probe.timeout:g} s from {_place(probe)}", False
    except (Bad, OSError, ValueError, EOFError) as error:
        sentence, good = f"{_place(probe)}: {error or type(error).__name__}", False
    now = time.monotonic()
    return Answer(good, sentence, now, now - begun)


def _place(probe: Probe) -> str:
    if probe.kind == "command":
        return " ".join(probe.argv)[:60]
    return f"{probe.kind} {probe.address}:{probe.port}" if probe.port else f"{probe.kind} {probe.path}"


def _process(probe: Probe, processes: Mapping[str, str]) -> tuple[str, bool]:
    state = processes.get(probe.path, "ABSENT")
    return f"{probe.path} is {state}", state == "RUNNING"


async def _tcp(probe: Probe) -> str:
    _, writer = await asyncio.open_connection(probe.address, probe.port)
    writer.close()
    return "connected"


async def _http(probe: Probe) -> str:
    reader, writer = await asyncio.open_connection(probe.address, probe.port)
    try:
        head = f"GET {probe.path} HTTP/1.1\r\nHost: {probe.address}\r\nUser-Agent: outlast-agent\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        status_line = await reader.readline()
        parts = status_line.split()
        if len(parts) < 2 or not parts[1].isdigit():
            raise Bad(f"no HTTP status in {status_line[:40]!r}")
        status = int(parts[1])
        if status not in probe.statuses:
            raise Bad(f"status {status}")
        if probe.contains and not await _reads(reader, (probe.contains.encode(),)):
            raise Bad(f"answer without {probe.contains!r}")
        return f"status {status}"
    finally:
        writer.close()


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


async def _zookeeper(probe: Probe) -> str:
    return await _line(probe, b"srvr", (b"Mode: leader", b"Mode: follower", b"Mode: standalone"))


async def _memcached(probe: Probe) -> str:
    return await _line(probe, b"version\r\n", (b"VERSION",))


async def _ovsdb(probe: Probe) -> str:
    """A server of a cluster that has no majority, or no leader yet, lists its databases too, but is not connected."""
    where = [["name", "==", probe.contains]]
    select = {"op": "select", "table": "Database", "where": where, "columns": ["name", "connected"]}
    request = json.dumps({"method": "transact", "params": ["_Server", select], "id": 1}).encode()
    return await _line(probe, request, (b'"connected":true',))


async def _guard(probe: Probe) -> str:
    with open(probe.path, encoding="utf-8") as stream:
        networks = json.load(stream).get("networks", {})
    if cut := [str(found.get("sentence")) for found in networks.values() if found.get("cut")]:
        raise Bad("; ".join(cut))
    return f"not fenced on {', '.join(networks)}" if networks else "fences nothing"


async def _command(probe: Probe) -> str:
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


_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="probe")
"""Of their own: behind questions to a hung server, the agent's work in asyncio's few threads would wait for seconds."""


def _blocking(call: Callable[[Probe], str]) -> Callable[[Probe], Awaitable[str]]:
    async def asked(probe: Probe) -> str:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, call, probe)

    return asked


def _sql(probe: Probe) -> str:
    import pymysql

    try:
        connection = pymysql.connect(
            host=probe.address,
            port=probe.port,
            user=probe.user,
            password=probe.secret,
            database=probe.path,
            connect_timeout=max(1, round(probe.timeout)),
            read_timeout=max(1, round(probe.timeout)),
            ssl_disabled=True,  # else every connect reads all of the system's certificates: 24 ms of CPU
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchone()
        finally:
            connection.close()
    except pymysql.MySQLError as error:
        raise Bad(str(error)[:160]) from error
    return "SELECT 1 answered"


def _wsrep(probe: Probe) -> str:
    from outlast.node.galera import status

    state = status(probe.path, probe.timeout)
    if state.get("wsrep_ready") != "ON" or state.get("wsrep_cluster_status") != "Primary":
        local = state.get("wsrep_local_state_comment", "no state")
        raise Bad(f"{local} in a {state.get('wsrep_cluster_status', '?')} component")
    if state.get("wsrep_local_state") not in ("2", "4"):
        raise Bad(f"state {state.get('wsrep_local_state_comment', '?')}")
    return f"{state.get('wsrep_local_state_comment')}, {state.get('wsrep_cluster_size')} members"


def _amqp(probe: Probe) -> str:
    """Logs in at the first of the addresses that lets it."""
    *others, last = probe.address.split(",")
    for address in others:
        with contextlib.suppress(Bad, OSError):
            return _amqp_login(probe, address)
    return _amqp_login(probe, last)


def _amqp_login(probe: Probe, address: str) -> str:
    import amqp

    try:
        connection = amqp.Connection(
            host=f"{address}:{probe.port}",
            userid=probe.user,
            password=probe.secret,
            connect_timeout=probe.timeout,
            read_timeout=probe.timeout,
            write_timeout=probe.timeout,
        )
        connection.connect()
        connection.close()
    except (TimeoutError, amqp.AMQPError) as error:
        raise Bad(str(error)[:160]) from error
    return "logged in"


_KINDS: Mapping[str, Callable[[Probe], Awaitable[str]]] = {
    "http": _http,
    "tcp": _tcp,
    "zookeeper": _zookeeper,
    "memcached": _memcached,
    "ovsdb": _ovsdb,
    "command": _command,
    "guard": _guard,
    "sql": _blocking(_sql),
    "wsrep": _blocking(_wsrep),
    "amqp": _blocking(_amqp),
}
