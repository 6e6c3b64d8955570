"""Several runs of one scenario under one profile, taken together. Order and grouping make no difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Literal

from outlast.record.bound import upper_bound
from outlast.record.verdict import Budget, Finding, Level, Result, Verdict
from outlast.report.row import Row, session_of

LevelName = Literal["L1", "L2", "L3"]
LEVELS: tuple[LevelName, ...] = ("L1", "L2", "L3")
TIMES = ("detect", "mask", "repair", "redundancy", "stall")
WORST_FIRST: tuple[Result, ...] = ("fail", "unknown", "pass")


@dataclass(frozen=True, kw_only=True, order=True)
class Origin:
    """Where a figure comes from. started: seconds since the epoch."""

    started: float
    id: str
    title: str = ""
    fault_class: str = ""
    covers: tuple[str, ...] = ()
    commit: str = ""
    inputs: str = ""
    result: Result = "unknown"

    @property
    def session(self) -> str:
        return session_of(self.id)


@dataclass(frozen=True, kw_only=True)
class PooledLevel:
    """A level over all runs. It holds if it held in each of them."""

    name: LevelName
    held: bool | None
    n: int
    failed: int

    @property
    def bound(self) -> float:
        return upper_bound(self.failed, self.n)


@dataclass(frozen=True, kw_only=True)
class Times:
    """One time of every run, in seconds, shortest first; None (it never happened, or was not measured) is longest."""

    values: tuple[float | None, ...]

    @property
    def median(self) -> float | None:
        if not self.values:
            return None
        low, high = self.values[(len(self.values) - 1) // 2], self.values[len(self.values) // 2]
        return None if low is None or high is None else (low + high) / 2

    @property
    def worst(self) -> float | None:
        return self.values[-1] if self.values else None


@dataclass(frozen=True, kw_only=True)
class Count:
    """A sum over runs. known: how many runs counted it at all."""

    total: int
    known: int


@dataclass(frozen=True, kw_only=True)
class Tenants:
    """All tenant streams of all runs: packets sent and lost, longest gap in seconds; runs: how many had a stream."""

    sent: int = 0
    lost: int = 0
    gap: float | None = None
    runs: int = 0


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What runs of one scenario under one profile found together. origins: oldest first.

    helped: in how many of them the service was back only after the drill's undo.
    """

    scenario: str
    profile: str
    origins: tuple[Origin, ...]
    levels: tuple[PooledLevel, ...]
    times: Mapping[str, Times]
    counts: Mapping[str, Count]
    tenants: Tenants = field(default_factory=Tenants)
    helped: int = 0
    findings: tuple[Finding, ...] = ()
    budgets: tuple[Budget, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def newest(self) -> Origin:
        return self.origins[-1]

    @property
    def result(self) -> Result:
        """The worst of all runs: one that nothing can be said about is never made good by one that passed."""
        return min((origin.result for origin in self.origins), key=WORST_FIRST.index)

    @property
    def sessions(self) -> frozenset[str]:
        return frozenset(origin.session for origin in self.origins)

    def count(self, name: str) -> Count:
        return self.counts.get(name, Count(total=0, known=0))


def pool_of(row: Row) -> Pool:
    """A single run as a pool."""
    record, verdict = row.record, row.verdict
    origin = Origin(
        started=record.started,
        id=record.id,
        title=record.title,
        fault_class=record.fault_class,
        covers=record.covers,
        commit=record.commit,
        inputs=record.inputs,
        result=verdict.result,
    )
    return Pool(
        scenario=record.scenario,
        profile=record.profile,
        origins=(origin,),
        levels=tuple(_level(name, verdict.levels) for name in LEVELS),
        times={name: Times(values=(getattr(verdict, name),)) for name in TIMES},
        counts={name: Count(total=number, known=1) for name, number in verdict.counts.items()},
        tenants=_tenants(verdict),
        helped=int(row.helped),
        findings=_findings(verdict.findings),
        budgets=tuple(sorted(verdict.budgets, key=lambda budget: budget.name)),
        reasons=tuple(sorted(set(verdict.reasons))),
    )


def pool(rows: Sequence[Row]) -> Pool:
    """All runs of one scenario under one profile, at least one."""
    return reduce(merge, map(pool_of, rows))


def merge(one: Pool, other: Pool) -> Pool:
    """Both together: associative and commutative."""
    return replace(
        one,
        origins=tuple(sorted(one.origins + other.origins)),
        levels=tuple(_both(a, b) for a, b in zip(one.levels, other.levels, strict=True)),
        times={name: Times(values=_sorted(one.times[name].values + other.times[name].values)) for name in TIMES},
        counts={name: _sum(one.count(name), other.count(name)) for name in sorted({*one.counts, *other.counts})},
        tenants=_together(one.tenants, other.tenants),
        helped=one.helped + other.helped,
        findings=_findings(one.findings + other.findings),
        budgets=_budgets(one.budgets, other.budgets),
        reasons=tuple(sorted({*one.reasons, *other.reasons})),
    )


def _level(name: LevelName, levels: Sequence[Level]) -> PooledLevel:
    for level in levels:
        if level.name == name:
            # Of no request at all nothing can be said.
            held = None if level.held and not level.n else level.held
            return PooledLevel(name=name, held=held, n=level.n, failed=level.failed)
    return PooledLevel(name=name, held=None, n=0, failed=0)


def _both(one: PooledLevel, other: PooledLevel) -> PooledLevel:
    held = _all_held(one.held, other.held)
    return PooledLevel(name=one.name, held=held, n=one.n + other.n, failed=one.failed + other.failed)


def _all_held(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _sum(one: Count, other: Count) -> Count:
    return Count(total=one.total + other.total, known=one.known + other.known)


def _sorted(values: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(sorted(values, key=lambda value: (value is None, value or 0.0)))


def _tenants(verdict: Verdict) -> Tenants:
    streams = verdict.streams
    if not streams:
        return Tenants()
    return Tenants(
        sent=sum(stream.sent for stream in streams),
        lost=sum(stream.lost for stream in streams),
        gap=max(stream.gap for stream in streams),
        runs=1,
    )


def _together(one: Tenants, other: Tenants) -> Tenants:
    gaps = [gap for gap in (one.gap, other.gap) if gap is not None]
    return Tenants(
        sent=one.sent + other.sent,
        lost=one.lost + other.lost,
        gap=max(gaps, default=None),
        runs=one.runs + other.runs,
    )


def _findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(set(findings), key=lambda found: (found.safe, found.what, found.sentence, found.key)))


def _budgets(one: Sequence[Budget], other: Sequence[Budget]) -> tuple[Budget, ...]:
    """For every figure, the run that kept it worst."""
    worst: dict[str, Budget] = {}
    for budget in (*one, *other):
        known = worst.get(budget.name)
        worst[budget.name] = budget if known is None else max(known, budget, key=_badness)
    return tuple(worst[name] for name in sorted(worst))


def _badness(budget: Budget) -> tuple[int, bool, float, float]:
    rank = {False: 2, None: 1, True: 0}[budget.held]
    return rank, budget.found is None, budget.found or 0.0, -budget.limit
