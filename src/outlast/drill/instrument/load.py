"""The load itself: sends what the schedule says when it says so, and writes down what was meant and what came of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping

from outlast.drill.instrument.api import key_of
from outlast.drill.instrument.known import Known, Next
from outlast.drill.instrument.ledger import Ledger
from outlast.drill.instrument.mix import MIX, rates
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.schedule import Arrival, arrivals
from outlast.drill.instrument.task import Reply, Sender, Task, Tell, Trace
from outlast.record.history import Done, Intent

AHEAD = 0.25
"""Seconds between writing an intent and its scheduled time: more than a sync of a busy disk takes."""

MOST = 2000
"""Requests under way at once. Beyond it a request is recorded as failed, never left out."""

_SWEEP = 2.0
_PAUSE = 0.01


class Load:
    """Must be made inside the loop that runs it."""

    def __init__(self, order: Order, senders: Mapping[str, Sender], ledger: Ledger, tell: Tell) -> None:
        self._order = order
        self._senders = senders
        self._ledger = ledger
        self._tell = tell
        self._known = Known()
        self._under_way: set[asyncio.Task[None]] = set()
        self._planned = 0
        self._swept = time.monotonic()
        self.lateness: list[float] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until told to stop or until the order's seconds have passed, then waits for what is under way."""
        begun = time.monotonic() + AHEAD
        waiter = asyncio.create_task(stop.wait())
        for arrival in arrivals(self._order.seed, rates(self._order.workloads, self._order.rate)):
            if arrival.at > self._order.seconds:
                break
            if not await self._until(begun + arrival.at - AHEAD, waiter):
                break
            self._plan(arrival, begun + arrival.at)
        # Streams and the probe go on to the end, with a workload or without.
        await self._until(begun + self._order.seconds, waiter)
        waiter.cancel()
        await self._finish()

    async def _until(self, moment: float, waiter: asyncio.Task[bool]) -> bool:
        """Waits; False when the load is to stop."""
        seconds = moment - time.monotonic()
        if seconds > 0:
            self._sweep(seconds)
            await asyncio.wait({waiter}, timeout=max(0.0, moment - time.monotonic()))
        return not waiter.done()

    def _sweep(self, seconds: float) -> None:
        """The collector runs when nothing is due, and only over what is young: everything else is frozen."""
        now = time.monotonic()
        if now - self._swept > _SWEEP and seconds > _PAUSE:
            self._swept = now
            gc.collect(1)

    async def _finish(self) -> None:
        """What was planned still leaves; what is under way has its deadline."""
        until = time.monotonic() + AHEAD + self._order.deadline + 1.0
        while (self._planned or self._under_way) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def _plan(self, arrival: Arrival, scheduled: float) -> None:
        """Decides what the request is, writes it down, and sets its time."""
        chosen = self._known.next(arrival.workload, arrival.turn)
        if chosen is None:
            return
        task = self._task(arrival, chosen, scheduled)
        written = self._ledger.intent(
            Intent(
                id=task.id,
                workload=task.workload,
                service=task.service,
                kind=task.kind,
                scheduled=scheduled,
                key=task.key,
                fresh=task.fresh,
            )
        )
        self._planned += 1
        asyncio.get_running_loop().call_at(scheduled, self._leave, task, written)

    def _task(self, arrival: Arrival, chosen: Next, scheduled: float) -> Task:
        number = self._order.first + arrival.number * self._order.step
        thing = chosen.thing
        new = chosen.kind == "create" or arrival.workload == "mq-rpc"
        return Task(
            id=number,
            workload=arrival.workload,
            service=MIX[arrival.workload].service,
            kind=chosen.kind,
            scheduled=scheduled,
            until=scheduled + self._order.deadline,
            key=key_of(arrival.workload, self._order.prefix, number) if new else thing.key if thing else "",
            ref=thing.ref if thing else "",
            fresh=arrival.fresh,
        )

    def _leave(self, task: Task, written: asyncio.Future[None] | None) -> None:
        self._planned -= 1
        if len(self._under_way) >= MOST:
            self._end(task, Trace(), Reply("failed", "instrument full"))
            return
        running = asyncio.create_task(self._send(task, written))
        self._under_way.add(running)
        running.add_done_callback(self._under_way.discard)

    async def _send(self, task: Task, written: asyncio.Future[None] | None) -> None:
        trace = Trace()
        try:
            async with asyncio.timeout_at(task.until):
                if written is not None:
                    await written
                self.lateness.append(time.monotonic() - task.scheduled)
                reply = await self._senders[task.workload](task, trace)
        except TimeoutError:
            reply = Reply(trace.broken, "time-out" if trace.left else "connect: time-out", trace.value)
        except Exception as error:
            # Nobody else's fault: said aloud, and never counted as an answer.
            reply = Reply(trace.broken, f"own error: {type(error).__name__}")
            self._tell(f"{task.workload}: {type(error).__name__}: {error}")
        self._end(task, trace, reply)

    def _end(self, task: Task, trace: Trace, reply: Reply) -> None:
        write = task.kind in ("create", "delete")
        self._ledger.done(
            Done(
                id=task.id,
                sent=trace.sent,
                accepted=trace.accepted,
                ended=time.monotonic(),
                outcome=reply.outcome,
                detail=reply.detail,
                value=reply.value,
            ),
            durable=write,
        )
        if task.kind == "create":
            self._known.ended(task.workload, task.key, reply.value)
