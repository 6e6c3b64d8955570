"""What a drill found, in numbers: levels, times, counts. The scorecard is made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Result = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Level:
    """A fault-tolerance level: of n requests it is about, `failed` did not hold it.

    L1: works again, nothing permanent (n: requests after the recovery). L2: no new request fails (sent after the fault
    took effect, on connections of their own). L3: no request fails at all, not even those in flight.
    bound: 95 % upper bound of the failure rate (3/n when none failed).
    """

    name: Literal["L1", "L2", "L3"]
    held: bool | None
    n: int
    failed: int
    bound: float


@dataclass(frozen=True, kw_only=True)
class StreamLoss:
    """A tenant stream: packets sent and lost between the fault and full redundancy, and its longest gap in seconds."""

    stream: str
    sent: int
    lost: int
    gap: float


@dataclass(frozen=True, kw_only=True)
class ServiceLoss:
    """One service's requests after the fault took effect.

    out: seconds in which none of its requests was answered well although some were due, with `resolution`, the
    largest distance between two requests (±). stall: longest time that one request took.
    """

    service: str
    n: int
    failed: int
    unknown: int
    out: float
    resolution: float
    stall: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a checker says. what: lost, duplicated, failed-but-applied, stale, resurrected, diverged,
    two-owners, no-owner, two-writers …; safe: False where it may never happen, whatever the timing."""

    what: str
    sentence: str
    key: str = ""
    safe: bool = False


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One figure that the scenario wanted, and what was found. found None: it could not be measured."""

    name: str
    limit: float
    found: float | None
    held: bool | None


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """How good the measuring was. Lateness: seconds from schedule to the first byte. cpu: share of one core used."""

    requests: int
    rate: float
    lateness_p50: float
    lateness_p99: float
    cpu: float
    stalls: int
    worst_stall: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A drill's result.

    Times are seconds after the (last) fault took effect, None where it never happened or was not measured.
    detect: first event of an agent or guard about it; mask: first good answer of the service hit worst after its last
    bad one; repair: what broke runs again; redundancy: every member back and settled.
    counts: ok, failed, unknown, new-failed, in-flight-failed, pooled-failed, lost, duplicated, failed-but-applied,
    stale, resurrected.
    """

    scenario: str
    profile: str
    result: Result
    levels: tuple[Level, ...]
    detect: float | None = None
    mask: float | None = None
    repair: float | None = None
    redundancy: float | None = None
    stall: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    services: tuple[ServiceLoss, ...] = ()
    streams: tuple[StreamLoss, ...] = ()
    findings: tuple[Finding, ...] = ()
    budgets: tuple[Budget, ...] = ()
    instrument: Instrument | None = None
    reasons: tuple[str, ...] = ()
