"""What `outlast nines` says: availability of both targets, who costs what, and what changes would buy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from outlast.predict.failure_rates import Target
from outlast.predict.nines import (
    MEETING,
    Assumptions,
    Expected,
    Model,
    Shape,
    availability,
    build,
    expect,
    interval,
    nines,
    simulate,
)
from outlast.predict.nines_outage import TARGETS, Chance, Sample

MINUTE = 60.0


@dataclass(frozen=True, kw_only=True)
class Share:
    """One class's part. per_year: failures; outage: mean seconds of one; seconds: lost in a year; part: of all lost
    time; source: of the rate."""

    name: str
    per_year: float
    runs: int
    outage: float
    seconds: float
    part: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Expected availability with its nines and minutes lost in a year."""

    availability: float
    nines: float
    minutes: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one change would buy: the figure with it, and the minutes a year that it saves."""

    what: str
    figure: Figure
    saves: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One target. bad, good: availability that only 5 % of the years miss, and only 5 % exceed; upper: the figure if
    each failure that nobody measured lasted as long as the operator says, None where nothing was said."""

    target: Target
    figure: Figure
    bad: float
    good: float
    worst: str
    shares: tuple[Share, ...]
    unmeasured: Mapping[str, float]
    changes: tuple[Change, ...]
    upper: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """Everything that a prediction depends on but for chance."""

    samples: Mapping[str, Sequence[Sample]]
    shape: Shape
    given: Assumptions
    years: int


def predict(question: Question, chances: Callable[[], Chance]) -> tuple[Prediction, ...]:
    """Predictions of the targets that some run measured. chances: a new generator with the same seed at each call, so
    that a change is compared under the same luck."""
    measured = replace(question, given=replace(question.given, worst=None))
    return tuple(_one(question, target, chances) for target in TARGETS if _model(measured, target).classes)


def _one(question: Question, target: Target, chances: Callable[[], Chance]) -> Prediction:
    measured = replace(question, given=replace(question.given, worst=None))
    model = _model(measured, target)
    expected = expect(model, chances())
    bad, good = interval(simulate(model, question.years, chances()))
    upper = None
    if question.given.worst is not None and model.unmeasured:
        upper = _figure(expect(_model(question, target), chances()).total)
    return Prediction(
        target=target,
        figure=_figure(expected.total),
        bad=bad,
        good=good,
        worst=expected.worst,
        shares=_shares(measured, model, expected),
        unmeasured=model.unmeasured,
        changes=_changes(measured, target, expected, chances),
        upper=upper,
    )


def _model(question: Question, target: Target) -> Model:
    return build(question.samples, question.shape, question.given, target)


def _figure(lost: float) -> Figure:
    value = availability(lost)
    return Figure(availability=value, nines=nines(value), minutes=lost / MINUTE)


def _shares(question: Question, model: Model, expected: Expected) -> tuple[Share, ...]:
    found = []
    for name, seconds in sorted(expected.seconds.items(), key=lambda item: -item[1]):
        item = next((item for item in model.classes if item.name == name), None)
        found.append(
            Share(
                name=name,
                per_year=item.per_year if item else 0.0,
                runs=sum(model.target in run.outages for run in question.samples.get(name, ())),
                outage=item.outage.mean if item else 0.0,
                seconds=seconds,
                part=seconds / expected.total if expected.total else 0.0,
                source=question.given.rates[name].source if item else "from the rates above and the hours of repair",
            )
        )
    return tuple(found)


def _changes(
    question: Question, target: Target, expected: Expected, chances: Callable[[], Chance]
) -> tuple[Change, ...]:
    changes = []
    more = question.shape.controllers + (2 if question.shape.controllers % 2 else 1)
    if MEETING in expected.seconds:
        larger = replace(question, shape=replace(question.shape, controllers=more))
        meeting = expect(_model(larger, target), chances()).seconds[MEETING]
        # Alone, a larger cluster's more failures each hit a smaller share of the load, and there is one VIP holder and
        # one writer as before: the time lost to them stays.
        said = f"{more} controllers instead of {question.shape.controllers}"
        changes.append(_change(said, expected, expected.total - expected.seconds[MEETING] + meeting))
    worst = max((name for name in expected.seconds if name != MEETING), key=lambda name: expected.seconds[name])
    runs = question.samples[worst]
    if any(run.detect for run in runs):
        faster = {**question.samples, worst: [run.noticed_faster() for run in runs]}
        said = f"{worst} noticed in half the time"
        model = _model(replace(question, samples=faster), target)
        changes.append(_change(said, expected, expect(model, chances()).total))
    return tuple(changes)


def _change(what: str, expected: Expected, lost: float) -> Change:
    figure = _figure(lost)
    return Change(what=what, figure=figure, saves=expected.total / MINUTE - figure.minutes)
