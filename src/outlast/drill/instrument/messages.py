"""Messages through RabbitMQ: notices with publisher confirms, consumed and accounted for, and round trips.

A new connection asks the members in turn, as OpenStack's clients do with their list of hosts; a message itself is
published once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import amqp

from outlast.drill.instrument.consumed import Consumed
from outlast.drill.instrument.order import Broker
from outlast.drill.instrument.task import Pool, Reply, Task, Trace, in_thread

Connection = Any  # py-amqp has no types
Message = Any

ATTEMPT = 2.0
"""Seconds for one member to take a connection, before the next one is asked."""

PATIENT = 15.0
"""Seconds for what is no request of the load: making and removing queues, the echo's confirmation."""

HEARTBEAT = 2
"""Seconds; a consumer gives a silent member up after two."""

LOOK = 0.5


def queues(prefix: str) -> dict[str, str]:
    """Names of our three queues."""
    name = f"outlast-drill-{prefix}"
    return {"notices": name, "rpc": f"{name}-rpc", "reply": f"{name}-reply"}


class Messages:
    """Publishes, consumes, answers. note gets every notice that was consumed, before it is acknowledged."""

    def __init__(self, broker: Broker, prefix: str, note: Callable[[Consumed], None]) -> None:
        self._broker = broker
        self._queues = queues(prefix)
        self._note = note
        self._pool: Pool[Connection] = Pool()
        self._waiting: dict[str, threading.Event] = {}
        self._consumers: list[Consumer] = []

    def prepare(self) -> None:
        """The queues. Raises OSError or amqp.AMQPError."""
        with self._connect(0, attempt=PATIENT) as connection:
            for name in self._queues.values():
                declare(connection, name)

    def clean(self) -> None:
        with self._connect(0, attempt=PATIENT) as connection:
            for name in self._queues.values():
                connection.channel().queue_delete(name)

    def start(self, workloads: tuple[str, ...]) -> None:
        """The consumers that these workloads need.

        Calls are answered on every member, where a service has its workers too; answers come to one, as to a caller.
        """
        wanted: list[tuple[int, str, Callable[[Connection, Message], None]]] = []
        if "mq-notices" in workloads:
            wanted.append((0, self._queues["notices"], self._on_notice))
        if "mq-rpc" in workloads:
            wanted += [(turn, self._queues["rpc"], _echo) for turn in range(len(self._broker.hosts))]
            wanted.append((2, self._queues["reply"], self._on_reply))
        for turn, queue, work in wanted:
            self._consumers.append(Consumer(partial(self._connect, turn, heartbeat=HEARTBEAT), queue, work))

    def stop(self) -> None:
        for consumer in self._consumers:
            consumer.stop()

    async def send(self, task: Task, trace: Trace) -> Reply:
        later = ExitStack()
        return await in_thread(lambda: self._publish(task, trace, later), later)

    def _publish(self, task: Task, trace: Trace, later: ExitStack) -> Reply:
        """Closing a connection takes a round trip, so it comes later: the request has had its answer."""
        trace.begun = time.monotonic()
        connection = None if task.fresh else self._pool.take()
        try:
            if connection is None:
                connection = self._connect(task.id, task.until)
            later.callback(_close, connection)
            trace.left = True
            reply = self._round_trip(connection, task) if task.workload == "mq-rpc" else self._notice(connection, task)
            if not task.fresh:
                later.pop_all()
                self._pool.give(connection)
            return reply
        except amqp.exceptions.MessageNacked:
            return Reply("failed", "nacked")
        except (OSError, amqp.AMQPError) as error:
            return _failure(error, trace)

    def _notice(self, connection: Connection, task: Task) -> Reply:
        _confirmed(connection, amqp.Message(task.key, delivery_mode=2), self._queues["notices"], _left(task))
        return Reply("ok", "", task.key)

    def _round_trip(self, connection: Connection, task: Task) -> Reply:
        came = self._waiting[task.key] = threading.Event()
        try:
            message = amqp.Message(
                task.key, delivery_mode=2, correlation_id=task.key, reply_to=self._queues["reply"], message_id=task.key
            )
            _confirmed(connection, message, self._queues["rpc"], _left(task))
            good = came.wait(_left(task))
        finally:
            del self._waiting[task.key]
        return Reply("ok", "", task.key) if good else Reply("unknown", "no reply")

    def _on_notice(self, _connection: Connection, message: Message) -> None:
        self._note(Consumed(at=time.monotonic(), key=str(message.body)))
        message.channel.basic_ack(message.delivery_tag)

    def _on_reply(self, _connection: Connection, message: Message) -> None:
        waiting = self._waiting.get(str(message.properties.get("correlation_id")))
        if waiting is not None:
            waiting.set()
        message.channel.basic_ack(message.delivery_tag)

    def _connect(
        self, turn: int, until: float | None = None, heartbeat: int = 0, attempt: float = ATTEMPT
    ) -> Connection:
        """A connection to one of the members, the turn-th first. Raises the last OSError or amqp.AMQPError."""
        hosts = self._broker.hosts
        last: Exception = OSError("no member answered in time")
        until = until or time.monotonic() + attempt * len(hosts)
        for offset in range(len(hosts)):
            seconds = min(attempt, until - time.monotonic())
            if seconds <= 0:
                break
            try:
                return connect(self._broker, hosts[(turn + offset) % len(hosts)], seconds, heartbeat)
            except (OSError, amqp.AMQPError) as error:
                last = error
        raise last


class Consumer:
    """Consumes one queue in a thread of its own, on whichever member answers, until it is stopped."""

    def __init__(
        self, connect: Callable[[], Connection], queue: str, work: Callable[[Connection, Message], None]
    ) -> None:
        self._connect = connect
        self._queue = queue
        self._work = work
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"consumer {queue}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(2 * LOOK)

    def _run(self) -> None:
        while not self._end.is_set():
            connection = None
            # Whatever happens to a consumer, its message comes again on the next connection.
            with suppress(OSError, amqp.AMQPError):
                connection = self._connect()
                self._consume(connection)
            if connection is not None:
                with suppress(Exception):
                    connection.collect()
            self._end.wait(0.1)

    def _consume(self, connection: Connection) -> None:
        arrived: list[Message] = []
        cancelled = threading.Event()
        channel = declare(connection, self._queue)
        channel.basic_qos(0, 50, False)
        channel.basic_consume(self._queue, callback=arrived.append, on_cancel=lambda _tag: cancelled.set())
        while not self._end.is_set() and not cancelled.is_set():
            connection.heartbeat_tick()
            with suppress(TimeoutError):
                connection.drain_events(timeout=LOOK)
            # Outside the callback: an answer waits for its confirmation, which may bring more messages.
            while arrived:
                self._work(connection, arrived.pop(0))
        if self._end.is_set():
            connection.close()


def connect(broker: Broker, host: str, seconds: float, heartbeat: int = 0) -> Connection:
    """One member, each step of the handshake within `seconds`. A heartbeat is for who reads all the time: an idle
    connection of the pool would be closed for missing it. Raises OSError or amqp.AMQPError."""
    connection = amqp.Connection(
        host,
        userid=broker.user,
        password=broker.password,
        confirm_publish=True,
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
        heartbeat=heartbeat,
    )
    connection.connect()
    return connection


def _close(connection: Connection) -> None:
    # A broken connection cannot say goodbye either.
    with suppress(Exception):
        connection.close()


def declare(connection: Connection, queue: str) -> Any:
    """The durable quorum queue, made if need be; returns the channel."""
    channel = connection.channel()
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    return channel


def _echo(connection: Connection, message: Message) -> None:
    properties = message.properties
    reply = amqp.Message(message.body, delivery_mode=2, correlation_id=properties.get("correlation_id"))
    _confirmed(connection, reply, properties["reply_to"], PATIENT)
    message.channel.basic_ack(message.delivery_tag)


def _confirmed(connection: Connection, message: Message, queue: str, seconds: float) -> None:
    """Publishes and waits for the confirmation; a message that no queue takes is an error (mandatory)."""
    connection.channel(1).basic_publish_confirm(
        message, routing_key=queue, mandatory=True, timeout=seconds, confirm_timeout=seconds
    )


def _left(task: Task) -> float:
    return max(0.01, task.until - time.monotonic())


def _failure(error: Exception, trace: Trace) -> Reply:
    words = type(error).__name__
    if not trace.left:
        return Reply("failed", f"connect: {words}")
    # The broker's own word about this message: no such queue, refused, returned.
    refused = isinstance(error, amqp.exceptions.ChannelError)
    return Reply("failed" if refused else "unknown", words)
