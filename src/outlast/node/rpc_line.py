"""One kept connection to a broker, in a thread of its own, by which oslo.messaging's RPC servers are pinged.

The message is what an oslo.messaging client sends (oslo_messaging/_drivers/{common,amqp,amqpdriver}.py): an envelope
around JSON that names the method, the call's id and the queue for the answer. The server's reply goes to the default
exchange with that queue as routing key; the name comes from the body, so RabbitMQ's direct reply-to, which rewrites a
header, is of no use, and the queue is an exclusive one that ends with the connection.
A ping expires with its time-out: who is hung for a minute must not wake to a heap of old ones.
"""

from __future__ import annotations

import json
import select
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Connection = Any  # py-amqp has no types
Message = Any

ATTEMPT = 1.5
"""Seconds for a broker to let us in, or to answer a question about a queue."""

HEARTBEAT, TICK = 5, 1.0
"""Seconds; a broker that is silent for two heartbeats is left."""

BACKOFF = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the n-th attempt; each goes to the next broker."""

IDLE = 60.0
"""Seconds without a question after which the connection is closed."""

LATE = 1.0
"""Seconds after the time-out. Who looks later than that does not know whether the answer came in time."""


@dataclass(frozen=True)
class Outcome:
    """What became of a ping. Of `silent` ones `consumers` tells how many the queue had when the time was over.

    kind: pong; wrong (another answer); silent (queued, and no answer); missing (no such queue); untaken (the broker did
    not confirm it, or there is none).
    """

    kind: str
    words: str = ""
    consumers: int = 0


@dataclass
class Ping:
    """A question to the one consumer of a queue. `done` is called once, by the line's thread."""

    exchange: str
    queue: str
    until: float
    done: Callable[[Outcome], None]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    sent: float = 0.0
    tag: int = 0
    confirmed: bool = False


class Line:
    """Keeps the connection; takes pings from any thread."""

    def __init__(self, hosts: tuple[str, ...], port: int, user: str, secret: str) -> None:
        self.hosts, self.port, self._login = hosts, port, (user, secret)
        self._asked: deque[Ping] = deque()
        self._waiting: dict[str, Ping] = {}
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._connection: Connection = None
        self._channel: Any = None
        self._reply_queue = ""
        self._echo = ""
        self._published = 0
        self._turn, self._failures, self._retry_at = 0, 0, 0.0
        self._error = "no broker was asked yet"
        self._ticked = self._used = time.monotonic()
        threading.Thread(target=self._run, name="rpc line", daemon=True).start()

    def ask(self, ping: Ping) -> None:
        self._asked.append(ping)
        with suppress(BlockingIOError):
            self._wake.send(b".")

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                self._round()
            except Exception as error:  # whatever the library raises, the next broker is asked
                self._lost(error)

    def _round(self) -> None:
        now = time.monotonic()
        if self._asked:
            self._used = now
            if self._connection is None and now >= self._retry_at:
                self._connect()
            while self._connection is not None and self._asked:
                self._publish(self._asked.popleft())
        self._expire(time.monotonic())
        self._rest()
        if self._connection is not None and now - self._ticked >= TICK:
            self._ticked = now
            self._connection.heartbeat_tick()
            if now - self._used > IDLE:
                self._drop()

    def _rest(self) -> None:
        """Until the broker says something, or somebody asks, or a time is over."""
        now = time.monotonic()
        times = [ping.until for ping in (*self._waiting.values(), *self._asked)]
        if self._connection is not None:
            times.append(self._ticked + TICK)
        elif self._asked:
            times.append(self._retry_at)
        pause = max(0.0, min(times) - now) if times else None
        sockets = [self._woken, *([self._connection.sock] if self._connection is not None else [])]
        ready, _, _ = select.select(sockets, [], [], pause)
        if self._woken in ready:
            self._woken.recv(4096)
        if len(ready) > (self._woken in ready):
            self._connection.blocking_read(ATTEMPT)

    def _connect(self) -> None:
        import amqp

        host = self.hosts[self._turn % len(self.hosts)]
        self._error = f"broker {host}"
        connection = amqp.Connection(
            f"{host}:{self.port}",
            userid=self._login[0],
            password=self._login[1],
            connect_timeout=ATTEMPT,
            read_timeout=ATTEMPT,
            write_timeout=ATTEMPT,
            heartbeat=HEARTBEAT,
            client_properties={"connection_name": "outlast agent"},
        )
        try:
            connection.connect()
            channel = connection.channel()
            channel.confirm_select()
            declared = channel.queue_declare(
                "", exclusive=True, auto_delete=True, durable=False, arguments={"x-queue-type": "classic"}
            )
            channel.basic_consume(declared.queue, no_ack=True, callback=self._on_reply)
        except BaseException:
            connection.collect()
            raise
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        self._connection, self._channel, self._reply_queue = connection, channel, declared.queue
        self._published, self._failures = 0, 0

    def _publish(self, ping: Ping) -> None:
        import amqp

        now = time.monotonic()
        if now >= ping.until:
            self._asked.appendleft(ping)
            return self._expire(now)
        left = max(1, round((ping.until - now) * 1000))
        message = amqp.Message(
            envelope(ping.id, self._reply_queue),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=1,
            message_id=ping.id,
            expiration=str(left),
        )
        self._published += 1
        ping.sent, ping.tag = now, self._published
        self._waiting[ping.id] = ping
        self._channel.basic_publish(message, ping.exchange, ping.queue, mandatory=True)
        return None

    def _expire(self, now: float) -> None:
        for ping in [ping for ping in self._asked if now >= ping.until]:
            self._asked.remove(ping)
            ping.done(Outcome("untaken", f"no broker to send it by: {self._error}"))
        for ping in [ping for ping in self._waiting.values() if now >= ping.until]:
            # What is asked about one that was silent lets the answer to another come in.
            if self._waiting.pop(ping.id, None) is None:
                continue
            if now - ping.until > LATE:
                ping.done(Outcome("untaken", f"this machine was {now - ping.until:.1f} s late to look"))
            elif not ping.confirmed:
                ping.done(Outcome("untaken", f"{self._error} did not confirm the message"))
                # Another broker may do better; one whose queues have no majority is no better anywhere.
                return self._lost(TimeoutError(f"{self._error} did not confirm a message"))
            else:
                self._silent(ping)
        return None

    def _silent(self, ping: Ping) -> None:
        import amqp

        if not self._way_back():
            ping.done(Outcome("untaken", f"{self._error} does not bring us answers any more"))
            raise ConnectionError("it has lost our queue for answers")
        try:
            channel = self._connection.channel()
            consumers = channel.queue_declare(ping.queue, passive=True).consumer_count
            channel.close()
        except amqp.NotFound:
            consumers = 0
        except Exception:
            ping.done(Outcome("untaken", f"{self._error} does not know about {ping.queue}"))
            raise
        ping.done(Outcome("silent", "", consumers))

    def _way_back(self) -> bool:
        """Whether what is sent to our own queue still arrives.

        After a partition a broker may forget the queue and keep the connection, without a word: then no answer of any
        worker comes, however well it is.
        """
        import amqp

        self._echo = uuid.uuid4().hex
        self._published += 1
        message = amqp.Message("", message_id=self._echo, delivery_mode=1)
        self._channel.basic_publish(message, "", self._reply_queue, mandatory=True)
        end = time.monotonic() + ATTEMPT
        with suppress(TimeoutError):
            while self._echo and (left := end - time.monotonic()) > 0:
                self._connection.blocking_read(left)
        return not self._echo

    def _lost(self, error: Exception) -> None:
        """The connection is gone: nothing is known of what was under way, except that an exchange was missing."""
        missing = getattr(error, "reply_code", 0) == 404
        if not missing:
            self._turn += 1
            self._failures = min(self._failures + 1, len(BACKOFF) - 1)
            self._error = f"{self._error.split(': ')[0]}: {str(error)[:100] or type(error).__name__}"
        self._retry_at = time.monotonic() + BACKOFF[self._failures]
        self._drop()
        waiting, self._waiting = self._waiting, {}
        for ping in waiting.values():
            ping.done(Outcome("missing" if missing else "untaken", self._error))

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.collect()

    # --- what the broker says ------------------------------------------------------------------------------------

    def _on_reply(self, message: Message) -> None:
        if message.properties.get("message_id") == self._echo:
            self._echo = ""
            return
        answer = opened(message.body)
        ping = self._waiting.pop(str(answer.get("_msg_id")), None)
        if ping is None:
            return
        if answer.get("result") == "pong":
            ping.done(Outcome("pong", f"{(time.monotonic() - ping.sent) * 1000:.0f} ms"))
        else:
            ping.done(Outcome("wrong", str(answer.get("failure") or answer.get("result"))[:120]))

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for ping in self._tagged(tag, multiple):
            ping.confirmed = True

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for ping in self._tagged(tag, multiple):
            del self._waiting[ping.id]
            ping.done(Outcome("untaken", f"{self._error} refused the message"))

    def _on_return(self, _error: object, _exchange: str, _key: str, message: Message) -> None:
        ping = self._waiting.pop(str(message.properties.get("message_id")), None)
        if ping is not None:
            ping.done(Outcome("missing"))

    def _tagged(self, tag: int, multiple: bool) -> list[Ping]:
        return [ping for ping in self._waiting.values() if ping.tag == tag or (multiple and ping.tag <= tag)]


def envelope(msg_id: str, reply_queue: str) -> str:
    """The call `oslo_rpc_server_ping`, which every RPC server answers where rpc_ping_enabled is on."""
    call = {
        "method": "oslo_rpc_server_ping",
        "args": {},
        "version": "1.0",
        "_msg_id": msg_id,
        "_reply_q": reply_queue,
        "_unique_id": msg_id,
    }
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(call)})


def opened(body: str | bytes) -> dict[str, Any]:
    """What is in an envelope; empty for anything else."""
    with suppress(ValueError, TypeError, KeyError):
        inner = json.loads(json.loads(body)["oslo.message"])
        return inner if isinstance(inner, dict) else {}
    return {}
