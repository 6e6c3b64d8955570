"""Verdicts of whole runs: levels, budgets, stalls, reasons; properties over many histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from judge_histories import (
    EFFECT,
    END,
    LOST,
    MARKS,
    QUICK,
    REDUNDANT,
    STEP,
    bad,
    event,
    load,
    mark,
    request,
    samples,
    seen,
    spoiled,
    stall,
    stream,
    without,
)

from outlast.drill.judge import Seen, judge
from outlast.record.run import Mark
from outlast.record.verdict import Budget, Level, Verdict


def level(verdict: Verdict, name: str) -> Level:
    return next(each for each in verdict.levels if each.name == name)


def budget(name: str, limit: float, **changes: Any) -> Budget:
    (found,) = judge(seen(budgets={name: limit}, **changes)).budgets
    return found


# --- levels -----------------------------------------------------------------------------------------------------------


def test_nothing_noticed() -> None:
    verdict = judge(seen(budgets={"new-failed": 0, "lost": 0, "stall": 1.5}))
    assert (verdict.result, verdict.reasons) == ("pass", ())
    assert [each.held for each in verdict.levels] == [True, True, True]
    assert level(verdict, "L2").n == (REDUNDANT - EFFECT) / STEP
    assert level(verdict, "L1").n == (END - REDUNDANT) / STEP
    assert level(verdict, "L2").bound == 3 / level(verdict, "L2").n
    assert verdict.redundancy == REDUNDANT - EFFECT


def test_a_new_request_that_fails_breaks_l2_and_l3() -> None:
    verdict = judge(seen(operations=spoiled(EFFECT, EFFECT + 1)))
    assert (level(verdict, "L2").held, level(verdict, "L2").failed) == (False, 16)
    assert level(verdict, "L3").failed == 16
    assert level(verdict, "L1").held
    assert verdict.result == "pass"  # no budget asks for more than L1


def test_in_flight_breaks_only_l3() -> None:
    hanging = bad(9999, EFFECT - STEP / 2, ended=EFFECT + 20, outcome="unknown")
    verdict = judge(seen(operations=(*load(), hanging), budgets={"new-failed": 0, "stall": 1.5}))
    assert (level(verdict, "L2").held, level(verdict, "L3").held) == (True, False)
    assert (verdict.counts["in-flight-failed"], verdict.counts["unknown"]) == (1, 1)
    assert verdict.result == "pass"


def test_pooled_is_counted_apart() -> None:
    pooled = bad(9999, EFFECT + 1, fresh=False)
    verdict = judge(seen(operations=(*load(), pooled), budgets={"new-failed": 0, "failed": 0}))
    assert [each.held for each in verdict.levels] == [True, True, True]
    assert (verdict.counts["pooled-failed"], verdict.counts["failed"], verdict.result) == (1, 1, "pass")


def test_after_redundancy_every_fresh_request_counts_for_l1() -> None:
    verdict = judge(seen(operations=(*load(), bad(9999, REDUNDANT))))
    assert (level(verdict, "L1").held, level(verdict, "L2").held) == (False, True)
    assert verdict.result == "fail"
    assert verdict.reasons == ("1 of 161 requests failed after full redundancy was back",)


def test_a_pooled_connection_may_find_out_late_that_its_peer_is_gone() -> None:
    verdict = judge(seen(operations=(*load(), bad(9999, REDUNDANT, fresh=False))))
    assert (level(verdict, "L1").held, level(verdict, "L1").n) == (True, 160)


def test_l1_is_patient() -> None:
    slow = request(9999, REDUNDANT, ended=REDUNDANT + 30.0)
    assert level(judge(seen(operations=(*load(), slow))), "L1").held
    slower = request(9999, REDUNDANT, ended=REDUNDANT + 30.0 + QUICK)
    assert level(judge(seen(operations=(*load(), slower))), "L1").held is False


def test_redundancy_that_never_came() -> None:
    marks = (*without("redundant"), mark(45.0, "timeout"))
    verdict = judge(seen(marks=marks, budgets={"redundancy": 60}))
    assert (verdict.result, level(verdict, "L1").held, verdict.redundancy) == ("fail", False, None)
    assert verdict.reasons[0] == "full redundancy was not back 35.0 s after the fault"
    assert verdict.budgets[0].held is None  # 35 s of waiting cannot break a limit of 60
    assert judge(seen(marks=marks, budgets={"redundancy": 30})).budgets[0].held is False


def test_a_drill_that_was_cut_short() -> None:
    verdict = judge(seen(marks=without("redundant")))
    assert (verdict.result, level(verdict, "L1").held) == ("unknown", None)
    assert verdict.reasons == ("the drill ended before full redundancy was back",)


@pytest.mark.parametrize("what", ["lost", "diverged", "resurrected"])
def test_what_is_permanent_breaks_l1(what: str) -> None:
    verdict = judge(seen(findings=(replace(LOST, what=what),)))
    assert (level(verdict, "L1").held, verdict.result) == (False, "fail")
    assert verdict.reasons == (f"{what} (1): server 7 is gone",)


def test_what_is_unsafe_but_not_permanent_fails_without_breaking_l1() -> None:
    verdict = judge(seen(findings=(replace(LOST, what="duplicated"),)))
    assert (level(verdict, "L1").held, verdict.result) == (True, "fail")


def test_what_is_safe_is_only_counted() -> None:
    verdict = judge(seen(findings=(replace(LOST, what="stale", safe=True), replace(LOST, what="lost", safe=True))))
    assert (verdict.result, verdict.counts["stale"], verdict.counts["lost"]) == ("pass", 1, 1)


# --- what cannot be judged --------------------------------------------------------------------------------------------


def test_a_fault_that_is_not_proven() -> None:
    verdict = judge(seen(marks=without("took-effect"), budgets={"new-failed": 0}, findings=(LOST,)))
    assert verdict.result == "unknown"
    assert verdict.reasons == (
        "it could not be proven that the fault took effect: inject it",
        "lost (1): server 7 is gone",
    )
    assert [each.held for each in verdict.levels] == [None, None, None]
    assert verdict.budgets == (Budget(name="new-failed", limit=0, found=None, held=None),)
    assert verdict.counts["lost"] == 1


def test_one_of_two_faults_that_is_not_proven() -> None:
    verdict = judge(seen(marks=(*MARKS, mark(12.0, "inject", 1)), operations=spoiled(11, 12), budgets={"failed": 0}))
    assert (verdict.result, verdict.budgets[0].held) == ("unknown", False)


def test_nothing_at_all() -> None:
    verdict = judge(Seen(scenario="s"))
    assert verdict.result == "unknown"
    assert verdict.reasons == ("it could not be proven that the fault took effect: no fault was injected",)
    assert verdict.instrument is None


def test_no_requests() -> None:
    verdict = judge(seen(operations=(), budgets={"new-failed": 0, "stall": 1}))
    assert verdict.result == "unknown"
    assert level(verdict, "L2") == Level(name="L2", held=None, n=0, failed=0, bound=1.0)
    assert all(each.found is None and each.held is None for each in verdict.budgets)
    assert "new-failed is unknown: 0 allowed, but there was no such request" in verdict.reasons


def test_a_load_that_died_has_seen_no_failure() -> None:
    part = tuple(each for each in load() if not 20 <= each.scheduled < 30)
    verdict = judge(seen(operations=part, budgets={"new-failed": 0}))
    assert (verdict.result, verdict.budgets[0].found) == ("unknown", 0.0)
    assert judge(seen(operations=part, budgets={"new-failed": -1})).result == "fail"


@pytest.mark.parametrize(
    "name",
    ["stream-lost", "stream-gap", "owners", "no-owner", "detect", "repair", "p99-ratio", "in-flight-failed", "speling"],
)
def test_what_was_not_measured_is_no_pass(name: str) -> None:
    operations = load(EFFECT)  # no baseline
    marks = without("undone")
    verdict = judge(seen(budgets={name: 1e9}, operations=operations, marks=marks))
    assert (verdict.result, verdict.budgets[0].held, verdict.budgets[0].found) == ("unknown", None, None)
    assert verdict.reasons[0].startswith(f"{name} is unknown: ")


# --- budgets ----------------------------------------------------------------------------------------------------------


WATCHED = (("c1",),) * 240
EVENTS = (event(EFFECT - 5), event(EFFECT + 0.5))
CALL = request(9998, 15.5, ended=19.5, service="rabbitmq")
TABLE: dict[str, tuple[float, dict[str, Any]]] = {
    "new-failed": (16, {"operations": spoiled(11, 12)}),
    "failed": (17, {"operations": (*spoiled(11, 12), bad(9999, 9.75, ended=10.0))}),
    "in-flight-failed": (1, {"operations": (*load(), bad(9999, 9.75, ended=10.0), request(9998, 9.75, ended=10.0))}),
    "lost": (1, {"findings": (LOST,)}),
    "duplicated": (1, {"findings": (replace(LOST, what="duplicated"),)}),
    "resurrected": (1, {"findings": (replace(LOST, what="resurrected"),)}),
    "diverged": (1, {"findings": (replace(LOST, what="diverged"),)}),
    "unsafe": (1, {"findings": (LOST, replace(LOST, what="stale", safe=True))}),
    "stall": (2.0, {"operations": (*load(), request(9999, 15.0, ended=17.0), CALL)}),
    "message-stall": (4.0, {"operations": (*load(), request(9999, 15.0, ended=20.0), CALL)}),
    "detect": (0.5, {"events": EVENTS}),
    "mask": (2.0 + QUICK, {"operations": spoiled(11, 12)}),
    "repair": (1.5, {"marks": (*MARKS, mark(EFFECT + 1.5, "repaired"))}),
    "redundancy": (30.0, {}),
    "stream-lost": (3, {"packets": stream((50, 51, 60))}),
    "stream-gap": (0.25, {"packets": stream((50, 51, 60))}),
    "p99-ratio": (64, {"operations": tuple(replace(x, ended=x.ended + 63 * QUICK * (x.sent >= 10)) for x in load())}),
    "owners": (0.25, {"samples": samples(("c1", "c2"), ("c1", "c2"), *WATCHED)}),
    "no-owner": (0.25, {"samples": samples((), (), *WATCHED)}),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_budget_is_held_at_its_limit_and_broken_above(name: str) -> None:
    found, changes = TABLE[name]
    assert budget(name, found, **changes) == Budget(name=name, limit=found, found=found, held=True)
    assert budget(name, found - QUICK, **changes) == Budget(name=name, limit=found - QUICK, found=found, held=False)


@pytest.mark.parametrize("name", TABLE)
def test_a_broken_budget_fails_and_is_told(name: str) -> None:
    found, changes = TABLE[name]
    verdict = judge(seen(budgets={name: found - QUICK}, **changes))
    assert verdict.result == "fail"
    assert verdict.reasons[-1].startswith(f"{name}: ")


def test_without_messages_none_waits() -> None:
    assert budget("message-stall", 1.0, operations=load()).held
    early = request(9998, 2.0, service="rabbitmq")
    assert budget("message-stall", 1.0, operations=(*load(), early)).held is None, "there were some, and then none"


STAND = {"lost", "duplicated", "resurrected", "diverged", "unsafe", "owners"}


@pytest.mark.parametrize("name", TABLE)
def test_a_stall_excuses_times_and_never_safety(name: str) -> None:
    found, changes = TABLE[name]
    stalls = tuple(stall(EFFECT + index / 4) for index in range(160))
    broken = judge(seen(budgets={name: found - QUICK}, stalls=stalls, **changes))
    assert broken.budgets[0].held is (False if name in STAND else None)
    assert broken.result == ("fail" if name in STAND else "unknown")
    assert budget(name, found, stalls=stalls, **changes).held  # what held in spite of it is held


def test_a_stall_elsewhere_excuses_nothing() -> None:
    operations = spoiled(11, 12)
    assert budget("new-failed", 0, operations=operations, stalls=(stall(9.0), stall(14.0))).held is False
    assert budget("mask", 1.0, operations=operations, stalls=(stall(9.0), stall(14.0))).held is False
    late = (stall(11.5, 0.75),)  # masked at 12.02; for certain not before 11.44
    assert budget("mask", 1.5, operations=operations, stalls=late).held is None
    assert budget("mask", 1.4, operations=operations, stalls=late).held is False
    assert budget("detect", 2.0, events=(event(EFFECT + 3),), stalls=(stall(12.5),)).held is False
    assert budget("detect", 2.0, events=(event(EFFECT + 3),), stalls=(stall(12.0),)).held is None


def test_a_stall_excuses_only_the_requests_that_it_touched() -> None:
    touched = (stall(11.5),)
    assert budget("new-failed", 0, operations=spoiled(11, 12), stalls=touched).held is False
    assert budget("new-failed", 0, operations=spoiled(11.5, 11.5 + STEP), stalls=touched).held is None
    verdict = judge(seen(operations=spoiled(11.5, 11.5 + STEP), stalls=touched, budgets={"new-failed": 0}))
    assert level(verdict, "L2").held is None
    assert verdict.reasons == (
        "new-failed is unknown: 1 found, 0 allowed, but the machine itself stood still meanwhile",
    )


def test_a_stall_may_excuse_l1() -> None:
    operations = (*load(), bad(9999, REDUNDANT))
    verdict = judge(seen(operations=operations, stalls=(stall(REDUNDANT),)))
    assert (level(verdict, "L1").held, verdict.result) == (None, "unknown")


def test_the_drills_own_undo_says_nothing_about_repair() -> None:
    verdict = judge(seen(budgets={"repair": 20}))
    assert (verdict.repair, verdict.budgets[0].held, verdict.result) == (16.0, None, "unknown")


def test_never_masked_is_broken_once_the_limit_has_passed() -> None:
    operations = spoiled(11, 99)
    assert budget("mask", 30, operations=operations).held is False
    assert budget("mask", 60, operations=operations).held is None


def test_no_event_about_it() -> None:
    routine = (event(EFFECT - 5), event(EFFECT + 1, "member.settled"))
    assert budget("detect", 2, events=routine) == Budget(name="detect", limit=2, found=None, held=False)


def test_two_owners_fail_without_any_budget() -> None:
    both = samples(("c1", "c2"), ("c1", "c2"), ("c1", "c2"), *WATCHED)
    verdict = judge(seen(samples=both))
    assert (verdict.result, verdict.findings[0].what) == ("fail", "two-owners")
    assert judge(seen(samples=both, budgets={"owners": 0})).result == "fail"
    assert judge(seen(samples=both, budgets={"owners": 2})).result == "pass"


def test_owners_that_nobody_watched() -> None:
    verdict = judge(seen(samples=samples(("c1",), ("c1",)), budgets={"owners": 0.3}))
    assert verdict.reasons == (
        "owners is unknown: 0.00 s found, 0.30 s allowed, but for a while nobody looked who held it",
    )


def test_lost_is_unknown_where_nobody_could_list() -> None:
    gaps = (("nova", "servers"), ("galera", "rows"))
    verdict = judge(seen(unproven=gaps, budgets={"lost": 0}))
    assert verdict.reasons == (
        "lost is unknown: 0 found, 0 allowed, but nobody could list galera rows, nova servers whole",
    )
    assert judge(seen(unproven=gaps, budgets={"lost": 0}, findings=(LOST,))).budgets[0].held is False


def test_what_is_new_does_not_work() -> None:
    verdict = judge(seen(marks=(*MARKS, Mark(at=41.0, what="broken", detail="no server was made"))))
    assert (level(verdict, "L1").held, verdict.result) == (False, "fail")
    assert verdict.reasons == ("it does not work again: no server was made",)


def test_the_reasons_name_services_outages_and_pooled_requests() -> None:
    operations = (*spoiled(11, 12), bad(9999, 11.0, fresh=False))
    verdict = judge(seen(operations=operations, budgets={"new-failed": 0, "stall": 0}, findings=(LOST,)))
    assert verdict.reasons == (
        "lost (1): server 7 is gone",
        "new-failed: 16, allowed 0 (nova 16 of 480, out for up to 1.00 ± 0.06 s;"
        " 1 on pooled connections counted apart)",
        "stall: 0.02 s, allowed 0.00 s (nova)",
    )


def test_times_count_from_the_last_of_two_faults_and_requests_from_the_first() -> None:
    marks = (*MARKS, mark(14.0, "inject", 1), mark(15.0, "took-effect", 1))
    verdict = judge(seen(marks=marks, operations=spoiled(11, 16), events=(event(12.0), event(15.5))))
    assert (verdict.counts["new-failed"], verdict.detect, verdict.redundancy) == (80, 0.5, 25.0)
    assert verdict.mask == 1.0 + QUICK


def test_counts_name_what_the_scorecard_shows() -> None:
    assert set(judge(seen()).counts) == {
        "ok",
        "failed",
        "unknown",
        "new-failed",
        "in-flight-failed",
        "pooled-failed",
        "lost",
        "duplicated",
        "failed-but-applied",
        "stale",
        "resurrected",
    }


def test_all_streams_count_and_what_was_not_measured_is_told() -> None:
    packets = (*stream((100, 101)), *(replace(packet, stream="between") for packet in stream((200,))))
    verdict = judge(seen(packets=packets, budgets={"stream-lost": 2}))
    assert [(loss.stream, loss.lost) for loss in verdict.streams] == [("between", 1), ("floating", 2)]
    assert verdict.result == "fail" and verdict.reasons[0].startswith("stream-lost: 3, allowed 2")
    sentence = "no stream between servers was measured: it needs two compute nodes"
    verdict = judge(seen(marks=(*MARKS, Mark(at=1.0, what="left-out", detail=sentence))))
    assert (verdict.result, verdict.reasons) == ("pass", (sentence,))
