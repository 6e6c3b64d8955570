"""How much load this machine's cluster can take, so that the instrument measures the fault and not its own weight.

The mix costs about one of two cores on the machine it was made on. Where nothing is left for the balancer's checks and
for what is started again, servers are taken out, agents see starved programs, and every figure is about that.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

REFERENCE = 0.0042
"""Seconds of `loop` on a core that bears 40 requests a second. Where it takes 0.0085 s, they and a cluster at rest (0.9
of two cores) left nothing: load averages of 46, APIs silent for minutes, with no fault at all."""

MIX = 1.0
"""Cores of the reference that the full rate of the mix takes."""

OWN = 0.25
"""Cores of the reference that a drill takes besides: its looks, its load generator, two servers and their streams."""

SPARE = 0.3
"""The part of the machine that stays free: what is killed has to start again, and a controller that boots takes some 30
seconds of a core of the reference (estimated). With 12 requests a second on cores of 2.2 times the reference nothing
was free: a controller took 114 s to come back, and requests that the fault had nothing to do with waited up to 20 s."""

LEAST = 0.1
"""Below a tenth nothing can be told from so few requests: better an overloaded cluster that says so."""

PERIOD, LONGEST_PERIOD = 0.01, 0.04
"""Seconds between two packets of a tenant stream, and on a slow machine: the gaps in question are half a second long,
and 100 packets a second through two emulated servers and a switch in user space took half of a slow core."""

WATCHED = 2.0
"""Seconds for which the machine is watched at rest."""


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


def busy(before: str, after: str) -> float:
    """Which part of the machine worked between two readings of /proc/stat (proc(5): idle and iowait do not)."""
    first, last = ([int(word) for word in text.split("\n", 1)[0].split()[1:9]] for text in (before, after))
    spent = [later - earlier for earlier, later in zip(first, last, strict=True)]
    return 1 - (spent[3] + spent[4]) / max(1, sum(spent))


def share(seconds: float, cores: int, busy_cores: float) -> float:
    """Which part of a scenario's rate a machine is asked for (pure): 1 where enough is free for all of it.

    `seconds`: what `loop` takes; `busy_cores`: what the cluster takes at rest.
    """
    slower = seconds / REFERENCE
    free = cores * (1 - SPARE) - busy_cores - OWN * slower
    return max(LEAST, min(1.0, free / (MIX * slower)))


def period(part: float) -> float:
    """Seconds between two packets of a tenant stream on a machine that is asked for this part of the rate (pure)."""
    return min(LONGEST_PERIOD, PERIOD / part)


def measured() -> float:
    """The share of this machine, now, while the cluster is at rest. Takes `WATCHED` seconds."""
    path, cores = Path("/proc/stat"), os.cpu_count() or 1
    before = path.read_text(encoding="ascii")
    time.sleep(WATCHED)
    return share(loop(), cores, cores * busy(before, path.read_text(encoding="ascii")))
