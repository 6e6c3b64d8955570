"""The simulation against closed forms: renewal, Poisson counts, majorities with repair, intervals, monotonicity."""

from __future__ import annotations

from dataclasses import replace
from math import comb, exp, inf, isclose, log10, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.vocabulary import CLASSES
from outlast.predict import nines
from outlast.predict.failure_rates import DEFAULT_RATES, Rate, Target
from outlast.predict.nines import MEETING, YEAR, Assumptions, FaultClass, Model, Shape
from outlast.predict.nines_majority import NODE, Loss, expected_share, seconds_without, tolerated, too_many
from outlast.predict.nines_outage import Outage, Sample, fixed

CERTAIN = 1e9
"""A weight so large that the rate is what is said."""


def one_class(per_year: float, seconds: float, weight: float = CERTAIN) -> Model:
    item = FaultClass(name="api-kill", per_year=per_year, weight=weight, outage=fixed(seconds))
    return Model(target="api", classes=(item,), controllers=3)


def quorum(per_year: float, repair: float, controllers: int, weight: float = CERTAIN) -> Model:
    """Members that fail and are repaired, exponentially, and whose failures alone cost nothing."""
    item = FaultClass(
        name="node-power",
        per_year=per_year,
        weight=weight,
        outage=fixed(0.0),
        takes=NODE,
        hardware=1.0,
        repair=repair,
    )
    return Model(target="api", classes=(item,), controllers=controllers, meeting=(item,))


def birth_death(failing: float, repairing: float, members: int) -> float:
    """Share of the time in which more than n of 2n+1 are away: M machines, a repairer for each, steady state."""
    weights = [1.0]
    for away in range(members):
        weights.append(weights[-1] * (members - away) * failing / ((away + 1) * repairing))
    return sum(weights[tolerated(members) + 1 :]) / sum(weights)


@pytest.mark.parametrize(("per_year", "seconds"), [(12.0, 60.0), (3.0, 3600.0), (500.0, 20000.0)])
def test_a_constant_rate_and_outage_give_mtbf_over_mtbf_and_mttr(per_year: float, seconds: float) -> None:
    between = YEAR / per_year
    exact = between / (between + seconds)
    model = one_class(per_year, seconds)
    assert isclose(nines.expect(model, Random(1)).availability, exact, rel_tol=1e-12)
    years = nines.simulate(model, 4000, Random(1))
    spread = seconds * sqrt(per_year / 4000)
    assert abs(sum(years) / 4000 - per_year * seconds) < 4 * spread


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 29.0, 31.0, 200.0])
def test_poisson_counts_have_the_mean_the_variance_and_the_zeros_of_poisson(mean: float) -> None:
    chance, n = Random(7), 20000
    counts = [nines.poisson(mean, chance) for _ in range(n)]
    found = sum(counts) / n
    variance = sum((count - found) ** 2 for count in counts) / n
    assert abs(found - mean) <= 4 * sqrt(mean / n)
    assert abs(variance - mean) <= 4 * sqrt((2 * mean**2 + mean) / n)
    zeros = exp(-mean)
    assert abs(counts.count(0) / n - zeros) <= 4 * sqrt(zeros * (1 - zeros) / n) + 1e-12


def test_poisson_counts_of_a_small_mean_fit_every_probability() -> None:
    chance, n, mean = Random(3), 50000, 2.5
    counts = [nines.poisson(mean, chance) for _ in range(n)]
    term, chi2 = exp(-mean), 0.0
    for k in range(9):
        chi2 += (counts.count(k) - n * term) ** 2 / (n * term)
        term *= mean / (k + 1)
    assert chi2 < 27.9  # chi-square with 9 degrees of freedom stays below with 99.9 %


def test_an_uncertain_rate_spreads_the_counts_like_a_negative_binomial() -> None:
    """Gamma of shape k over Poisson: mean m, variance m + m²/k."""
    years = nines.simulate(one_class(6.0, 1.0, weight=2.0), 20000, Random(5))
    mean = sum(years) / len(years)
    variance = sum((item - mean) ** 2 for item in years) / len(years)
    assert abs(mean - 6.0) < 4 * sqrt(24 / 20000)
    assert abs(variance - 24.0) < 2.0


@pytest.mark.parametrize("members", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("hours", [1.0, 24.0])
def test_failures_that_meet_cost_what_the_birth_death_chain_says(members: int, hours: float) -> None:
    """q is 1 - exp(-x) here and x/(1+x) in the chain, where nothing that is away can fail: they differ by x²/2."""
    per_member, repair = 2.0, hours * 3600
    exact = birth_death(per_member / YEAR, 1 / repair, members)
    found = expected_share([Loss(per_member * members, repair, NODE)], members, YEAR)
    x = per_member * repair / YEAR
    assert isclose(found, exact, rel_tol=members * x)


@pytest.mark.parametrize(("members", "years"), [(1, 400), (2, 400), (3, 1500), (5, 6000)])
def test_simulated_majorities_agree_with_the_formula(members: int, years: int) -> None:
    """Failures so frequent that years enough can be simulated: q of each member is about 0.1."""
    per_year, repair = 10.0 * members, 96 * 3600.0
    q = 1 - exp(-10 * repair / YEAR)
    exact = sum(comb(members, k) * q**k * (1 - q) ** (members - k) for k in range(tolerated(members) + 1, members + 1))
    assert isclose(too_many(members, q), exact)
    lost = nines.simulate(quorum(per_year, repair, members), years, Random(11))
    mean = sum(lost) / years
    error = sqrt(sum((item - mean) ** 2 for item in lost)) / years
    assert abs(mean / YEAR - exact) < 4 * error / YEAR
    assert error / mean < 0.05  # the comparison says something


def test_service_failures_meet_node_failures_but_not_those_of_other_services() -> None:
    day = YEAR / 365.25
    away = [(0.0, 10.0, 0, "database"), (5.0, 20.0, 1, "broker")]
    assert seconds_without(away, 3, YEAR) == 0.0
    assert seconds_without([*away, (8.0, 9.0, 2, NODE)], 3, YEAR) == 1.0
    assert seconds_without([(0.0, 10.0, 0, NODE), (5.0, 20.0, 0, "broker")], 3, YEAR) == 0.0
    assert seconds_without([(0.0, 10.0, 0, NODE), (5.0, 20.0, 1, "broker")], 3, YEAR) == 5.0
    assert seconds_without([(0.0, 10.0, 0, NODE), (5.0, 20.0, 1, NODE)], 5, YEAR) == 0.0
    assert seconds_without([(YEAR - 1, YEAR + day, 0, NODE), (day / 2, day, 1, NODE)], 3, YEAR) == day / 2
    assert seconds_without([(5.0, 9 * YEAR, 0, NODE)], 1, YEAR) == YEAR
    assert seconds_without([], 1, YEAR) == 0.0


def test_uncertain_rates_make_double_failures_likelier_by_the_square() -> None:
    """E[rate²] is (1 + 1/k) times the square of the mean, and so is the share of double failures."""
    certain = nines.expect(quorum(1.5, 3600.0, 3), Random(2), 20000).seconds[MEETING]
    uncertain = nines.expect(quorum(1.5, 3600.0, 3, weight=2.0), Random(2), 20000).seconds[MEETING]
    assert isclose(uncertain / certain, 1.5, rel_tol=0.05)


def test_nine_of_ten_years_lie_in_the_interval() -> None:
    """Coverage by repetition: of new years, 5 % are worse than the bad end, and 5 % better than the good end."""
    model = one_class(20.0, 100.0, weight=4.0)
    worse = better = 0
    for seed in range(20):
        low, high = nines.interval(nines.simulate(model, 1000, Random(seed)))
        fresh = [nines.availability(item) for item in nines.simulate(model, 1000, Random(1000 + seed))]
        worse += sum(item < low for item in fresh)
        better += sum(item > high for item in fresh)
    # Counts are whole: up to the probability of one count (about 3 %) may lie on the end itself.
    assert 0.03 < worse / 20000 < 0.06
    assert 0.02 < better / 20000 < 0.06


def test_the_same_seed_gives_the_same_years() -> None:
    model = one_class(5.0, 10.0, weight=1.0)
    assert nines.simulate(model, 50, Random(4)) == nines.simulate(model, 50, Random(4))
    assert nines.simulate(model, 50, Random(4)) != nines.simulate(model, 50, Random(5))


def test_nines_of_an_availability() -> None:
    assert isclose(nines.nines(0.999), 3.0)
    assert isclose(nines.nines(nines.availability(315.576)), -log10(1 - 1 / 1.00001), rel_tol=1e-9)
    assert nines.nines(1.0) == inf


RATE = Rate(per_year=1.0, members="controller", weight=4.0, source="x")
RUN = Sample(scenario="s", outages={"api": Outage(2.0, 0.0), "tenant": Outage(1.0, 0.0)}, redundancy=30.0)


def test_classes_count_by_member_and_the_unmeasured_are_not_zero() -> None:
    rates = {
        "api-kill": RATE,
        "overload": replace(RATE, members="site"),
        "compute": replace(RATE, members="compute"),
        "vrrp": RATE,
    }
    samples = {name: (RUN,) for name in ("api-kill", "overload", "compute")}
    shape = Shape(controllers=3, computes=4)
    api = nines.build(samples, shape, Assumptions(rates=rates), "api")
    assert {item.name: item.per_year for item in api.classes} == {"api-kill": 3, "overload": 1, "compute": 4}
    assert api.unmeasured == {"vrrp": 3.0}
    tenant = nines.build(samples, shape, Assumptions(rates=rates), "tenant")
    assert {item.name: item.per_year for item in tenant.classes} == {"api-kill": 3, "overload": 1, "compute": 1}
    assert MEETING not in nines.expect(tenant, Random(1)).seconds
    upper = nines.build(samples, shape, Assumptions(rates=rates, worst=600.0), "api")
    gap = nines.expect(upper, Random(1)).total - nines.expect(api, Random(1)).total
    assert isclose(gap, 3 * 600)


def test_parts_need_repair_though_no_drill_measured_their_class() -> None:
    samples = {"api-kill": (RUN,)}
    rates = {"api-kill": RATE, "disk": DEFAULT_RATES["disk"]}
    found = nines.expect(nines.build(samples, Shape(controllers=3), Assumptions(rates=rates), "api"), Random(1))
    assert found.seconds[MEETING] > 0
    assert "disk" not in found.seconds


def test_a_run_that_never_was_whole_again_needs_a_person() -> None:
    rates = {"database": DEFAULT_RATES["database"]}
    lost = {"database": (replace(RUN, redundancy=None),)}
    model = nines.build(lost, Shape(controllers=3), Assumptions(rates=rates, operator_hours=2), "api")
    assert model.classes[0].away == (7200.0,)


@given(
    rate=st.floats(0.01, 50),
    seconds=st.floats(0, 5000),
    more=st.floats(1.01, 10),
    controllers=st.integers(1, 9),
    hours=st.floats(0.1, 100),
)
def test_more_failures_longer_outages_and_slower_repair_never_help(
    rate: float, seconds: float, more: float, controllers: int, hours: float
) -> None:
    def lost(per_year: float, outage: float, repair: float) -> float:
        rates = {"node-power": replace(RATE, per_year=per_year, hardware=0.5, takes=NODE)}
        runs = {"node-power": (replace(RUN, outages={"api": Outage(outage, 0.1)}),)}
        given_ = Assumptions(rates=rates, repair_hours=repair)
        model = nines.build(runs, Shape(controllers=controllers), given_, "api")
        return nines.expect(model, Random(1), 50).total

    base = lost(rate, seconds, hours)
    assert lost(rate * more, seconds, hours) >= base
    assert lost(rate, seconds * more, hours) >= base
    assert lost(rate, seconds, hours * more) >= base


@given(away=st.floats(0, 0.2), n=st.integers(0, 4))
def test_two_more_members_make_majorities_safer(away: float, n: int) -> None:
    assert too_many(2 * n + 3, away) <= too_many(2 * n + 1, away) + 1e-15
    assert too_many(2 * n + 2, away) >= too_many(2 * n + 1, away) - 1e-15


@given(
    st.lists(
        st.tuples(
            st.floats(0, YEAR, exclude_max=True),
            st.floats(0, YEAR / 3),
            st.integers(0, 2),
            st.sampled_from([NODE, "database", "broker"]),
        ),
        max_size=8,
    )
)
def test_lost_seconds_are_bounded_and_grow_with_what_is_away(found: list[tuple[float, float, int, str]]) -> None:
    away = [(start, start + length, member, kind) for start, length, member, kind in found]
    lost = seconds_without(away, 3, YEAR)
    assert 0 <= lost <= YEAR * (1 + 1e-9)
    assert seconds_without(away[:-1], 3, YEAR) <= lost + 1e-6
    assert seconds_without([(start, end, member, NODE) for start, end, member, _ in away], 3, YEAR) >= lost - 1e-6


def test_every_class_of_a_scenario_has_a_rate() -> None:
    assert set(CLASSES) - {"control"} == set(DEFAULT_RATES)


def test_classes_that_need_five_controllers_or_concern_tenants_only() -> None:
    samples = {"nodes-power": (RUN,), "controllers-down": (RUN,)}
    rates = {name: DEFAULT_RATES[name] for name in samples}

    def names(controllers: int, target: Target) -> set[str]:
        model = nines.build(samples, Shape(controllers=controllers), Assumptions(rates=rates), target)
        return {item.name for item in model.classes}

    assert names(3, "api") == set()
    assert names(5, "api") == {"nodes-power"}
    assert names(3, "tenant") == {"controllers-down"}


def test_every_rate_says_where_it_is_from() -> None:
    for name, rate in DEFAULT_RATES.items():
        assert rate.per_year > 0, name
        assert rate.source.startswith("assumption: ") == (rate.weight == 1.0), name
        assert rate.source.startswith("assumption: ") or any(f"{year}" in rate.source for year in range(1990, 2027))
