"""Predicted availability: Monte-Carlo years of failures at uncertain rates, with measured outages.

For every class a year has a rate, gamma-distributed around the published one, and a Poisson number of failures; each
takes an outage from what the drills of this class measured. While a member is away another may fail; if too many are
away, the API is out until one of them is back (nines_majority). Availability is working time over working and lost
time, so one class with constant rate and outage gives MTBF / (MTBF + MTTR). Means come from expected values given the
rates, not from the years: rare double failures would need millions of those. Pure: chance is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log10

from outlast.predict.failure_rates import OPERATOR_HOURS, REPAIR_HOURS, Rate, Target
from outlast.predict.nines_majority import Away, Loss, expected_share, seconds_without
from outlast.predict.nines_outage import Chance, Law, Sample, fixed, law

HOUR = 3600.0
YEAR = 8766 * HOUR
"""Seconds of a year, leap days included."""
MEETING = "double failure"
"""Name under which failures that meet stand among the classes."""
RATE_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What can fail: controllers are the members of the smallest majority, computes the nodes that run servers."""

    controllers: int
    computes: int = 0


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Rates by class and the hours that people need. worst: seconds that each failure of a class without measurement
    lasts, None to leave these classes out."""

    rates: Mapping[str, Rate]
    repair_hours: float = REPAIR_HOURS
    operator_hours: float = OPERATOR_HOURS
    worst: float | None = None


@dataclass(frozen=True, kw_only=True)
class FaultClass:
    """One class as it is simulated. per_year: failures of all members that this target can notice; away: seconds that
    a member is missing after each, by run; repair: mean seconds of a repair; hardware: share that needs one."""

    name: str
    per_year: float
    weight: float
    outage: Law
    takes: str = ""
    away: tuple[float, ...] = (0.0,)
    hardware: float = 0.0
    repair: float = 0.0

    @property
    def mean_away(self) -> float:
        return sum(self.away) / len(self.away) + self.hardware * self.repair


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is simulated for one target. unmeasured: failures a year of classes whose outage nobody measured.

    meeting: the classes whose failures can meet, the unmeasured ones too: parts need repair whatever a drill says.
    """

    target: Target
    classes: tuple[FaultClass, ...]
    controllers: int
    meeting: tuple[FaultClass, ...] = ()
    unmeasured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Expected seconds lost in a year, by class."""

    seconds: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    @property
    def availability(self) -> float:
        return availability(self.total)

    @property
    def worst(self) -> str:
        """The class that costs most."""
        return max(self.seconds, key=lambda name: self.seconds[name])


def availability(lost: float) -> float:
    """Share of the time that works, where `lost` seconds come with every year of work."""
    return YEAR / (YEAR + lost)


def nines(value: float) -> float:
    """-log10(1 - availability); infinite for 1."""
    return -log10(1 - value) if value < 1 else float("inf")


def build(samples: Mapping[str, Sequence[Sample]], shape: Shape, given: Assumptions, target: Target) -> Model:
    """The model of one target from runs by class. Classes that the cluster has no members of are left out; those that
    have a rate but no measurement are in `unmeasured`, and among the classes only where `given.worst` says how long
    they last."""
    classes: list[FaultClass] = []
    meeting: list[FaultClass] = []
    unmeasured: dict[str, float] = {}
    for name, rate in given.rates.items():
        per_year = rate.per_year * _members(rate, shape, target)
        if not per_year:
            continue
        runs = samples.get(name, ())
        outage = law(runs, target, given.operator_hours * HOUR)
        if outage is None:
            unmeasured[name] = per_year
        item = FaultClass(
            name=name,
            per_year=per_year,
            weight=rate.weight,
            outage=outage or fixed(given.worst or 0.0),
            takes=rate.takes,
            away=_away_after(runs, given.operator_hours * HOUR),
            hardware=rate.hardware,
            repair=given.repair_hours * HOUR,
        )
        if outage or given.worst is not None:
            classes.append(item)
        if item.takes and target == "api":
            meeting.append(item)
    return Model(
        target=target,
        classes=tuple(classes),
        controllers=shape.controllers,
        meeting=tuple(meeting),
        unmeasured=unmeasured,
    )


def _away_after(runs: Sequence[Sample], operator: float) -> tuple[float, ...]:
    """Seconds until all members were back, by run; a run that never saw them back needs a person."""
    return tuple(operator if item.redundancy is None else item.redundancy for item in runs) or (0.0,)


def _members(rate: Rate, shape: Shape, target: Target) -> int:
    if target not in rate.targets or shape.controllers < rate.least:
        return 0
    if rate.members == "site":
        return 1
    if rate.members == "controller":
        return shape.controllers
    # A tenant's server is on one compute node; the others' failures are not its own.
    return min(1, shape.computes) if target == "tenant" else shape.computes


def expect(model: Model, chance: Chance, draws: int = RATE_DRAWS) -> Expected:
    """Expected loss by class: exact for failures alone, a mean over `draws` sets of rates for those that meet."""
    seconds = {item.name: item.per_year * item.outage.mean for item in model.classes}
    if model.meeting and model.controllers:
        shares = (
            expected_share(
                [Loss(_rate(item, chance), item.mean_away, item.takes) for item in model.meeting],
                model.controllers,
                YEAR,
            )
            for _ in range(draws)
        )
        seconds[MEETING] = sum(shares) / draws * YEAR
    return Expected(seconds=seconds)


def _rate(item: FaultClass, chance: Chance) -> float:
    """A rate of this class as it may really be: its mean is the published one."""
    return chance.gammavariate(item.weight, item.per_year / item.weight)


def simulate(model: Model, years: int, chance: Chance) -> tuple[float, ...]:
    """Seconds lost in each of so many years."""
    lost = [0.0] * years
    away: list[list[Away]] = [[] for _ in range(years)]
    together = {item.name: item for item in (*model.classes, *model.meeting)}
    lasting, meets = {item.name for item in model.classes}, bool(model.meeting and model.controllers)
    for item in together.values():
        draw = item.outage.drawer(chance)
        for year in range(years):
            count = poisson(_rate(item, chance), chance)
            if item.name in lasting:
                lost[year] += sum([draw() for _ in range(count)])
            if count and item.takes and meets:
                away[year] += [_away(item, model.controllers, chance) for _ in range(count)]
    for year, intervals in enumerate(away):
        if intervals:
            lost[year] += seconds_without(intervals, model.controllers, YEAR)
    return tuple(lost)


def _away(item: FaultClass, controllers: int, chance: Chance) -> Away:
    """One member's absence: which, from when, until when. Repairs are exponential; only their mean matters for the
    share of time that is lost."""
    start = chance.random() * YEAR
    length = item.away[int(chance.random() * len(item.away))]
    if item.hardware and chance.random() < item.hardware:
        length += chance.expovariate(1 / item.repair)
    return start, start + length, int(chance.random() * controllers), item.takes


def poisson(mean: float, chance: Chance) -> int:
    """A Poisson number. Multiplication of uniforms (Knuth, The Art of Computer Programming 2, 3.4.1) up to 30; larger
    means are split by the order statistics of the process (Ahrens and Dieter 1974)."""
    count = 0
    while mean > 30:
        half = int(mean * 7 / 8)
        when = chance.gammavariate(half, 1.0)
        if when > mean:
            return count + sum(chance.random() < mean / when for _ in range(half - 1))
        count, mean = count + half, mean - when
    limit, product = exp(-mean), chance.random()
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def interval(lost: Sequence[float], low: float = 0.05, high: float = 0.95) -> tuple[float, float]:
    """Availability of a bad year and of a good one: only `low` of the years are worse, only 1 - `high` better."""
    ordered = sorted(lost, reverse=True)
    last = len(ordered) - 1
    return availability(ordered[round(low * last)]), availability(ordered[round(high * last)])
