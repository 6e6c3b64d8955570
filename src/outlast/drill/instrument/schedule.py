"""When which request leaves: a pure function of seed and rates. What happens to earlier requests changes nothing."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

JITTER = 0.1
"""Largest deviation from the even distance, as a share of it: nothing beats in time with the cluster's own checks."""

POOLED_EVERY = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request. number: over all workloads, in the order of time; turn: within its workload; at: seconds after the
    beginning; fresh: on a connection of its own."""

    number: int
    at: float
    workload: str
    turn: int
    fresh: bool


def arrivals(seed: int, rates: Mapping[str, float]) -> Iterator[Arrival]:
    """All requests for ever, in the order of time.

    Even distances within a workload (at most 1.2 periods between two) keep the resolution of an outage known; each has
    its own phase, so that workloads do not leave together. A workload's times depend on the seed and on its own name
    and rate, not on what else is sent.
    """
    streams = [_times(seed, name, rate) for name, rate in sorted(rates.items()) if rate > 0]
    for number, (at, workload, turn) in enumerate(heapq.merge(*streams)):
        yield Arrival(number, at, workload, turn, is_fresh(turn))


def is_fresh(turn: int) -> bool:
    """Every fifth is pooled; the fifth's place moves on, so that it is not always the same step of a cycle."""
    return (turn + turn // POOLED_EVERY) % POOLED_EVERY != POOLED_EVERY - 1


def _times(seed: int, workload: str, rate: float) -> Iterator[tuple[float, str, int]]:
    # A string seeds through SHA-512: the same in every process.
    draw = random.Random(f"{seed}/{workload}")
    period = 1.0 / rate
    phase = draw.uniform(JITTER, 1.0) * period
    turn = 0
    while True:
        yield phase + (turn + draw.uniform(-JITTER, JITTER)) * period, workload, turn
        turn += 1
