"""Round trips to RPC servers, and what a silence means: a hung worker, or a broker that stands between us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from outlast.node.answers import Bad, Unsure
from outlast.node.rpc_line import Line, Outcome, Ping
from outlast.spec.probe import Probe

EXCUSE = 15.0
"""Seconds that a worker may need to notice that its broker is gone (two heartbeats of 5 s) and to subscribe anew."""

HELLO = b"AMQP\x00\x00\x09\x01"
HELLO_SECONDS = 0.6
"""A broker that is well answers the first bytes of a connection at once, without a login."""


@dataclass
class Excuses:
    """Since when brokers were away and queues without consumer, and which workers are silent without any excuse."""

    away: dict[str, float] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)
    hung: set[str] = field(default_factory=set)

    def answered(self, queue: str) -> None:
        self.alone.pop(queue, None)
        self.hung.discard(queue)

    def why(self, queue: str, consumers: int, away: Iterable[str], now: float) -> str:
        """What else than a hang may explain that nobody answered; "" where nothing does.

        A worker that had the ping in its hands while all brokers were well is hung, whatever happens to its
        subscription later: the broker drops that of a silent client by itself.
        """
        away = tuple(away)
        self.away = {host: self.away.get(host, now) for host in away}
        if consumers:
            self.alone.pop(queue, None)
        alone = 0.0 if consumers else self.alone.setdefault(queue, now)
        if queue in self.hung:
            return ""
        lately = [host for host, since in self.away.items() if now - since < EXCUSE]
        if lately:
            return f"broker {lately[0]} does not answer, perhaps it is the worker's"
        if not consumers and now - alone < EXCUSE:
            return "the worker is not subscribed, perhaps it is looking for another broker"
        if consumers:
            self.hung.add(queue)
        return ""


_LINES: dict[tuple[str, int, str, str], Line] = {}
_EXCUSES = Excuses()


async def ping(probe: Probe) -> str:
    """Pings the server that consumes the probe's queue. Raises Bad, or Unsure where the broker is to blame."""
    exchange, _, queue = probe.path.partition("/")
    line = _line(probe)
    outcome = await _asked(line, exchange, queue, probe.timeout)
    if outcome.kind == "pong":
        _EXCUSES.answered(queue)
        return f"pong after {outcome.words}"
    if outcome.kind == "wrong":
        _EXCUSES.answered(queue)
        raise Bad(f"answered {outcome.words}")
    if outcome.kind == "untaken":
        raise Unsure(outcome.words)
    away = await _away(line.hosts, line.port)
    why = _EXCUSES.why(queue, outcome.consumers, away, time.monotonic())
    if why:
        raise Unsure(why)
    if outcome.kind == "missing":
        raise Bad("there is no such queue: the worker never subscribed")
    if not outcome.consumers:
        raise Bad(f"nobody is subscribed, no answer within {probe.timeout:g} s")
    raise Bad(f"the worker was sent the ping and gave no answer within {probe.timeout:g} s")


def _line(probe: Probe) -> Line:
    key = (probe.address, probe.port, probe.user, probe.secret)
    if key not in _LINES:
        _LINES[key] = Line(tuple(probe.address.split(",")), probe.port, probe.user, probe.secret)
    return _LINES[key]


async def _asked(line: Line, exchange: str, queue: str, timeout: float) -> Outcome:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Outcome] = loop.create_future()

    def told(outcome: Outcome) -> None:
        if not answer.done():
            answer.set_result(outcome)

    def done(outcome: Outcome) -> None:
        # A loop that has ended wants no answers any more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(told, outcome)

    line.ask(Ping(exchange, queue, time.monotonic() + timeout, done))
    try:
        # The line may be busy with a broker that does not let it in.
        return await asyncio.wait_for(answer, timeout + 1.0)
    except TimeoutError:
        return Outcome("untaken", "no broker let us in in time")


async def _away(hosts: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Brokers that do not say hello."""
    here = await asyncio.gather(*(_hello(host, port) for host in hosts))
    return tuple(host for host, good in zip(hosts, here, strict=True) if not good)


async def _hello(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(HELLO)
                return bool(await reader.read(1))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
