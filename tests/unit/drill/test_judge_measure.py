"""Figures from small histories, one rule each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judge_histories import EFFECT, END, MARKS, QUICK, REDUNDANT, UNDO, bad, event, load, mark, request, stall, without

from outlast.drill.judge_stalls import stalled, undisturbed
from outlast.drill.measure import (
    Clock,
    Mask,
    Requests,
    blind,
    clock,
    detected,
    group,
    instrument,
    is_bad,
    masked,
    outages,
    percentile,
    service_losses,
    slowdown,
    unproven,
)
from outlast.record.history import Operation, Stall
from outlast.record.verdict import ServiceLoss

TIMES = Clock(first=EFFECT, last=EFFECT, end=END, undo=UNDO, redundant=REDUNDANT)


def ids(requests: tuple[Operation, ...]) -> list[int]:
    return [each.id for each in requests]


# --- the fault's clock -----------------------------------------------------------------------------------------------


def test_clock_without_effect() -> None:
    assert clock(without("took-effect"), 99.0) is None


def test_clock_of_one_fault() -> None:
    assert clock(MARKS, 99.0) == replace(TIMES, undone=26.0)


def test_clock_of_two_faults_keeps_both_effects_and_forgets_what_was_before_the_last() -> None:
    found = clock([*MARKS, mark(11.0, "redundant"), mark(12.0, "took-effect", 1)], 99.0)
    assert found is not None
    assert (found.first, found.last, found.redundant) == (EFFECT, 12.0, REDUNDANT)


@pytest.mark.parametrize(
    ("marks", "due_last", "end"),
    [
        (MARKS, 99.0, END),
        (MARKS, 47.0, 47.0),  # the mark comes when the last request has ended
        (MARKS, None, END),
        (without("load-stopped"), 47.0, 47.0),
        (without("load-stopped"), None, REDUNDANT),
        (MARKS, 5.0, EFFECT),
    ],
)
def test_end_of_the_load(marks: tuple, due_last: float | None, end: float) -> None:
    found = clock(marks, due_last)
    assert found is not None
    assert found.end == end


def test_a_cluster_called_well_at_once_is_watched_for_ten_seconds_all_the_same() -> None:
    assert TIMES.until == REDUNDANT
    assert replace(TIMES, redundant=EFFECT + 0.5).until == EFFECT + 10.0
    assert replace(TIMES, redundant=EFFECT + 0.5, end=EFFECT + 3.0).until == EFFECT + 3.0
    assert replace(TIMES, redundant=None).until == END


def test_the_fault_lasts_until_the_undo_redundancy_or_the_end() -> None:
    assert TIMES.healing == UNDO
    assert replace(TIMES, undo=None).healing == REDUNDANT
    assert replace(TIMES, undo=None, redundant=None).healing == END


@pytest.mark.parametrize(
    ("marks", "repaired"),
    [
        ((), None),
        ((mark(12.0, "repaired", 0),), None),
        ((mark(12.0, "repaired", 0), mark(13.0, "repaired", 1)), 13.0),
        ((mark(14.0, "repaired"),), 14.0),
    ],
)
def test_repaired_means_every_fault(marks: tuple, repaired: float | None) -> None:
    found = clock([*MARKS, mark(11.0, "took-effect", 1), *marks], 99.0)
    assert found is not None
    assert found.repaired == repaired


def test_faults_without_a_proof() -> None:
    marks = [*MARKS, mark(11.0, "inject", 1)]
    assert [each.fault for each in unproven(marks)] == [1]
    assert unproven(MARKS) == ()


# --- new, in flight, pooled -------------------------------------------------------------------------------------------


def test_sent_exactly_at_the_effect_is_new() -> None:
    found = group([request(1, EFFECT - 1, sent=EFFECT)], TIMES)
    assert (ids(found.new), ids(found.in_flight)) == ([1], [])


def test_sent_before_and_ended_exactly_at_the_effect_is_in_flight() -> None:
    found = group([request(1, EFFECT - 1, ended=EFFECT), request(2, EFFECT - 1, ended=EFFECT - QUICK)], TIMES)
    assert (ids(found.in_flight), ids(found.before)) == ([1], [2])


def test_never_ended_is_in_flight() -> None:
    found = group([request(1, EFFECT - 1, ended=None, outcome="unknown")], TIMES)
    assert ids(found.in_flight) == [1]


def test_never_sent_goes_by_its_schedule() -> None:
    found = group([bad(1, EFFECT - QUICK, sent=None), bad(2, EFFECT, sent=None)], TIMES)
    assert (ids(found.in_flight), ids(found.new)) == ([1], [2])


def test_pooled_is_apart_when_new_but_not_when_in_flight() -> None:
    found = group([request(1, EFFECT, fresh=False), request(2, EFFECT - 1, ended=EFFECT, fresh=False)], TIMES)
    assert (ids(found.pooled), ids(found.new), ids(found.in_flight)) == ([1], [], [2])


def test_sent_at_redundancy_is_after_the_fault() -> None:
    found = group([request(1, REDUNDANT - QUICK), request(2, REDUNDANT), request(3, REDUNDANT, fresh=False)], TIMES)
    assert (ids(found.new), ids(found.after), ids(found.fresh)) == ([1], [2, 3], [1, 2])


def test_without_redundancy_nothing_is_after_the_fault() -> None:
    found = group([request(1, END - 1)], replace(TIMES, redundant=None))
    assert (ids(found.new), ids(found.after)) == ([1], [])


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, False),
        ({"ended": EFFECT + 5.0}, False),
        ({"ended": EFFECT + 5.0 + QUICK}, True),
        ({"scheduled": EFFECT - 4.0, "ended": EFFECT + 2.0}, True),  # late counts from the schedule
        ({"outcome": "failed"}, True),
        ({"outcome": "unknown"}, True),
        ({"outcome": "unknown", "ended": None}, True),
    ],
)
def test_bad(changes: dict, wrong: bool) -> None:
    assert is_bad(replace(request(1, EFFECT), **changes), 5.0) is wrong


# --- outages ----------------------------------------------------------------------------------------------------------


def around(*wrong: int, count: int = 8, step: float = 0.5) -> list[Operation]:
    return [(bad if index in wrong else request)(index, EFFECT + index * step) for index in range(count)]


def test_an_outage_lasts_from_the_first_bad_to_the_next_good() -> None:
    (found,) = outages(around(2, 3), 5.0, END)
    assert (found.begin, found.seconds, found.resolution) == (EFFECT + 1.0, 1.0, 0.5)


def test_resolution_is_the_largest_distance_around_it() -> None:
    requests = [request(0, 10.0), bad(1, 12.0), bad(2, 12.5), request(3, 13.5), request(4, 20.0)]
    (found,) = outages(requests, 5.0, END)
    assert (found.seconds, found.resolution) == (1.5, 2.0)


def test_an_outage_without_end_lasts_to_the_end_of_the_load() -> None:
    (found,) = outages(around(6, 7), 5.0, EFFECT + 9.0)
    assert found.seconds == 6.0


def loss(requests: list[Operation] | tuple[Operation, ...]) -> ServiceLoss:
    (found,) = service_losses(group(requests, TIMES), TIMES, 5.0)
    return found


def test_a_service_is_out_for_the_sum_of_its_outages() -> None:
    found = loss(around(1, 4, 5))
    assert (found.n, found.failed, found.unknown, found.out) == (8, 3, 0, 1.5)


def test_without_an_outage_the_resolution_says_what_may_have_gone_unseen() -> None:
    found = loss([request(0, 10.0), request(1, 10.5), request(2, 12.0)])
    assert (found.out, found.resolution) == (0.0, 1.5)


def test_a_late_answer_is_failed_and_a_lost_one_unknown() -> None:
    found = loss([request(0, 10.0, ended=15.5), request(1, 11.0, outcome="unknown"), request(2, 12.0)])
    assert (found.failed, found.unknown) == (1, 1)


def test_stall_is_the_longest_wait_and_the_deadline_where_nothing_came() -> None:
    assert loss([request(0, 10.0), request(1, 11.0, ended=14.0)]).stall == 3.0
    assert loss([request(0, 10.0), request(1, 11.0, ended=None, outcome="unknown")]).stall == 5.0


def test_in_flight_and_pooled_requests_are_nobody_elses_outage() -> None:
    hanging = bad(1, EFFECT - 1, ended=EFFECT + 20)
    found = loss([hanging, bad(2, EFFECT + 1, fresh=False), request(3, EFFECT)])
    assert (found.n, found.stall) == (1, QUICK)


def test_p99_is_that_of_the_time_with_the_fault() -> None:
    slow = [request(index, EFFECT + index / 8, ended=EFFECT + index / 8 + 1.0) for index in range(10)]
    assert loss([*slow, *load(UNDO, END)]).p99 == 1.0


def test_a_quick_refusal_is_no_good_time() -> None:
    assert loss([bad(0, EFFECT)]).p99 == 5.0


@pytest.mark.parametrize(
    ("count", "percent", "rank"), [(1, 99, 1), (100, 99, 99), (101, 99, 100), (200, 99, 198), (3, 50, 2), (2, 50, 1)]
)
def test_nearest_rank(count: int, percent: int, rank: int) -> None:
    assert percentile(range(count, 0, -1), percent) == rank


def test_no_percentile_of_nothing() -> None:
    assert percentile([], 99) is None


# --- slower than before -----------------------------------------------------------------------------------------------


def test_slowdown_is_that_of_the_worst_service() -> None:
    usual = [request(index, 1.0 + index / 8) for index in range(40)]
    other = [request(index, 1.0 + index / 8, service="glance") for index in range(40)]
    now = [request(90, EFFECT + 1, ended=EFFECT + 1 + 4 * QUICK), request(91, EFFECT + 1, service="glance")]
    assert slowdown(group([*usual, *other, *now], TIMES), TIMES, 5.0) == 4.0


def test_no_slowdown_without_a_baseline() -> None:
    few = [request(index, 1.0 + index / 8) for index in range(19)]
    assert slowdown(group([*few, request(90, EFFECT)], TIMES), TIMES, 5.0) is None


# --- detected, masked -------------------------------------------------------------------------------------------------


def test_detected_by_the_first_event_that_is_not_routine() -> None:
    events = [event(EFFECT - 1), event(EFFECT + 1, "member.settled"), event(EFFECT + 3), event(EFFECT + 2)]
    assert detected(events, EFFECT) == EFFECT + 2


@pytest.mark.parametrize(
    ("code", "noticed"),
    [("server-left", True), ("guard-died", True), ("server-back", False), ("agent.resumed", False)],
)
def test_who_says_that_a_server_left_has_noticed(code: str, noticed: bool) -> None:
    assert (detected([event(EFFECT + 1, code)], EFFECT) is not None) == noticed


def test_an_event_a_little_too_early_is_at_once() -> None:
    assert detected([event(EFFECT - 0.03)], EFFECT) == EFFECT
    assert detected([event(EFFECT - 0.06)], EFFECT) is None


def mask_of(*requests: Operation, stalls: tuple[Stall, ...] = ()) -> Mask:
    return masked(group(requests, TIMES), TIMES, 5.0, stalls)


def test_masked_with_the_first_good_answer_after_the_last_bad_one() -> None:
    assert mask_of(*around(1, 3)).at == EFFECT + 2.0 + QUICK


def test_masked_with_the_service_that_comes_back_last() -> None:
    other = [bad(50, EFFECT + 2.5, service="glance"), request(51, EFFECT + 3.5, service="glance")]
    assert mask_of(*around(1), *other).at == EFFECT + 3.5 + QUICK


def test_masked_at_the_first_good_answer_where_nothing_was_bad() -> None:
    assert mask_of(request(1, EFFECT + 1, ended=EFFECT + 4), request(2, EFFECT + 2)).at == EFFECT + 2 + QUICK


def test_never_masked() -> None:
    assert mask_of(*around(7)) == Mask(None, never=True, sure=END)
    assert mask_of() == Mask(None)


def test_bad_before_the_last_of_two_faults_does_not_count() -> None:
    found = masked(group(around(1), TIMES), replace(TIMES, last=EFFECT + 2.0), 5.0)
    assert found.at == EFFECT + 2.0 + QUICK


@pytest.mark.parametrize(
    ("at", "sure"),
    [
        (EFFECT + 8.0, 2.0 + QUICK),  # elsewhere
        (EFFECT + 1.9, 1.5),  # holds up only the good answer
        (EFFECT + 1.5, 1.0 + QUICK),  # may have spoiled the last bad request, so the one before it counts
    ],
)
def test_not_masked_for_certain(at: float, sure: float) -> None:
    assert mask_of(*around(1, 3), stalls=(stall(at, 0.0625),)).sure == EFFECT + sure


def test_nothing_bad_beyond_doubt() -> None:
    assert mask_of(*around(1), stalls=(stall(EFFECT + 0.5),)).sure is None


# --- the instrument ---------------------------------------------------------------------------------------------------


def test_instrument() -> None:
    operations = [request(index, index / 4, sent=index / 4 + index / 64) for index in range(5)]
    found = instrument(operations, (stall(1.0, 0.05), stall(2.0, 0.06)), {"cpu_seconds": 1.0, "seconds": 2.0})
    assert found is not None
    assert (found.requests, found.rate, found.cpu) == (5, 2.5, 0.5)
    assert (found.lateness_p50, found.lateness_p99) == (2 / 64, 4 / 64)
    assert (found.stalls, found.worst_stall) == (1, 0.06)


def test_the_meter_knows_lateness_better_than_the_first_bytes() -> None:
    found = instrument([request(1, 1.0, sent=2.0)], (), {"lateness_p50": 0.001, "lateness_p99": 0.002})
    assert found is not None
    assert (found.lateness_p50, found.lateness_p99) == (0.001, 0.002)


def test_instrument_without_requests_or_meter() -> None:
    assert instrument((), (), {}) is None
    found = instrument([request(1, 1.0), request(2, 3.0), request(3, 5.0, sent=None)], (), {})
    assert found is not None
    assert (found.rate, found.cpu, found.worst_stall) == (0.75, 0.0, 0.0)


@pytest.mark.parametrize(
    ("moments", "is_blind"),
    [
        ([10.0, 11.0, 12.0], False),
        ([10.0, 11.5, 12.0], True),
        ([10.0, 10.5], True),
        ([11.5, 12.0], True),
        ([], True),
    ],
)
def test_blind(moments: list[float], is_blind: bool) -> None:
    assert blind(moments, 10.0, 12.0, 0.025) is is_blind


def test_a_slow_load_is_not_blind() -> None:
    assert not blind([10.0, 14.0], 10.0, 16.0, 2.0)


# --- stalls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "seconds", "touches"),
    [
        (20.0, 0.06, True),
        (20.0, 0.05, False),
        (9.75, 0.125, False),
        (9.75, 0.1875, True),
        (21.0, 0.1, True),
        (21.125, 0.1, False),
    ],
)
def test_a_stall_touches_what_was_timed(at: float, seconds: float, touches: bool) -> None:
    assert stalled([stall(at, seconds)], (10.0, 21.0)) is touches


@pytest.mark.parametrize(("at", "seconds"), [(9.5, 11.0), (14.0, 4.0), (9.875, 0.0), (10.0, 0.0), (21.5, 11.0)])
def test_undisturbed_until_the_first_stall(at: float, seconds: float) -> None:
    assert undisturbed([stall(30.0), stall(at), stall(at + 20)], (10.0, 21.0)) == seconds


def test_empty_groups() -> None:
    assert group([], TIMES) == Requests()
    assert service_losses(Requests(), TIMES, 5.0) == ()


def test_a_request_is_late_by_its_answer_not_by_the_work_that_it_began() -> None:
    """A server takes its time to be made; that Nova took the request counts."""
    made = request(1, 10.0, ended=32.0, accepted=11.0)
    slowly = request(2, 10.0, ended=32.0, accepted=15.5)
    never = request(3, 10.0, ended=40.0, accepted=11.0, outcome="failed")
    assert [one.latency for one in (made, slowly, never)] == [1.0, 5.5, 30.0]
    assert [is_bad(one, 5.0) for one in (made, slowly, never)] == [False, True, True]
