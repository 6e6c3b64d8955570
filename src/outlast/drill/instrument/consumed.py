"""What our consumers took off the queue, in the form in which checkers compare it with what was published."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.record.history import Operation
from outlast.record.run import RunFolder

CONSUMED = "consumed.jsonl"


@dataclass(frozen=True, kw_only=True)
class Consumed:
    """One message that was taken. at: seconds of the monotonic clock, just before its acknowledgement."""

    at: float
    key: str


def consumption(folder: RunFolder) -> tuple[Operation, ...]:
    """One answered read of "mq-notices-consume" for each message that was taken, with ids below zero."""
    return tuple(
        Operation(
            id=-number,
            workload="mq-notices-consume",
            service="rabbitmq",
            kind="read",
            scheduled=taken.at,
            sent=taken.at,
            ended=taken.at,
            outcome="ok",
            value=taken.key,
        )
        for number, taken in enumerate(folder.lines(CONSUMED, Consumed), start=1)
    )
