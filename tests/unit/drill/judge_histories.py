"""Hand-made runs for the judge: a steady load through one fault; times are multiples of 1/64 s, so sums are exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from outlast.drill.judge import Seen
from outlast.record.events import Event
from outlast.record.history import Operation, Packet, Stall
from outlast.record.run import Mark, Sample
from outlast.record.verdict import Finding

EFFECT, UNDO, UNDONE, REDUNDANT, END = 10.0, 25.0, 26.0, 40.0, 50.0
STEP = 1 / 16
QUICK = 1 / 64
LOST = Finding(what="lost", sentence="server 7 is gone", key="7")


def mark(at: float, what: str, fault: int = -1) -> Mark:
    return Mark(at=at, what=what, detail=f"{what} it", fault=fault)


MARKS = (
    mark(0.0, "begun"),
    mark(0.5, "healthy"),
    mark(1.0, "load-started"),
    mark(EFFECT - 0.25, "inject", 0),
    mark(EFFECT, "took-effect", 0),
    mark(UNDO, "undo", 0),
    mark(UNDONE, "undone", 0),
    mark(REDUNDANT, "redundant"),
    mark(END, "load-stopped"),
)


def without(*names: str) -> tuple[Mark, ...]:
    return tuple(each for each in MARKS if each.what not in names)


def request(number: int, scheduled: float, **changes: Any) -> Operation:
    """A good request that was sent at once and answered after 1/64 s, on a connection of its own."""
    values: dict[str, Any] = {"sent": scheduled, "ended": scheduled + QUICK, "outcome": "ok"}
    return Operation(
        **{
            "id": number,
            "workload": "w",
            "service": "nova",
            "kind": "read",
            "scheduled": scheduled,
            **values,
            **changes,
        }
    )


def bad(number: int, scheduled: float, **changes: Any) -> Operation:
    return request(number, scheduled, **{"outcome": "failed", **changes})


def load(begin: float = 1.0, end: float = END, step: float = STEP, service: str = "nova") -> tuple[Operation, ...]:
    count = int((end - begin) / step)
    return tuple(request(index, begin + index * step, service=service) for index in range(count))


def spoiled(begin: float, end: float, **changes: Any) -> tuple[Operation, ...]:
    """The load, with every request that starts in [begin, end) failed (or as the changes say)."""
    return tuple(
        replace(each, **{"outcome": "failed", **changes}) if begin <= each.scheduled < end else each for each in load()
    )


def stream(lost: tuple[int, ...] = (), count: int = 400, begin: float = 5.0, step: float = 1 / 8) -> tuple[Packet, ...]:
    """A packet every 1/8 s from 5 s on, so number 40 leaves when the fault takes effect."""
    return tuple(
        Packet(
            stream="floating",
            seq=seq,
            sent=begin + seq * step,
            received=None if seq in lost else begin + seq * step + QUICK,
        )
        for seq in range(count)
    )


def samples(*holders: tuple[str, ...], begin: float = EFFECT, step: float = 1 / 8) -> tuple[Sample, ...]:
    return tuple(Sample(at=begin + index * step, holders={"external": nodes}) for index, nodes in enumerate(holders))


def event(at: float, code: str = "guard-died") -> Event:
    return Event(1, at, "c1", "haproxy", code, "it died")


def seen(**changes: Any) -> Seen:
    """A run in which clients noticed nothing."""
    return replace(Seen(scenario="s", marks=MARKS, operations=load()), **changes)


def stall(at: float, seconds: float = 0.125) -> Stall:
    return Stall(at=at, seconds=seconds)
