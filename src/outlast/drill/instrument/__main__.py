"""`python -m outlast.drill.instrument`: the load of a drill, started inside one node's network namespace.

Standard input: one line of JSON (order.py), then nothing; its end ends the load, so that no load outlives its drill.
Standard output, JSON lines: {"ready": true} once the load runs, {"problem": …} whenever something is wrong with the
instrument itself, and at the end its meter (float values; RunFolder.meter):
requests, cpu_seconds, seconds; lateness_p50, lateness_p99, lateness_max (seconds from a request's scheduled time to its
start); realtime (1 when SCHED_RR was granted) and nice.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import aiohttp
import amqp
import msgspec
import pymysql

from outlast.drill.instrument import order as orders
from outlast.drill.instrument.api import API, CONTAINER
from outlast.drill.instrument.clean import clean
from outlast.drill.instrument.consumed import CONSUMED, Consumed
from outlast.drill.instrument.ledger import Ledger
from outlast.drill.instrument.load import Load
from outlast.drill.instrument.messages import Messages
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.probe import Probe
from outlast.drill.instrument.servers import Servers
from outlast.drill.instrument.sql import Rows
from outlast.drill.instrument.streams import Streams
from outlast.drill.instrument.task import Sender, Trace, in_thread
from outlast.drill.instrument.web import Web, api_workloads
from outlast.errors import MachineError, OutlastError

LOG_IN = 30.0

_BROKEN = (OSError, aiohttp.ClientError, pymysql.MySQLError, amqp.AMQPError)
"""What a cluster that is not well answers, by whatever way it is asked."""

MOST_PROBLEMS = 100


class Teller:
    """Lines on standard output, whole, from any thread; the same problem once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def line(self, value: Mapping[str, object]) -> None:
        with self._lock, suppress(OSError, ValueError):  # nobody listens any more
            self._file.write(msgspec.json.encode(value).decode() + "\n")
            self._file.flush()

    def problem(self, sentence: str) -> None:
        if sentence not in self._said and len(self._said) < MOST_PROBLEMS:
            self._said.add(sentence)
            self.line({"problem": sentence})


class Senders:
    """All that the order's workloads need, opened and closed together."""

    def __init__(self, order: Order, teller: Teller, ledger: Ledger | None) -> None:
        self._order = order
        self._teller = teller
        self.web = Web(order, teller.problem) if api_workloads(order) else None
        self._rows = Rows(order.sql) if order.sql and "sql-rows" in order.workloads else None
        self._messages: Messages | None = None

        def note(line: Consumed) -> None:
            if ledger is not None:
                ledger.add(CONSUMED, line)

        if order.amqp and any(name.startswith("mq-") for name in order.workloads):
            self._messages = Messages(order.amqp, order.prefix, note)
        self._keeper: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Token, container, table, queues. Raises MachineError `instrument.not-prepared`."""
        try:
            await self._prepare()
        except _BROKEN as error:
            raise MachineError(
                "instrument.not-prepared",
                f"the load cannot begin: {type(error).__name__}: {error}; is the cluster well before the drill?",
            ) from error

    async def _prepare(self) -> None:
        if self.web:
            await self.web.log_in(time.monotonic() + LOG_IN)
            if "swift-objects" in self._order.workloads:
                async with asyncio.timeout(self._order.deadline):
                    made = await self.web.ask("swift", CONTAINER, self.web.names(), True, Trace())
                if made.reply.outcome != "ok":
                    raise OSError(f"Swift made no container: {made.reply.detail}")
        if self._rows:
            await in_thread(self._rows.prepare)
        if self._messages:
            await in_thread(self._messages.prepare)

    def start(self) -> dict[str, Sender]:
        """Senders by workload; consumers and the token's keeper run from here on."""
        found: dict[str, Sender] = {}
        for name in self._order.workloads:
            if name == "nova-servers" and self.web:
                found[name] = Servers(self.web).send
            elif name in API and self.web:
                found[name] = self.web.send
            elif name == "sql-rows" and self._rows:
                found[name] = self._rows.send
            elif self._messages:
                found[name] = self._messages.send
        if self.web:
            self._keeper = asyncio.create_task(self.web.keep_token())
        if self._messages:
            self._messages.start(self._order.workloads)
        return found

    async def clean(self) -> int:
        """How many things of the APIs were removed. Raises MachineError `instrument.not-cleaned`."""
        try:
            return await self._clean()
        except _BROKEN as error:
            raise MachineError(
                "instrument.not-cleaned",
                f"what the load made could not be removed: {type(error).__name__}: {error}; try again later",
            ) from error

    async def _clean(self) -> int:
        removed = 0
        if self.web:
            await self.web.log_in(time.monotonic() + LOG_IN)
            removed = await clean(self._order, self.web, self._teller.problem)
        if self._rows:
            rows = self._rows
            await in_thread(lambda: rows.clean(self._order.prefix))
        if self._messages:
            await in_thread(self._messages.clean)
        return removed

    async def close(self) -> None:
        if self._keeper:
            self._keeper.cancel()
        if self._messages:
            await in_thread(self._messages.stop)
        if self.web:
            await self.web.close()


async def run(order: Order, teller: Teller, granted: Mapping[str, float]) -> None:
    """The whole load. Raises OutlastError where it cannot begin."""
    begun, stop = time.monotonic(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ledger = Ledger(Path(order.folder), teller.problem)
    senders = Senders(order, teller, ledger)
    try:
        await senders.prepare()
        load = Load(order, senders.start(), ledger, teller.problem)
        watchers = _watchers(order, ledger)
        gc.collect()
        gc.freeze()
        gc.disable()
        _watch_parent(stop)
        teller.line({"ready": True})
        await load.run(stop)
        await asyncio.gather(*(in_thread(watcher.stop) for watcher in watchers))
    finally:
        await senders.close()
        ledger.close()
    teller.line({**meter(load.lateness, time.monotonic() - begun), **granted})


def _watchers(order: Order, ledger: Ledger) -> list[Probe | Streams]:
    watchers: list[Probe | Streams] = [Probe(lambda stall: ledger.add("stalls.jsonl", stall))]
    if order.streams:
        try:
            watchers.append(Streams(order.streams, lambda packet: ledger.add("streams.jsonl", packet)))
        except PermissionError as error:
            raise MachineError("instrument.no-raw-socket", "tenant streams need root (raw sockets)") from error
    return watchers


def _watch_parent(stop: asyncio.Event) -> None:
    """The end of standard input is the end of the drill that started this."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 4096):
            pass
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def meter(lateness: list[float], seconds: float) -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    ordered = sorted(lateness) or [0.0]
    return {
        "requests": float(len(lateness)),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 3),
        "seconds": round(seconds, 3),
        "lateness_p50": round(ordered[len(ordered) // 2], 6),
        "lateness_p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 6),
        "lateness_max": round(ordered[-1], 6),
    }


def hurry() -> dict[str, float]:
    """Goes before everything else on the machine, as far as it is allowed to. Threads made later inherit it."""
    # A thread that computes gives way to the one with the schedule after this time.
    sys.setswitchinterval(0.001)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        return {"realtime": 1.0, "nice": 0.0}
    with suppress(OSError):
        return {"realtime": 0.0, "nice": float(os.nice(-15))}
    return {"realtime": 0.0, "nice": float(os.nice(0))}


async def act(order: Order, teller: Teller) -> None:
    if order.action == "run":
        await run(order, teller, hurry())
        return
    senders = Senders(order, teller, None)
    try:
        if order.action == "prepare":
            await senders.prepare()
            teller.line({"prepared": True})
        else:
            teller.line({"removed": await senders.clean()})
    finally:
        await senders.close()


def main() -> int:
    teller = Teller(sys.stdout)
    try:
        asyncio.run(act(orders.read(_first_line()), teller))
    except OutlastError as error:
        teller.problem(str(error))
        return error.exit_status
    return 0


def _first_line() -> bytes:
    """Unbuffered: nothing may be taken from standard input but the order."""
    line = bytearray()
    while not line.endswith(b"\n") and (more := os.read(0, 1)):
        line += more
    return bytes(line)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Requests given up at their deadline may still hold threads.
    os._exit(status)
