"""The schedule: a pure function, even, complete, and in the order of time."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.instrument.mix import MIX, by_origin, rates
from outlast.drill.instrument.schedule import JITTER, Arrival, arrivals

SOME_RATES = st.dictionaries(st.sampled_from(sorted(MIX)), st.floats(0.1, 50.0), min_size=1, max_size=6)


def first(count: int, seed: int, shares: dict[str, float]) -> list[Arrival]:
    return list(islice(arrivals(seed, shares), count))


@given(st.integers(0, 2**32), SOME_RATES)
def test_same_seed_same_times(seed: int, shares: dict[str, float]) -> None:
    assert first(200, seed, shares) == first(200, seed, shares)
    assert first(20, seed, shares) != first(20, seed + 1, shares)


@given(st.integers(0, 2**32), SOME_RATES)
def test_ordered_and_numbered(seed: int, shares: dict[str, float]) -> None:
    found = first(300, seed, shares)
    assert [arrival.number for arrival in found] == list(range(300))
    assert all(early.at <= late.at for early, late in pairwise(found))
    assert found[0].at >= 0


@given(st.integers(0, 2**32), SOME_RATES)
def test_resolution_of_each_workload_is_known(seed: int, shares: dict[str, float]) -> None:
    found = first(300, seed, shares)
    for name, rate in shares.items():
        times = [arrival.at for arrival in found if arrival.workload == name]
        assert all(late - early <= (1 + 2 * JITTER) / rate * 1.000001 for early, late in pairwise(times))
        if times:
            assert times[0] <= (1 + JITTER) / rate * 1.000001


def test_a_workload_does_not_depend_on_the_others() -> None:
    alone = first(50, 1, {"nova-read": 4.0})
    beside = [item for item in first(500, 1, {"nova-read": 4.0, "keystone-read": 6.0}) if item.workload == "nova-read"]
    assert [item.at for item in alone] == [item.at for item in beside[:50]]


def test_one_in_five_is_pooled_and_every_step_of_a_cycle_sometimes() -> None:
    found = [item for item in first(1000, 5, {"keystone-projects": 10.0}) if not item.fresh]
    assert len(found) == 200
    assert {item.turn % len(MIX["keystone-projects"].steps) for item in found} == set(range(5))


def test_default_mix_is_40_a_second_and_mostly_cheap_reads() -> None:
    shares = rates(MIX, 40.0)
    per_second = Counter(item.workload for item in takewhile(lambda item: item.at < 100, arrivals(9, shares)))
    assert sum(per_second.values()) == pytest.approx(4003, abs=20)
    cheap = sum(count for name, count in per_second.items() if name.endswith(("-version", "-health", "-read")))
    assert cheap > sum(per_second.values()) / 2
    assert per_second["nova-servers"] == pytest.approx(3, abs=1)


def test_rate_is_shared_by_place() -> None:
    names = ("nova-read", "neutron-read", "sql-rows", "nova-servers")
    whole = sum(MIX[name].weight for name in names)
    shared = by_origin(names, 2 * whole)
    assert shared == {
        "client": (
            ("nova-read", "neutron-read", "nova-servers"),
            pytest.approx(2 * whole - 2 * MIX["sql-rows"].weight),
        ),
        "compute": (("sql-rows",), pytest.approx(2 * MIX["sql-rows"].weight)),
    }
    for mine, rate in shared.values():
        assert rates(mine, rate)[mine[0]] == pytest.approx(2 * MIX[mine[0]].weight)
