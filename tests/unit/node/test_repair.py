"""When a program is killed and started again, and above all when it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from member_views import DONE, MEMBER, NOW, SETTLED, any_view, view

from outlast.node import repair
from outlast.node.decide import member_action
from outlast.node.reader import speakers
from outlast.node.repair import FORGET, LIMITS, PAUSES, REAPED, REJOIN, STAGGER, START_LIMIT, next_repair
from outlast.node.view import Asked, Attempt, MemberView, Others, Sickness
from outlast.spec.probe import Health, Probe

AFTER = 2.5
HUNG = Sickness("one", NOW - 3, 3, "no answer within 1 s", silent=True)
WRONG = replace(HUNG, sentence="status 500", silent=False)
FAILED = Health("failed", "member.failed", "no answer within 1 s")
QUORUM = replace(MEMBER, quorum=True, index=1)
MOST = Others(2, 2)


def sick(one: Sickness = HUNG, **changes: Any) -> MemberView:
    needs = (Asked(True, "connected", 1.0),)
    return view(**{"sick": (one,), "repair_after": AFTER, "health": FAILED, "needs": needs, **changes})


def since(seconds: float, base: Sickness = HUNG, **changes: Any) -> Sickness:
    return replace(base, since=NOW - seconds, **changes)


def repaired(times: int, ago: float) -> dict[str, Attempt]:
    return {repair.key("one"): Attempt(NOW - ago, times)}


RULE = replace(MEMBER, start="galera", quorum=True)
CACHE = replace(MEMBER, programs=(replace(MEMBER.programs[0], disposable=True), MEMBER.programs[1]))
FRESH = Sickness("one", NOW - 0.3, 1, "no answer within 0.3 s", silent=True, waits=True)
DUE = {
    "hung": (sick(), "program.hung"),
    "wrong": (sick(WRONG), "program.wrong"),
    "busy, for too long": (sick(since(LIMITS["busy"], strain="busy")), "program.hung"),
    "starved, for far too long": (sick(since(LIMITS["starved"], strain="starved")), "program.hung"),
    "killed, and still there": (sick(since(60), attempts=repaired(1, PAUSES[1])), "program.hung"),
    "never came up": (sick(since(START_LIMIT, was_well=False, silent=False)), "program.never-well"),
    "hung, the others are a majority": (sick(member=QUORUM, others=MOST), "program.hung"),
    "wrong, the others are a majority": (sick(WRONG, member=QUORUM, others=MOST), "program.wrong"),
    "wrong, and did not find the majority": (
        sick(since(17, WRONG), member=QUORUM, others=Others(2, 2, since=NOW - REJOIN)),
        "program.wrong",
    ),
    "hung, the others are a majority again, just now": (
        sick(since(17), member=QUORUM, others=Others(2, 2, since=NOW)),
        "program.hung",
    ),
    "hung without a majority, its turn": (sick(since(2 * STAGGER), member=QUORUM, others=Others(0, 2)), "program.hung"),
    "a database that hangs": (sick(member=RULE, others=MOST), "program.hung"),
    "nobody would miss it": (sick(FRESH, member=CACHE), "program.hung"),
    "nobody would miss it, but it computes and computes": (
        sick(since(LIMITS["busy"], strain="busy"), member=CACHE),
        "program.hung",
    ),
    "again, after the pause": (sick(attempts=repaired(1, PAUSES[1])), "program.hung"),
    "again, long after": (sick(attempts=repaired(9, FORGET + 1)), "program.hung"),
}
NOT_DUE = {
    "a need has no answer yet": (sick(needs=(Asked(False, ""),)), "repair.needs"),
    "a need is not met": (sick(needs=(Asked(False, "sql 10.0.0.1: refused", 1.0),)), "repair.needs"),
    "hung, nobody else is well": (sick(member=QUORUM, others=Others(1, 2)), "repair.no-majority"),
    "wrong, nobody else is well, for ever": (
        sick(since(10_000, WRONG), member=QUORUM, others=Others(1, 2)),
        "repair.no-majority",
    ),
    "wrong, the others are a majority again, just now": (
        sick(since(17, WRONG), member=QUORUM, others=Others(2, 2, since=NOW - REJOIN + 1)),
        "repair.rejoining",
    ),
    "hung again": (sick(attempts=repaired(1, 4.0)), "repair.backoff"),
    "many times": (sick(attempts=repaired(50, PAUSES[-1] - 1)), "repair.backoff"),
}
NOTHING = {
    "nobody would miss it, but it computes": sick(replace(FRESH, strain="busy"), member=CACHE),
    "nobody would miss it, but it is kept from a processor": sick(replace(FRESH, strain="starved"), member=CACHE),
    "nobody would miss it, but nobody waits for it: the agent is late": sick(replace(FRESH, waits=False), member=CACHE),
    "nobody would miss it, but it answers": sick(replace(FRESH, silent=False), member=CACHE),
    "somebody would miss it": sick(FRESH),
    "its neighbour would not be missed": sick(replace(FRESH, program="two"), member=CACHE),
    "not for long enough": sick(since(AFTER - 0.1)),
    "one bad answer": sick(replace(HUNG, answers=1)),
    "busy": sick(replace(HUNG, strain="busy")),
    "starved": sick(since(LIMITS["starved"] - 1, strain="starved")),
    "killed just now": sick(since(4), attempts=repaired(1, REAPED - 0.1)),
    "coming up, and at work": sick(since(START_LIMIT + 1, was_well=False, strain="busy")),
    "still coming up": sick(since(START_LIMIT - 1, was_well=False)),
    "a cluster that comes up takes its time": sick(since(9999, was_well=False), member=QUORUM, others=MOST),
    "a wrong word of a database is for its own rule": sick(since(60, WRONG), member=RULE, others=MOST),
    "a profile without repair": sick(repair_after=0.0),
    "well": SETTLED,
}


@pytest.mark.parametrize("case", DUE)
def test_due(case: str) -> None:
    seen, code = DUE[case]
    action = member_action(seen, NOW)
    assert (action.kind, action.code, action.program) == ("repair", code, "one")
    assert action.evidence
    assert seen.sick[0].sentence in action.sentence


@pytest.mark.parametrize("case", NOT_DUE)
def test_not_due_and_why(case: str) -> None:
    """Nothing is left undone silently."""
    seen, code = NOT_DUE[case]
    action = member_action(seen, NOW)
    assert (action.kind, action.code) == ("none", code)
    assert "not restarted" in action.sentence
    assert not action.final


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_to_say(case: str) -> None:
    assert next_repair(NOTHING[case], NOW) is None
    assert member_action(NOTHING[case], NOW).kind == "none"


def test_one_that_may_goes_before_one_that_may_not() -> None:
    both = (since(9), replace(HUNG, program="two"))
    found = next_repair(sick(sick=both, attempts=repaired(1, 0.1)), NOW)
    assert found is not None
    assert (found.program, found.due) == ("two", True)


@given(
    any_view(), st.booleans(), st.floats(0, 400), st.integers(0, 9), st.sampled_from(sorted(LIMITS)), st.integers(0, 2)
)
def test_nothing_is_killed_that_is_not_sick(
    seen: MemberView, silent: bool, seconds: float, answers: int, strain: str, well: int
) -> None:
    """Only a program that is sick for long enough, one at a time, and of a cluster only the odd one or a hung one."""
    one = Sickness("two", NOW - seconds, answers, "no answer", silent=silent, strain=strain)
    for member in (seen.member, QUORUM):
        found = replace(seen, member=member, sick=(one,), repair_after=AFTER, others=Others(well, 2))
        action = member_action(found, NOW)
        if action.kind != "repair":
            continue
        assert action.program == "two"
        assert seconds >= AFTER
        assert answers >= 2
        assert all(need.good for need in found.needs)
        assert not member.quorum or well == 2 or silent
        assert seconds >= LIMITS[strain]


@given(st.lists(st.floats(0.1, 90), min_size=1, max_size=200))
def test_no_restart_loop(waits: list[float]) -> None:
    """However often it hangs again, it is restarted at most once a minute in the long run, and never given up."""
    now, attempts, times = NOW, {}, []
    for wait in waits:
        now += wait
        seen = sick(replace(HUNG, since=now - 60), attempts=attempts)
        if member_action(seen, now).kind == "repair":
            times.append(now)
            attempts = {repair.key("one"): repair.counted(attempts.get(repair.key("one")), now)}
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert all(gap >= PAUSES[min(number + 1, len(PAUSES) - 1)] - 1e-6 for number, gap in enumerate(gaps))
    assert now - times[-1] <= PAUSES[-1] + 90


def test_never_all_at_once() -> None:
    """Three members that all seem hung at the same moment, as on a machine that stood still: one after the other."""
    for seconds in (3, 9, 15, 25, 35):
        turns = [
            member_action(sick(since(seconds), member=replace(QUORUM, index=index), others=Others(0, 2)), NOW).kind
            for index in range(3)
        ]
        assert turns.count("repair") == max(0, min(3, int(seconds / STAGGER))), "and who went before is starting by now"


def test_a_member_that_is_not_converged_is_not_repaired_but_converged() -> None:
    assert member_action(sick(stale_files=("/a",)), NOW).kind == "files"
    assert member_action(sick(steps_done=DONE, started="old"), NOW).kind == "stop"


def test_a_fenced_node_is_ill_but_its_keepalived_is_not_to_blame() -> None:
    assert speakers(MEMBER, Probe("guard", path="/run/state.json")) == ()
    assert speakers(MEMBER, Probe("process", path="one")) == ("one",)
    assert speakers(MEMBER, Probe("http", program="two")) == ("two",)
    assert speakers(MEMBER, Probe("http")) == ("one", "two")
