"""One action per look, and never a wrong one: tables for every branch, properties over anything a node can be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from member_views import BALANCED, DONE, MEMBER, NOW, PREPARE, SETTLED, SETUP, STOPPED, any_view, states, view

from outlast.node.decide import BACKOFF, FORGIVE, QUICK, Action, decide, member_action
from outlast.node.view import Asked, Attempt, Direction, MemberView, View, step_digest
from outlast.spec.probe import Health

PREPARED = frozenset({step_digest(PREPARE)})
JUST_FAILED = Attempt(NOW, 3, "exit 7")


def direction(kind: str) -> Direction:
    return Direction(kind, f"rule.{kind}", f"the rule says {kind}")


TABLE = {
    "all is well": (SETTLED, "none", "member.settled"),
    "something is under way": (view(running="prepare", stale_files=("/a",)), "none", "member.busy"),
    "files first": (view(stale_files=("/a",)), "files", "member.files"),
    "files that could not be written": (
        view(stale_files=("/a",), attempts={"files": JUST_FAILED}),
        "none",
        "action.backoff",
    ),
    "an unprepared member runs on while it is prepared": (
        view(started="old", steps_done=frozenset()),
        "step",
        "step.run",
    ),
    "a changed prepare step runs beside the programs": (
        view(steps_done=frozenset({step_digest(SETUP)})),
        "step",
        "step.run",
    ),
    "running with an old configuration": (view(started="old"), "stop", "member.outdated"),
    "out of the balancers first": (view(member=BALANCED, started="old"), "leave", "member.leave"),
    "it was announced, by an agent that died": (
        view(member=BALANCED, started="old", leaving=True),
        "leave",
        "member.leave",
    ),
    "not asked whether it hears a stop": (
        view(started="old", deaf={"one": None}),
        "none",
        "member.unasked",
    ),
    "it would not hear a stop": (view(started="old", deaf={"one": False}), "stop", "member.outdated"),
    "it hears a stop": (view(started="old", deaf={"one": True}), "stop", "member.outdated"),
    "out of the balancers": (view(member=BALANCED, started="old", leaving=True, left=True), "stop", "member.outdated"),
    "who serves nobody has nothing to leave": (
        view(member=BALANCED, started="old", health=Health("failed", "probe.bad", "no answer")),
        "stop",
        "member.outdated",
    ),
    "the change was taken back meanwhile": (view(member=BALANCED, leaving=True, left=True), "return", "member.return"),
    "half of it runs with an old configuration": (
        view(started="old", programs=states(one="RUNNING", two="EXITED")),
        "stop",
        "member.outdated",
    ),
    "it is stopping": (view(started="old", programs=states(one="STOPPING", two="STOPPED")), "none", "member.stopping"),
    "it is stopping, its configuration is right": (
        view(programs=states(one="STOPPING", two="STOPPED")),
        "none",
        "member.stopping",
    ),
    "sections before the start": (view(STOPPED, stale_sections=True), "sections", "member.programs"),
    "its needs are not met": (view(STOPPED, needs=(Asked(False, "no route", 1.0),)), "none", "member.needs"),
    "its needs were not asked yet": (view(STOPPED, needs=(Asked(False, ""),)), "none", "member.needs"),
    "start": (STOPPED, "start", "member.start"),
    "start what is missing": (
        view(STOPPED, programs=states(one="RUNNING", two="EXITED")),
        "start",
        "member.start",
    ),
    "it was started again and again": (view(STOPPED, attempts={"start": JUST_FAILED}), "none", "member.backoff"),
    "old failures are forgiven": (
        view(STOPPED, attempts={"start": Attempt(NOW - FORGIVE - 1, 9)}),
        "start",
        "member.start",
    ),
    "the rule says start": (view(STOPPED, direction=direction("start")), "start", "rule.start"),
    "the rule says wait": (view(STOPPED, direction=direction("wait")), "none", "rule.wait"),
    "the rule says bootstrap": (view(STOPPED, direction=direction("bootstrap")), "bootstrap", "rule.bootstrap"),
    "the rule says position": (view(STOPPED, direction=direction("position")), "position", "rule.position"),
    "the rule says permit": (view(STOPPED, direction=direction("permit")), "permit", "rule.permit"),
    "no permit was to be had": (
        view(STOPPED, direction=direction("permit"), attempts={"permit": JUST_FAILED}),
        "none",
        "rule.permit",
    ),
    "running, the rule says restart": (view(direction=direction("restart")), "stop", "rule.restart"),
    "running, the rule wants its position": (view(direction=direction("position")), "stop", "rule.position"),
    "running, pc-bootstrap": (view(direction=direction("pc-bootstrap")), "pc-bootstrap", "rule.pc-bootstrap"),
    "running, pc-bootstrap failed": (
        view(direction=direction("pc-bootstrap"), attempts={"pc-bootstrap": JUST_FAILED}),
        "none",
        "rule.pc-bootstrap",
    ),
    "well, but the rule waits": (view(direction=direction("wait")), "none", "rule.wait"),
    "reload": (view(reloaded="stale"), "reload", "member.reload"),
    "reload failed": (view(reloaded="stale", attempts={"reload": JUST_FAILED}), "none", "action.backoff"),
    "nothing to reload with": (view(reloaded="stale", member=replace(MEMBER, reload=())), "none", "member.settled"),
    "not well": (view(health=Health("failed", "member.failed", "status 500")), "none", "member.failed"),
    "setup waits for health": (
        view(steps_done=PREPARED, health=Health("starting", "member.starting", "refused")),
        "none",
        "member.starting",
    ),
    "setup": (view(steps_done=PREPARED), "step", "step.run"),
    "setup waits for its needs": (view(steps_done=PREPARED, step_needs=(Asked(False, "no"),)), "none", "step.needs"),
    "setup failed": (view(steps_done=PREPARED, attempts={"setup": JUST_FAILED}), "none", "step.backoff"),
}


@pytest.mark.parametrize("case", TABLE)
def test_table(case: str) -> None:
    seen, kind, code = TABLE[case]
    action = member_action(seen, NOW)
    assert (action.kind, action.code) == (kind, code)
    assert action.service == "thing"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("files that could not be written", "exit 7"),
        ("setup failed", "exit 7"),
        ("its needs are not met", "no route"),
        ("its needs were not asked yet", "tcp 10.0.0.1:3306"),
        ("it was started again and again", "2.0 s"),
        ("not well", "status 500"),
    ],
)
def test_a_wait_says_for_what(case: str, words: str) -> None:
    assert words in member_action(TABLE[case][0], NOW).sentence


def test_only_a_settled_member_is_final() -> None:
    finals = {case for case, (seen, _, _) in TABLE.items() if member_action(seen, NOW).final}
    assert finals == {"all is well", "nothing to reload with"}


def test_a_pause_leaves_nobody_outside_the_balancers() -> None:
    """A roll-out that is paused between leaving and the stop: the program serves on, with the old configuration."""
    out = view(member=BALANCED, started="old", leaving=True, left=True)
    (found,) = decide(View(NOW, "c1", (out,), paused="by me"))
    assert (found.kind, found.code) == ("return", "member.return")
    for still in (replace(out, running="leave"), replace(out, leaving=False, left=False)):
        (found,) = decide(View(NOW, "c1", (still,), paused="by me"))
        assert found.kind == "none"
    failed = replace(out, attempts={"return": Attempt(NOW, 3, "read-only")})
    (found,) = decide(View(NOW, "c1", (failed,), paused="by me"))
    assert (found.kind, found.code) == ("none", "action.backoff")


def test_a_paused_node_does_nothing() -> None:
    found = decide(View(NOW, "c1", (view(stale_files=("/a",)), SETTLED), ("stranger",), paused="by me"))
    assert [(action.kind, action.code) for action in found] == [("none", "agent.paused"), ("none", "member.settled")]
    assert found[0].sentence == "paused (by me); would do: writing /a"


def test_strangers_are_forgotten_and_members_keep_their_order() -> None:
    other = view(member=replace(MEMBER, service="other"))
    found = decide(View(NOW, "c1", (SETTLED, other), ("old-program",)))
    assert [(action.kind, action.service) for action in found] == [("forget", ""), ("none", "thing"), ("none", "other")]


@given(any_view())
def test_nothing_starts_with_stale_files_or_sections(seen: MemberView) -> None:
    action = member_action(seen, NOW)
    if seen.stale_files or seen.stale_sections:
        assert action.kind not in ("start", "bootstrap")
    if seen.stale_files:
        assert action.kind in ("files", "none"), "nothing runs on files that are not what the bundle says"


@given(any_view())
def test_nothing_is_done_beside_something_running(seen: MemberView) -> None:
    assert member_action(replace(seen, running="a step"), NOW).kind == "none"


@given(any_view())
def test_nothing_starts_unprepared_or_without_its_needs(seen: MemberView) -> None:
    if member_action(seen, NOW).kind in ("start", "bootstrap"):
        assert step_digest(PREPARE) in seen.steps_done
        assert all(answer.good for answer in seen.needs)
        assert not seen.up


@given(any_view())
def test_nothing_starts_while_something_of_it_stops(seen: MemberView) -> None:
    if any(program.state == "STOPPING" for program in seen.programs.values()):
        assert member_action(seen, NOW).kind not in ("start", "bootstrap", "sections", "stop")


@given(any_view())
def test_a_converged_healthy_member_is_stopped_only_by_its_rule(seen: MemberView) -> None:
    """No restart loop: what runs with the right configuration is left alone."""
    if member_action(seen, NOW).kind == "stop":
        by_rule = seen.direction is not None and seen.direction.kind in ("restart", "position")
        assert by_rule or seen.stale_sections or seen.started != seen.member.restart_digest
        assert not seen.down, "there is something to stop"


@given(any_view())
def test_who_serves_is_out_of_the_balancers_before_it_is_stopped(seen: MemberView) -> None:
    action = member_action(seen, NOW)
    if action.kind == "stop" and seen.up and seen.member.leaves and seen.health.status == "ok":
        by_rule = seen.direction is not None and action.code == seen.direction.code
        assert seen.left or by_rule
    if action.kind == "leave":
        assert seen.up and seen.member.leaves and not seen.left
    if action.final:
        assert not seen.leaving, "and nobody is left standing outside"


@given(any_view())
def test_the_rule_is_obeyed(seen: MemberView) -> None:
    """A member with a recovery rule never starts on its own account, and never while the rule says wait."""
    action = member_action(seen, NOW)
    if seen.direction is not None and action.kind in ("start", "bootstrap", "pc-bootstrap", "position", "permit"):
        assert seen.direction.kind != "wait"
        assert action.code == seen.direction.code
    if action.kind in ("bootstrap", "pc-bootstrap", "permit"):
        assert seen.direction is not None
        assert seen.direction.kind == action.kind


@given(any_view())
def test_setup_runs_only_on_a_healthy_member(seen: MemberView) -> None:
    action = member_action(seen, NOW)
    if action.step == SETUP:
        assert seen.health.status == "ok"
        assert seen.up
        assert seen.started == seen.member.restart_digest


@given(any_view(), st.floats(0, 10_000))
def test_every_backoff_ends(seen: MemberView, later: float) -> None:
    """Whatever failed how often: after the longest pause it is tried again, and one sentence tells how long."""
    action = member_action(seen, NOW + max(BACKOFF) + later)
    assert action.code not in ("member.backoff", "step.backoff", "action.backoff")
    assert action == member_action(replace(seen, attempts={}), NOW + max(BACKOFF) + later)


@given(any_view())
def test_final_means_that_nothing_is_left(seen: MemberView) -> None:
    action = member_action(seen, NOW)
    if action.final:
        assert action.kind == "none"
        assert seen.up
        assert not seen.stale_files
        assert seen.steps_done == DONE
        assert seen.health.status == "ok"
        assert seen.started == seen.member.restart_digest


@given(any_view())
def test_every_action_says_one_sentence(seen: MemberView) -> None:
    action = member_action(seen, NOW)
    assert action.sentence
    assert "\n" not in action.sentence
    assert action.code


@given(any_view(), any_view())
def test_no_member_starves_another(first: MemberView, second: MemberView) -> None:
    """What one member waits for or fails at never hides what another can do."""
    other = replace(second, member=replace(second.member, service="other"))
    found = decide(View(NOW, "c1", (first, other)))
    assert found[1] == member_action(other, NOW)
    broken = replace(first, attempts=dict.fromkeys(QUICK, JUST_FAILED))
    assert member_action(broken, NOW).kind not in QUICK


def _world(action: Action, seen: MemberView, now: float) -> MemberView:
    """What the hands do, in short: one thing at a time, always with success."""
    match action.kind:
        case "files":
            return replace(seen, stale_files=())
        case "sections":
            return replace(seen, stale_sections=False)
        case "step":
            assert action.step
            return replace(seen, steps_done=seen.steps_done | {step_digest(action.step)}, step_needs=())
        case "stop":
            return replace(seen, programs=states(one="STOPPED", two="STOPPED"), direction=None)
        case "start" | "bootstrap":
            new, fresh = seen.member.restart_digest, seen.member.reload_digest
            running = states(one="RUNNING", two="RUNNING")
            back = {"leaving": False, "left": False}
            return replace(seen, programs=running, started=new, reloaded=fresh, direction=None, **back)
        case "leave":
            return replace(seen, leaving=True, left=True)
        case "return":
            return replace(seen, leaving=False, left=False)
        case "reload":
            return replace(seen, reloaded=seen.member.reload_digest)
        case "pc-bootstrap" | "position" | "permit":
            return replace(seen, direction=None)
    # Whatever was asked is answered meanwhile.
    return replace(seen, deaf=dict.fromkeys(seen.deaf, True))


@given(any_view())
def test_every_member_settles(seen: MemberView) -> None:
    """From anything, in a world where hands work and answers are good, a few actions lead to a settled member."""
    seen = replace(seen, running="", needs=(Asked(True, "yes"),), step_needs=(), health=SETTLED.health)
    stuck = {name: state for name, state in seen.programs.items() if state.state in ("STOPPING", "BACKOFF")}
    seen = replace(seen, programs={**seen.programs, **states(**dict.fromkeys(stuck, "STOPPED"))})
    if seen.direction is not None and seen.direction.kind == "wait":
        seen = replace(seen, direction=None)
    now = NOW
    for _ in range(16):
        now += max(BACKOFF) + 1
        action = member_action(seen, now)
        if action.final:
            return
        seen = _world(action, seen, now)
    raise AssertionError(f"still not settled: {action}")


def test_a_crash_loop_slows_down() -> None:
    """A program that dies at once is started about ten times in the first minute, not ten times a second."""
    now, starts = NOW, 0
    attempt: Attempt | None = None
    while now < NOW + 60:
        action = member_action(view(STOPPED, attempts={"start": attempt} if attempt else {}), now)
        if action.kind == "start":
            starts += 1
            attempt = Attempt(now, attempt.failures + 1 if attempt else 0)
        now += 0.15
    assert 5 <= starts <= 12
