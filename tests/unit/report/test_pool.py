"""Pooling: sums, bounds, medians, and that order and grouping make no difference."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import FAILED, UNKNOWN, levels, record, row, verdict

from outlast.record.bound import upper_bound
from outlast.record.verdict import Budget, Finding, Level, Result, StreamLoss, Verdict
from outlast.report.pool import LEVELS, Pool, merge, pool, pool_of
from outlast.report.row import Row

number = st.integers(0, 500)
time = st.none() | st.floats(0, 60, allow_nan=False)


@st.composite
def a_level(draw: st.DrawFn, name: str) -> Level:
    n = draw(number)
    return Level(
        name=name, held=draw(st.sampled_from((True, False, None))), n=n, failed=draw(st.integers(0, n)), bound=1
    )  # type: ignore[arg-type]


@st.composite
def a_verdict(draw: st.DrawFn) -> Verdict:
    found = [
        Finding(what=what, sentence="said") for what in draw(st.lists(st.sampled_from(("lost", "stale")), max_size=3))
    ]
    budgets = [
        Budget(
            name=name, limit=draw(st.sampled_from((1.0, 2.0))), found=draw(time), held=draw(st.none() | st.booleans())
        )
        for name in draw(st.sets(st.sampled_from(("stall", "lost", "mask"))))
    ]
    streams = [StreamLoss(stream="s", sent=draw(number), lost=draw(number), gap=draw(st.floats(0, 9)))]
    return Verdict(
        scenario="x",
        profile="outlast",
        result=draw(st.sampled_from(get_args(Result))),
        levels=tuple(draw(a_level(name)) for name in draw(st.sets(st.sampled_from(LEVELS)))),
        detect=draw(time),
        mask=draw(time),
        stall=draw(time),
        counts=draw(st.dictionaries(st.sampled_from(("failed", "lost", "duplicated")), number)),
        streams=tuple(streams if draw(st.booleans()) else []),
        findings=tuple(found),
        budgets=tuple(budgets),
        reasons=tuple(draw(st.lists(st.sampled_from(("a", "b", "c")), max_size=3))),
    )


@st.composite
def a_row(draw: st.DrawFn) -> Row:
    made = record("x", number=draw(st.integers(1, 99)), started=draw(st.integers(0, 10**9)))
    return Row(record=made, verdict=draw(a_verdict()), held=draw(time))


@given(a_row(), a_row(), a_row())
def test_grouping_makes_no_difference(one: Row, two: Row, three: Row) -> None:
    a, b, c = map(pool_of, (one, two, three))
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(a_row(), a_row())
def test_order_makes_no_difference(one: Row, two: Row) -> None:
    assert merge(pool_of(one), pool_of(two)) == merge(pool_of(two), pool_of(one))


@given(st.lists(a_row(), min_size=1, max_size=5))
def test_the_worst_run_decides(rows: list[Row]) -> None:
    results = {row.verdict.result for row in rows}
    expected = "fail" if "fail" in results else "unknown" if "unknown" in results else "pass"
    assert pool(rows).result == expected


def level(found: Pool, name: str) -> tuple[bool | None, int, int]:
    one = next(level for level in found.levels if level.name == name)
    return one.held, one.n, one.failed


def test_requests_are_summed_and_the_bound_is_that_of_the_sum() -> None:
    found = pool([row(number=1), row(number=2), row(number=3)])
    assert level(found, "L2") == (True, 3600, 0)
    assert found.levels[1].bound == pytest.approx(3 / 3600)


def test_one_run_that_failed_or_is_unknown_spoils_the_level() -> None:
    assert level(pool([row(), row(number=2, found=UNKNOWN)]), "L2") == (None, 2400, 0)
    assert level(pool([row(), row(number=2, found=UNKNOWN), row(number=3, found=FAILED)]), "L2") == (False, 3600, 37)


def test_a_level_held_by_no_request_at_all_is_unknown() -> None:
    assert level(pool_of(row(found=verdict(levels=levels(n=0)))), "L3") == (None, 0, 0)
    assert level(pool_of(row(found=verdict(levels=()))), "L1") == (None, 0, 0)


def test_median_and_worst_with_a_run_in_which_it_never_happened() -> None:
    masks: tuple[float | None, ...] = (0.5, None, 0.3)
    found = pool([row(number=n, found=verdict(mask=mask)) for n, mask in enumerate(masks)]).times["mask"]
    assert (found.median, found.worst) == (0.5, None)
    even = pool([row(number=n, found=verdict(mask=mask)) for n, mask in enumerate((0.2, 0.4))]).times["mask"]
    assert (even.median, even.worst) == (pytest.approx(0.3), 0.4)
    none = pool([row(number=n, found=verdict(mask=mask)) for n, mask in enumerate((0.2, None))]).times["mask"]
    assert none.median is None


def test_counts_know_how_many_runs_counted() -> None:
    found = pool([row(), row(number=2, found=verdict(counts={"failed": 3}))])
    assert (found.count("failed").total, found.count("failed").known) == (3, 2)
    assert found.count("lost").known == 1
    assert found.count("resurrected").known == 0


def test_the_budget_kept_worst_is_shown() -> None:
    bad = verdict(budgets=(Budget(name="stall", limit=1.5, found=1.9, held=False),))
    found = pool([row(), row(number=2, found=bad), row(number=3)])
    assert found.budgets == bad.budgets


def test_the_newest_run_names_the_scenario() -> None:
    old = row(number=1, title="old title")
    assert pool([row(number=2), old]).newest.title == "Power loss of the VIP holder"


def by_definition(k: int, n: int, rate: float) -> float:
    return sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_bound_is_the_rate_at_which_so_few_come_once_in_twenty(n: int, k: int) -> None:
    if k < n:
        assert by_definition(k, n, upper_bound(k, n)) == pytest.approx(0.05, rel=1e-6)
    else:
        assert upper_bound(k, n) == 1.0


def test_bounds_of_the_literature() -> None:
    # Clopper and Pearson's one-sided 95 % limits, as tables give them.
    assert upper_bound(1, 10) == pytest.approx(0.3942, abs=1e-4)
    assert upper_bound(5, 100) == pytest.approx(0.1023, abs=1e-4)
    assert upper_bound(0, 1200) == 3 / 1200
    assert upper_bound(0, 2) == 1.0
    assert upper_bound(0, 0) == 1.0


def test_the_bound_of_many_requests_is_found_without_overflow() -> None:
    assert 0.5 < upper_bound(50_000, 100_000) < 0.503
    assert upper_bound(99_999, 100_000) < 1.0


def test_a_pool_of_one_is_what_the_verdict_says() -> None:
    found = pool_of(row(found=replace(FAILED, reasons=("b", "a", "b"))))
    assert found.result == "fail"
    assert found.reasons == ("a", "b")
    assert found.tenants.gap == 0.12
