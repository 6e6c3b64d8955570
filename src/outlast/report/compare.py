"""How other profiles do against outlast in the same session, as ratios with both absolute values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf

from outlast.report.pool import Times
from outlast.report.row import Row
from outlast.report.scorecard import PROFILE
from outlast.report.wording import NONE, number, seconds

METRICS = ("out", "stall", "failed", "detect", "mask", "gap")
TITLES = {
    "out": "outage",
    "stall": "longest stall",
    "failed": "failed requests",
    "detect": "detect",
    "mask": "mask",
    "gap": "tenant gap",
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one profile.

    least: the true value is at least this, because the drill ended it and not the product, or because it never ended.
    seen: what was measured with the drill's undo, where that ended it. resolution: what a value of 0 may hide (±), None
    where 0 means 0.
    """

    value: float | None
    least: bool = False
    seen: float | None = None
    resolution: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """Between which values the true one lies."""
        value = self.value or 0.0
        if self.least:
            return value, inf
        return (0.0, self.resolution) if value <= 0 and self.resolution else (value, value)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """theirs / ours. value None: not measurable. sign: "≥", "≤" or "" before it."""

    metric: str
    ours: Measured
    theirs: Measured
    value: float | None = None
    sign: str = ""

    @property
    def text(self) -> str:
        ratio = NONE if self.value is None else f"{self.sign}{' ' if self.sign else ''}{_factor(self.value)} ×"
        return f"{ratio} ({_absolute(self.metric, self.theirs)} / {_absolute(self.metric, self.ours)})"


@dataclass(frozen=True, kw_only=True)
class Versus:
    """One scenario in one session: a profile against ours. runs: of theirs and of ours."""

    session: str
    scenario: str
    profile: str
    runs: tuple[int, int]
    ratios: tuple[Ratio, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    base: str
    rows: tuple[Versus, ...]

    @property
    def header(self) -> list[str]:
        return ["session", "scenario", f"against {self.base}", *(TITLES[metric] for metric in METRICS)]

    def table(self) -> list[list[str]]:
        """One list for each row, in the header's order: ratio (theirs / ours)."""
        return [[row.session, row.scenario, row.profile, *(ratio.text for ratio in row.ratios)] for row in self.rows]


def compare(runs: Sequence[Row], base: str = PROFILE) -> Comparison:
    """Every profile against `base`, scenario by scenario, within each session; several runs count by their median."""
    ordered = sorted(runs, key=_place)
    rows = [row for place, found in groupby(ordered, _place) for row in _rows(place, list(found), base)]
    return Comparison(base=base, rows=tuple(rows))


def _place(row: Row) -> tuple[str, str]:
    return row.session, row.record.scenario


def _rows(place: tuple[str, str], runs: Sequence[Row], base: str) -> Iterator[Versus]:
    by_profile: dict[str, list[Row]] = {}
    for run in runs:
        by_profile.setdefault(run.record.profile, []).append(run)
    ours = by_profile.pop(base, None)
    if ours is None:
        return
    mine = _median(ours)
    for profile, theirs in sorted(by_profile.items()):
        other = _median(theirs)
        ratios = tuple(ratio(metric, mine[metric], other[metric]) for metric in METRICS)
        yield Versus(session=place[0], scenario=place[1], profile=profile, runs=(len(theirs), len(ours)), ratios=ratios)


def ratio(metric: str, ours: Measured, theirs: Measured) -> Ratio:
    """theirs / ours with its sign; without a value where neither side's limits say anything."""
    if ours.seen and theirs.seen:
        # The undo ended both, in the same way: they are compared as they were measured.
        ours, theirs = Measured(value=ours.seen), Measured(value=theirs.seen)
    made = Ratio(metric=metric, ours=ours, theirs=theirs)
    if ours.value is None or theirs.value is None:
        return made
    (our_low, our_high), (low, high) = ours.limits, theirs.limits
    least = low / our_high if our_high > 0 else 0.0
    most = high / our_low if our_low > 0 else inf
    if least == most:
        return replace(made, value=least)
    if least > 0:
        return replace(made, value=least, sign="≥")
    return replace(made, value=most, sign="≤") if most < inf else made


def _median(runs: Sequence[Row]) -> Mapping[str, Measured]:
    found = [measured(run) for run in runs]
    return {metric: _middle([one[metric] for one in found]) for metric in METRICS}


def _middle(values: Sequence[Measured]) -> Measured:
    """The median; nothing where a run has no value."""
    resolutions = [one.resolution for one in values if one.resolution is not None]
    return Measured(
        value=_median_of([one.value for one in values]),
        least=any(one.least for one in values),
        seen=_median_of([one.seen for one in values]),
        resolution=max(resolutions, default=None),
    )


def _median_of(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return Times(values=tuple(known)).median if len(known) == len(values) else None


def measured(run: Row) -> Mapping[str, Measured]:
    """The figures of one run.

    What lasted until the drill undid the fault, or until nobody asked any more, would have lasted longer: its value is
    a lower bound.
    """
    verdict = run.verdict
    undone = not _recovered(run)
    failed = verdict.counts.get("failed")
    mask = Measured(value=verdict.mask)
    return {
        "out": _out(run, undone),
        "stall": Measured(value=verdict.stall),
        "failed": Measured(value=failed, least=bool(failed) and undone, seen=failed if undone else None),
        "detect": _detect(run),
        "mask": Measured(value=_until(run), least=True, seen=verdict.mask) if undone else mask,
        "gap": Measured(value=max((stream.gap for stream in verdict.streams), default=None)),
    }


def _until(run: Row) -> float | None:
    """How long the fault was there and somebody looked."""
    return run.watched if run.held is None else run.held


def _recovered(run: Row) -> bool:
    """Whether the product ended the outage itself: nothing was out, or it was back before the undo."""
    verdict = run.verdict
    if verdict.mask is None:
        return not any(service.out > 0 for service in verdict.services)
    return not run.helped


def _out(run: Row, undone: bool) -> Measured:
    services = run.verdict.services
    if not services:
        return Measured(value=None)
    worst = max(services, key=lambda service: service.out)
    if worst.out <= 0:
        return Measured(value=0.0, resolution=max(service.resolution for service in services))
    if not undone:
        return Measured(value=worst.out, resolution=worst.resolution)
    mask = run.verdict.mask
    helped = 0.0 if mask is None or run.held is None else mask - run.held
    return Measured(value=max(0.0, worst.out - helped), least=True, seen=worst.out, resolution=worst.resolution)


def _detect(run: Row) -> Measured:
    """What was not noticed while the fault was there would have been noticed later, if ever."""
    at = run.verdict.detect
    if at is not None and (run.held is None or at <= run.held):
        return Measured(value=at)
    return Measured(value=_until(run), least=True)


def _absolute(metric: str, one: Measured) -> str:
    if one.value is None:
        return NONE
    if one.value <= 0 and one.resolution:
        return f"0 s ± {seconds(one.resolution)}"
    sign = "≥ " if one.least else ""
    return sign + (number(one.value) if metric == "failed" else seconds(one.value))


def _factor(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"
