"""Small programs that run inside the namespaces: a server, a load, a watcher of an address. Standard library only."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter


def serve(address: str, port: str, name: str) -> None:
    """Answers every connection with the node's name, in HTTP."""
    body = name.encode()
    said = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(one, address, int(port), backlog=1024)
        await server.serve_forever()

    asyncio.run(main())


def load(address: str, port: str, seconds: str, rate: str) -> None:
    """New requests at fixed times whatever became of the earlier ones; prints counts and the worst waits."""
    outcomes: Counter[str] = Counter()
    waits: list[float] = []
    first: dict[str, float] = {}
    last: dict[str, float] = {}

    async def one() -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(address, int(port))
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                line = (await reader.readline()).decode()
                outcome = "ok" if " 200 " in line else (line.split(" ")[1] if line else "closed")
                writer.close()
        except ConnectionRefusedError:
            outcome = "refused"
        except ConnectionResetError:
            outcome = "reset"
        except (OSError, TimeoutError) as error:
            outcome = type(error).__name__
        outcomes[outcome] += 1
        first[outcome] = min(began, first.get(outcome, began))
        last[outcome] = max(began, last.get(outcome, began))
        waits.append(time.monotonic() - began)

    async def main() -> None:
        loop, tasks = asyncio.get_running_loop(), []
        start = loop.time()
        for number in range(int(float(seconds) * int(rate))):
            await asyncio.sleep(max(0.0, start + number / int(rate) - loop.time()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)

    asyncio.run(main())
    sys.stdout.write(json.dumps({"outcomes": outcomes, "worst": max(waits), "first": first, "last": last}) + "\n")


def hold(address: str, port: str) -> None:
    """Sends half a request and waits; prints what ended the wait, and after how many seconds."""
    with socket.create_connection((address, int(port)), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        sock.settimeout(10)
        sys.stdout.write("connected\n")
        sys.stdout.flush()
        began = time.monotonic()
        try:
            outcome = "closed" if sock.recv(1) == b"" else "answered"
        except OSError as error:
            outcome = type(error).__name__
        sys.stdout.write(json.dumps([outcome, time.monotonic() - began]) + "\n")


def watch(address: str, seconds: str) -> None:
    """Prints [begin, end] (monotonic clock) of each time the address was this node's: only then can it be bound."""
    until, spans, since = time.monotonic() + float(seconds), [], None
    now = time.monotonic()
    while now < until:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((address, 0))
                mine = True
            except OSError:
                mine = False
        now = time.monotonic()
        if mine and since is None:
            since = now
        elif not mine and since is not None:
            spans.append([since, now])
            since = None
        time.sleep(0.003)
    if since is not None:
        spans.append([since, now])
    sys.stdout.write(json.dumps(spans) + "\n")


if __name__ == "__main__":
    word, *rest = sys.argv[1:]
    if word == "serve":
        serve(*rest)
    elif word == "load":
        load(*rest)
    elif word == "hold":
        hold(*rest)
    else:
        watch(*rest)
