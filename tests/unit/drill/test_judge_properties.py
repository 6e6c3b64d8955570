"""What holds for every run: more failures are never better; time of day and order of what was seen do not matter."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from judge_histories import EFFECT, LOST, REDUNDANT, bad, load, samples, seen, stall, stream, without

from outlast.drill.judge import Seen, judge
from outlast.record.events import Event
from outlast.record.history import Operation
from outlast.record.verdict import Finding

RANK = {"fail": 0, "unknown": 1, "pass": 2}
BUDGETS = {
    "new-failed": 3,
    "failed": 4,
    "stall": 2,
    "message-stall": 2,
    "mask": 8,
    "detect": 3,
    "redundancy": 40,
    "p99-ratio": 100,
    "stream-lost": 4,
    "stream-gap": 0.5,
    "no-owner": 0.5,
    "owners": 0.3,
    "lost": 0,
}
EIGHTHS = st.integers(-64, 360).map(lambda number: EFFECT + number / 8)
FAILING = st.builds(
    bad,
    st.integers(10_000, 99_999),
    EIGHTHS,
    outcome=st.sampled_from(["failed", "unknown"]),
    ended=st.just(None) | st.just(REDUNDANT + 20.0),
    fresh=st.booleans(),
    service=st.sampled_from(["nova", "glance"]),
)
HOLDERS = st.sampled_from([("c1",), ("c2",), ("c1", "c2"), ()])


@dataclass(frozen=True)
class Plot:
    """What happens in a run; small, so that hypothesis can show it."""

    failing: list[Operation]
    lost: list[int]
    holders: list[tuple[str, ...]]
    noticed: list[float]
    stalls: list[float]
    findings: tuple[Finding, ...]
    missing: str
    budgets: set[str]

    def seen(self) -> Seen:
        glance = tuple(replace(each, id=each.id + 5000) for each in load(step=1 / 4, service="glance"))
        return seen(
            operations=(*load(step=1 / 4), *glance, *self.failing),
            packets=stream(tuple(self.lost)),
            samples=samples(*self.holders),
            events=tuple(Event(index, at, "c1", "x", "guard-died", "") for index, at in enumerate(self.noticed)),
            stalls=tuple(stall(at) for at in self.stalls),
            findings=self.findings,
            marks=without(self.missing),
            budgets={name: BUDGETS[name] for name in self.budgets},
        )


PLOTS = st.builds(
    Plot,
    failing=st.lists(FAILING, max_size=6),
    lost=st.lists(st.integers(30, 300), max_size=6),
    holders=st.lists(HOLDERS, max_size=12),
    noticed=st.lists(EIGHTHS, max_size=4),
    stalls=st.lists(EIGHTHS, max_size=3),
    findings=st.sampled_from([(), (), (), (LOST,)]),
    missing=st.sampled_from(["", "", "", "redundant", "load-stopped", "undo", "inject", "took-effect"]),
    budgets=st.sets(st.sampled_from(sorted(BUDGETS))),
)


@given(PLOTS, st.lists(FAILING, min_size=1, max_size=4))
def test_failing_requests_never_make_a_verdict_better(plot: Plot, more: list) -> None:
    run = plot.seen()
    before, after = judge(run), judge(replace(run, operations=(*run.operations, *more)))
    assert RANK[after.result] <= RANK[before.result]
    order = {False: 0, None: 1, True: 2}
    for old, new in zip(before.levels, after.levels, strict=True):
        assert order[new.held] <= order[old.held]
    for was, now in zip(before.budgets, after.budgets, strict=True):
        assert order[now.held] <= order[was.held]


@given(PLOTS, st.integers(-(2**20), 2**20))
def test_the_time_of_day_does_not_matter(plot: Plot, shift: int) -> None:
    run = plot.seen()
    assert judge(moved(run, float(shift))) == judge(run)


def moved(run: Seen, by: float) -> Seen:
    def later(at: float | None) -> float | None:
        return None if at is None else at + by

    return replace(
        run,
        marks=tuple(replace(each, at=each.at + by) for each in run.marks),
        operations=tuple(
            replace(each, scheduled=each.scheduled + by, sent=later(each.sent), ended=later(each.ended))
            for each in run.operations
        ),
        packets=tuple(replace(each, sent=each.sent + by, received=later(each.received)) for each in run.packets),
        stalls=tuple(replace(each, at=each.at + by) for each in run.stalls),
        samples=tuple(replace(each, at=each.at + by) for each in run.samples),
        events=tuple(replace(each, at=each.at + by) for each in run.events),
    )


@given(PLOTS, st.integers(0, 2**32).map(random.Random))
def test_the_order_of_what_was_seen_does_not_matter(plot: Plot, chance: random.Random) -> None:
    def mixed(values: tuple) -> tuple:
        return tuple(chance.sample(values, len(values)))

    run = plot.seen()
    names = ("marks", "operations", "packets", "stalls", "samples", "events", "findings")
    assert judge(replace(run, **{name: mixed(getattr(run, name)) for name in names})) == judge(run)


@given(PLOTS)
def test_a_verdict_says_why_it_is_no_pass(plot: Plot) -> None:
    verdict = judge(plot.seen())
    assert bool(verdict.reasons) == (verdict.result != "pass")
