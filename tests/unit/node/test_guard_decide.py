"""What the guards decide, as tables of cases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from outlast.node.guard.decide import (
    BACKOFF_MOST,
    BalancerView,
    Limits,
    RouterView,
    backoff,
    balancer_action,
    balancer_fault,
    router_action,
    router_limits,
)

LIMITS = Limits()
WELL = BalancerView(now=100.0, alive=True, answered=True, last_asked=99.95)


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        (BalancerView(now=100.0, alive=False), "start"),
        (BalancerView(now=100.0, alive=False, died_at=100.0, quick_deaths=1), "start"),
        (BalancerView(now=100.0, alive=False, died_at=99.95, quick_deaths=2), "wait"),
        (BalancerView(now=100.0, alive=False, died_at=99.85, quick_deaths=2), "start"),
        (BalancerView(now=100.0, alive=False, died_at=97.9, quick_deaths=99), "start"),
        (WELL, "wait"),
        (replace(WELL, last_asked=99.8), "ask"),
        (replace(WELL, last_asked=99.7, asking=True, silent_since=99.7), "wait"),
        (replace(WELL, last_asked=99.7, silent_since=99.7), "ask"),
        (replace(WELL, asking=True, silent_since=99.3), "kill"),
        (replace(WELL, asking=True, silent_since=99.3, starved=True), "wait"),
        (replace(WELL, asking=True, silent_since=96.9, starved=True), "kill"),
        (replace(WELL, answered=False, last_asked=99.9, silent_since=99.0), "ask"),
        (replace(WELL, answered=False, asking=True, silent_since=97.5), "wait"),
        (replace(WELL, answered=False, asking=True, silent_since=96.9), "kill"),
    ],
)
def test_balancer(view: BalancerView, kind: str) -> None:
    assert balancer_action(view, LIMITS).kind == kind


@pytest.mark.parametrize(
    ("down_since", "fault"),
    [(None, False), (99.9, False), (99.41, False), (99.39, True), (50.0, True)],
)
def test_vips_leave_only_when_restarts_did_not_help(down_since: float | None, fault: bool) -> None:
    assert balancer_fault(replace(WELL, down_since=down_since), LIMITS) is fault


@given(some.integers(0, 10_000))
def test_backoff_is_bounded_and_never_shrinks(deaths: int) -> None:
    assert 0.0 <= backoff(deaths) <= backoff(deaths + 1) <= BACKOFF_MOST


ROUTER = RouterView(now=100.0, alive=True)


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        (RouterView(now=100.0, alive=False), "start"),
        (RouterView(now=100.0, alive=False, died_at=99.99, quick_deaths=3), "wait"),
        (ROUTER, "wait"),
        (replace(ROUTER, still=2), "wait"),
        (replace(ROUTER, still=3), "kill"),
        (replace(ROUTER, still=3, age=1.0), "wait"),
        (replace(ROUTER, still=50, sends=False), "wait"),
        (replace(ROUTER, still=4, sends=False, hears=True), "wait"),
        (replace(ROUTER, still=5, sends=False, hears=True), "kill"),
        (replace(ROUTER, still=3, hears=True), "kill"),
        (replace(ROUTER, stopped=1), "wait"),
        (replace(ROUTER, stopped=2, sends=False), "kill"),
        (replace(ROUTER, parent_stopped=2), "resume"),
    ],
)
def test_router(view: RouterView, kind: str) -> None:
    assert router_action(view, router_limits(0.1)).kind == kind


@pytest.mark.parametrize("advert", [0.01, 0.1, 0.25, 1.0])
def test_a_hung_router_is_known_before_its_peers_take_over(advert: float) -> None:
    limits = router_limits(advert)
    assert 2.0 * advert <= limits.tick * limits.still <= 3 * advert + 1e-9


@pytest.mark.parametrize("advert", [0.01, 0.1, 0.25, 1.0])
def test_a_backup_whose_master_died_lives_until_it_takes_over(advert: float) -> None:
    """Its master-down time is three adverts and up to one more (VRRP's skew); a look may come a tick early."""
    limits = router_limits(advert)
    asleep = math.floor(4 * advert / limits.tick + 1e-9)
    for looks in range(asleep + 1):
        view = replace(ROUTER, still=looks, sends=False, hears=True)
        assert router_action(view, limits).kind == "wait"
