"""What a verdict says about an outage, and the distribution made of several."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.predict.nines_outage import Law, Outage, Sample, fixed, law, sample
from outlast.record.verdict import Level, ServiceLoss, StreamLoss, Verdict

KEYSTONE = ServiceLoss(service="keystone", n=200, failed=0, unknown=0, out=0.0, resolution=0.1, stall=0.2, p99=0.1)
VERDICT = Verdict(
    scenario="power-vip-holder",
    profile="outlast",
    result="pass",
    levels=(Level(name="L1", held=True, n=100, failed=0, bound=0.03),),
    detect=0.4,
    redundancy=50.0,
    services=(KEYSTONE,),
)


def test_the_api_is_out_while_its_worst_service_is() -> None:
    nova = replace(KEYSTONE, service="nova", out=3.0, resolution=0.5)
    found = sample(replace(VERDICT, services=(KEYSTONE, nova)), 3600)
    assert found.outages == {"api": Outage(3.0, 0.5)}
    assert (found.scenario, found.detect, found.redundancy) == ("power-vip-holder", 0.4, 50.0)


def test_services_behind_the_api_and_those_without_requests_do_not_count() -> None:
    galera = replace(KEYSTONE, service="galera", out=9.0)
    asleep = replace(KEYSTONE, service="nova", n=0, resolution=99.0)
    assert sample(replace(VERDICT, services=(KEYSTONE, galera, asleep)), 3600).outages == {"api": Outage(0.0, 0.1)}
    assert sample(replace(VERDICT, services=(galera,)), 3600).outages == {}


def test_requests_that_fail_here_and_there_are_lost_time_too() -> None:
    every_third = replace(KEYSTONE, failed=20, unknown=10)
    assert sample(replace(VERDICT, services=(every_third,)), 3600).outages["api"].seconds == pytest.approx(3.0)


@pytest.mark.parametrize(("n", "failed", "seconds"), [(100, 25, 900.0), (100, 100, 3600.0), (0, 0, 3600.0)])
def test_what_stays_broken_is_out_until_a_person_acts(n: int, failed: int, seconds: float) -> None:
    broken = Level(name="L1", held=False, n=n, failed=failed, bound=1.0)
    assert sample(replace(VERDICT, levels=(broken,)), 3600).outages["api"].seconds == seconds


def test_a_stream_counts_its_gap_or_its_share_of_lost_packets() -> None:
    whole = StreamLoss(stream="a", sent=1000, lost=0, gap=0.01)
    gap = StreamLoss(stream="b", sent=1000, lost=5, gap=0.6)
    thin = StreamLoss(stream="c", sent=1000, lost=50, gap=0.02)
    silent = StreamLoss(stream="d", sent=0, lost=0, gap=0.0)
    assert sample(replace(VERDICT, streams=(whole,)), 1).outages["tenant"] == Outage(0.0, 0.01)
    assert sample(replace(VERDICT, streams=(whole, gap)), 1).outages["tenant"] == Outage(0.6, 0.01)
    assert sample(replace(VERDICT, streams=(thin,)), 1).outages["tenant"] == Outage(2.5, 0.0)
    assert sample(replace(VERDICT, streams=(thin,), redundancy=None), 1).outages["tenant"] == Outage(0.02, 0.0)
    assert "tenant" not in sample(replace(VERDICT, streams=(silent,)), 1).outages


def test_noticing_faster_saves_what_noticing_took_and_never_more() -> None:
    run = Sample(scenario="s", outages={"api": Outage(3.0, 0.1)}, detect=1.0)
    assert run.noticed_faster().outages["api"] == Outage(2.5, 0.1)
    assert replace(run, detect=100.0).noticed_faster().outages["api"] == Outage(1.5, 0.1)
    assert replace(run, detect=None).noticed_faster().outages["api"] == Outage(3.0, 0.1)


def test_the_mean_of_the_law_is_the_mean_of_its_draws() -> None:
    """Both scenarios count alike though one ran thrice; the rest is the tail with its closed form 2m - m²/c."""
    short = [Sample(scenario="a", outages={"api": Outage(1.0, 0.4)}) for _ in range(3)]
    long = [Sample(scenario="b", outages={"api": Outage(10.0, 0.0)})]
    found = law([*short, *long], "api", 100.0)
    assert found is not None
    assert found.beyond == pytest.approx(1 / 5)
    assert isclose(found.mean, 0.8 * (1.2 + 10.0) / 2 + 0.2 * (2 * 10 - 10 * 10 / 100))
    draw = found.drawer(Random(1))
    draws = [draw() for _ in range(200000)]
    mean = sum(draws) / len(draws)
    error = sqrt(sum((item - mean) ** 2 for item in draws)) / len(draws)
    assert abs(mean - found.mean) < 4 * error
    assert max(draws) <= 100.0
    beyond = sum(item > 10.0 for item in draws) / len(draws)
    assert abs(beyond - 0.2) < 0.005
    longer = sum(item > 10.0 * sqrt(2) for item in draws) / sum(item > 10.0 for item in draws)
    assert abs(longer - 0.5) < 0.02


def test_the_next_outage_is_the_longest_so_far_as_often_as_the_law_says() -> None:
    """Distribution-free: after n exponential outages the next is longer than all with probability 1/(n+1)."""
    chance, n, trials = Random(9), 4, 40000
    longest = 0
    for _ in range(trials):
        seen = [chance.expovariate(1.0) for _ in range(n)]
        found = law([Sample(scenario="a", outages={"api": Outage(item, 0.0)}) for item in seen], "api", 1e9)
        assert found is not None
        longest += chance.expovariate(1.0) > found.largest
    assert abs(longest / trials - 1 / (n + 1)) < 4 * sqrt(0.2 * 0.8 / trials)


def test_no_run_no_law_and_one_run_of_nothing_is_not_nothing() -> None:
    assert law([], "api", 10.0) is None
    assert law([Sample(scenario="a", outages={"api": Outage(1, 1)})], "tenant", 10.0) is None
    clean = law([Sample(scenario="a", outages={"api": Outage(0.0, 0.1)})], "api", 3600.0)
    assert clean is not None
    assert clean.mean > 0.05


def test_a_fixed_outage_is_always_the_same() -> None:
    assert fixed(60.0).mean == 60.0
    draw = fixed(60.0).drawer(Random(1))
    assert {draw() for _ in range(20)} == {60.0}
    assert fixed(0.0).mean == 0.0
    assert fixed(0.0).drawer(Random(1))() == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 100)), min_size=1, max_size=6),
    st.floats(0.1, 1e5),
    st.integers(0, 2**32),
)
def test_draws_stay_between_nothing_and_the_longest(seen: list[tuple[float, float]], longest: float, seed: int) -> None:
    found = Law(runs=(tuple(Outage(*item) for item in seen),), beyond=1 / (len(seen) + 1), longest=longest)
    limit = max(longest, found.largest)
    draw = found.drawer(Random(seed))
    assert all(0 <= draw() <= limit * (1 + 1e-12) for _ in range(20))
    assert 0 <= found.mean <= limit * (1 + 1e-12)
