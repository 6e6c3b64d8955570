"""How much load this machine's cluster can take, so that the instrument measures the fault and not its own weight.

The mix costs about one of two cores on the machine it was made on. On one whose cores need twice as long, 40 requests a
second leave nothing for the balancer's checks: servers are taken out, agents see starved programs, and every figure is
about that.
"""

from __future__ import annotations

import os
import time

REFERENCE = 0.0042
"""Seconds of `loop` on a core that bears 40 requests a second. Where it takes 0.0085 s, they and a cluster at rest (0.9
of two cores) left nothing: load averages of 46, APIs silent for minutes, with no fault at all."""

LEAST = 0.25
"""Below a quarter nothing can be told from so few requests: better an overloaded cluster that says so."""


def loop() -> float:
    """Seconds of processor time for a fixed piece of work: the best of five."""
    found = []
    for _ in range(5):
        begun = time.process_time()
        total = 0
        for number in range(200_000):
            total += number
        found.append(time.process_time() - begun)
    return min(found)


def share(seconds: float, cores: int) -> float:
    """Which part of a scenario's rate a machine is asked for (pure): 1 where it is as fast as the reference."""
    return max(LEAST, min(1.0, cores / 2 * REFERENCE / seconds))


def measured() -> float:
    """The share of this machine, now."""
    return share(loop(), os.cpu_count() or 1)
