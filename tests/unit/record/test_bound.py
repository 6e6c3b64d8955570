"""The bound of a failure rate against closed forms and published values."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.record.bound import at_most, upper_bound


@pytest.mark.parametrize(("n", "bound"), [(100, 0.03), (3000, 0.001), (3, 1.0), (1, 1.0)])
def test_none_failed_is_the_rule_of_three(n: int, bound: float) -> None:
    assert upper_bound(0, n) == pytest.approx(bound)


def test_the_rule_of_three_is_a_little_above_the_exact_bound() -> None:
    exact = 1 - 0.05 ** (1 / 200)
    assert exact < upper_bound(0, 200) < exact * 1.01


@pytest.mark.parametrize("n", [1, 2, 10, 5000])
def test_one_success_has_a_closed_form(n: int) -> None:
    # P(X ≤ n − 1) = 1 − rateⁿ = 0.05
    expected = 0.95 ** (1 / n) if n > 1 else 3.0
    assert upper_bound(n - 1, n) == pytest.approx(min(1.0, expected), abs=1e-9)


# Exact one-sided 95 % limits, as in any table of Clopper and Pearson's two-sided 90 % interval.
@pytest.mark.parametrize(
    ("failed", "n", "bound"), [(1, 10, 0.3942), (2, 10, 0.5069), (5, 10, 0.7776), (1, 20, 0.2161), (10, 100, 0.1637)]
)
def test_table(failed: int, n: int, bound: float) -> None:
    assert upper_bound(failed, n) == pytest.approx(bound, abs=1e-4)


@pytest.mark.parametrize(("failed", "n"), [(0, 0), (5, 5), (7, 5)])
def test_nothing_can_be_said(failed: int, n: int) -> None:
    assert upper_bound(failed, n) == 1.0


@given(st.integers(1, 60), st.data())
def test_at_the_bound_so_few_have_five_percent(n: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(1, n))
    rate = upper_bound(failed, n)
    if failed < n:
        direct = sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(failed + 1))
        assert direct == pytest.approx(0.05, abs=1e-6)
        assert at_most(failed, n, rate) == pytest.approx(direct)


# From 4 on: for fewer requests the rule of three says nothing, and one failure already says more.
@given(st.integers(4, 40000), st.data())
def test_more_failures_never_lower_it(n: int, data: st.DataObject) -> None:
    failed = data.draw(st.integers(0, n - 1))
    assert failed / n < upper_bound(failed, n) <= upper_bound(failed + 1, n) <= 1
