"""The recovery rule: a table of situations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outlast.services.galera.recovery import NO_UUID, GaleraStep, GaleraView, MemberFact, next_step

U, OTHER = "6f75746c-6173-7443-a5e1-000000000099", "11111111-2222-3333-4444-555555555555"
ALL = ("c1", "c2", "c3")


def down(seqno: int = 10, view: tuple[str, ...] | None = ALL, uuid: str = U) -> MemberFact:
    return MemberFact(True, "down", True, (uuid, seqno), view)


def running(state: str, seqno: int = 10, view: tuple[str, ...] = ALL) -> MemberFact:
    return MemberFact(True, state, True, (U, seqno), view)


def told(seqno: int = 10, lost: tuple[str, ...] = ("c3",), seconds: float = 10.0, uuid: str = U) -> MemberFact:
    """One that was told to do without `lost`, so many seconds ago."""
    return replace(down(seqno, uuid=uuid), given_up=lost, given_seconds=seconds)


def damaged(times: int) -> MemberFact:
    return replace(down(), position=None, unreadable=("aria_log_control is too small",) * times)


PRISTINE = MemberFact(True, "down", False, (U, 1), None)
GONE = MemberFact()


def ask(node: str, *facts: MemberFact, **more: object) -> GaleraStep:
    own = facts[ALL.index(node)]
    view = GaleraView(node, ALL, dict(zip(ALL, facts, strict=True)), running=own.state != "down", seconds=100.0)
    return next_step(replace(view, **more))  # type: ignore[arg-type]


MOST = {"policy": "majority"}
HOLDS = {"permit": "recovery"}
TABLE = [
    ("in the primary component", "c1", (running("primary"), down(), down()), {}, "none", "galera.primary"),
    ("a primary component exists", "c2", (running("primary"), down(), down()), {}, "start", "galera.join"),
    ("founder with permit", "c1", (PRISTINE,) * 3, {"permit": "first"}, "bootstrap", "galera.first"),
    ("founder without permit", "c1", (PRISTINE,) * 3, {}, "wait", "galera.no-permit"),
    ("permit on another node", "c2", (PRISTINE,) * 3, {"permit": "first"}, "wait", "galera.wait-founder"),
    ("permit, one unknown", "c1", (PRISTINE, PRISTINE, GONE), {"permit": "first"}, "wait", "galera.first-unknown"),
    ("permit, another has data", "c1", (PRISTINE, down(), PRISTINE), {"permit": "first"}, "wait", "galera.wait-winner"),
    (
        "position not read",
        "c1",
        (replace(down(), position=None), down(), down()),
        {},
        "recover-position",
        "galera.position",
    ),
    ("most advanced", "c2", (down(10), down(12), down(11)), {}, "bootstrap", "galera.most-advanced"),
    ("not most advanced", "c1", (down(10), down(12), down(11)), {}, "wait", "galera.wait-winner"),
    ("tie: first in order", "c1", (down(), down(), down()), {}, "bootstrap", "galera.most-advanced"),
    ("tie: second waits", "c2", (down(), down(), down()), {}, "wait", "galera.wait-winner"),
    ("one missing", "c1", (down(), down(), GONE), {}, "wait", "galera.wait-positions"),
    (
        "one missing that had left",
        "c1",
        (down(10, ("c1", "c2")),) * 2 + (GONE,),
        {},
        "bootstrap",
        "galera.most-advanced",
    ),
    (
        "left before, ties with the last view",
        "c1",
        (down(10), *(down(10, ("c2", "c3")),) * 2),
        {},
        "wait",
        "galera.wait-winner",
    ),
    (
        "notes disagree, one missing",
        "c1",
        (down(10), down(10, ("c1", "c2")), GONE),
        {},
        "wait",
        "galera.wait-positions",
    ),
    (
        "notes lost, all here",
        "c1",
        (down(10, None), down(9, None), down(9, None)),
        {},
        "bootstrap",
        "galera.most-advanced",
    ),
    ("histories differ", "c1", (down(10), down(12, uuid=OTHER), down(11)), {}, "wait", "galera.histories-differ"),
    (
        "useless data do not count",
        "c1",
        (down(3), down(2), down(-1, uuid=NO_UUID)),
        {},
        "bootstrap",
        "galera.most-advanced",
    ),
    ("nothing useful", "c1", (down(-1, uuid=NO_UUID),) * 3, {}, "wait", "galera.no-useful-data"),
    (
        "majority without permit",
        "c1",
        (down(), down(), GONE),
        {"policy": "majority"},
        "ask-permit",
        "galera.ask-permit",
    ),
    (
        "majority, another is more advanced",
        "c2",
        (down(10), down(10), GONE),
        {"policy": "majority"},
        "wait",
        "galera.wait-winner",
    ),
    (
        "majority with permit",
        "c1",
        (down(), down(), GONE),
        {"policy": "majority", "permit": "recovery"},
        "bootstrap",
        "galera.most-advanced",
    ),
    ("majority, all here, without permit", "c1", (down(), down(), down()), MOST, "ask-permit", "galera.ask-permit"),
    ("majority, all here", "c1", (down(), down(), down()), MOST | HOLDS, "bootstrap", "galera.most-advanced"),
    ("majority, runs", "c1", (running("non-primary"), down(9), down(9)), MOST, "ask-permit", "galera.ask-permit"),
    (
        "majority, runs and may heal",
        "c1",
        (running("non-primary"), down(9), down(9)),
        MOST | {"seconds": 1.0},
        "wait",
        "galera.may-heal",
    ),
    (
        "majority, the permit is in the wrong hands",
        "c1",
        (down(10), down(12), down(10)),
        MOST | HOLDS,
        "return-permit",
        "galera.return-permit",
    ),
    (
        "majority, the permit is in the hands of one that runs",
        "c1",
        (running("non-primary"), down(12), down(10)),
        MOST | HOLDS,
        "return-permit",
        "galera.return-permit",
    ),
    (
        "majority, the permit may be in the wrong hands",
        "c1",
        (down(10), down(12), down(10)),
        MOST | {"permit": "unread"},
        "return-permit",
        "galera.return-permit",
    ),
    (
        "majority, the one that went with the permit may have gone first",
        "c1",
        (down(10), down(12), GONE),
        MOST | HOLDS,
        "wait",
        "galera.wait-winner",
    ),
    (
        "first permit is no recovery permit",
        "c1",
        (down(), down(), GONE),
        {"policy": "majority", "permit": "first"},
        "ask-permit",
        "galera.ask-permit",
    ),
    (
        "minority",
        "c1",
        (down(), GONE, GONE),
        {"policy": "majority", "permit": "recovery"},
        "wait",
        "galera.wait-positions",
    ),
    ("given up by all, long ago", "c1", (told(), told(), GONE), {}, "bootstrap", "galera.most-advanced"),
    (
        "given up, and its position does not count",
        "c1",
        (told(), told(), down(99)),
        {},
        "bootstrap",
        "galera.most-advanced",
    ),
    ("given up, the more advanced goes first", "c1", (told(), told(seqno=11), GONE), {}, "wait", "galera.wait-winner"),
    ("given up just now", "c1", (told(), told(seconds=9.0), GONE), {}, "wait", "galera.give-up-agreed"),
    ("given up, another was not told", "c1", (told(), down(), GONE), {}, "wait", "galera.give-up-untold"),
    ("given up, told of others", "c1", (told(), told(lost=("c1",)), GONE), {}, "wait", "galera.give-up-untold"),
    ("given up, another is missing", "c1", (told(), GONE, GONE), {}, "wait", "galera.wait-positions"),
    ("two given up: no majority", "c1", (told(lost=("c2", "c3")), GONE, GONE), {}, "wait", "galera.wait-positions"),
    ("given up, histories differ", "c1", (told(), told(uuid=OTHER), GONE), {}, "wait", "galera.histories-differ"),
    ("given up, a primary exists", "c3", (running("primary"), told(), down(99)), {}, "start", "galera.join"),
    ("I am given up", "c3", (told(), told(), down(99)), {}, "wait", "galera.given-up"),
    (
        "I am given up, the last view was mine alone",
        "c3",
        (told(), told(), down(99, ("c3",))),
        {},
        "wait",
        "galera.given-up",
    ),
    (
        "an old note of one outside the last view",
        "c3",
        (down(10, ("c1", "c3")), told(), down(99, ("c1", "c3"))),
        {},
        "bootstrap",
        "galera.most-advanced",
    ),
    ("alone and running", "c1", (running("non-primary"), down(9), down(9)), {}, "pc-bootstrap", "galera.pc-bootstrap"),
    ("just lost it", "c1", (running("non-primary"), down(9), down(9)), {"seconds": 1.0}, "wait", "galera.may-heal"),
    ("behind and running", "c1", (running("non-primary", 8), down(9), down(9)), {}, "wait", "galera.wait-winner"),
    (
        "two run",
        "c1",
        (running("non-primary"), running("non-primary"), down(9)),
        {},
        "pc-bootstrap",
        "galera.pc-bootstrap",
    ),
    ("all run: winner waits", "c1", (running("non-primary"),) * 3, {}, "wait", "galera.may-heal"),
    ("all run: others yield", "c2", (running("non-primary"),) * 3, {}, "recover-position", "galera.yield"),
    ("all run: give them time", "c2", (running("non-primary"),) * 3, {"seconds": 20.0}, "wait", "galera.may-heal"),
    ("joining nobody", "c1", (running("joining"), down(), down()), {}, "recover-position", "galera.give-up-joining"),
    ("joining, blind", "c1", (running("joining"), GONE, down()), {}, "wait", "galera.peers-unknown"),
    (
        "left out of the primary",
        "c1",
        (running("non-primary"), running("primary"), down()),
        {},
        "restart",
        "galera.rejoin",
    ),
    ("unreadable, a primary exists", "c1", (damaged(3), running("primary"), down()), {}, "renew", "galera.renew"),
    ("unreadable twice only", "c1", (damaged(2), running("primary"), down()), {}, "start", "galera.join"),
    ("unreadable and no primary", "c1", (damaged(3), down(), down()), {}, "recover-position", "galera.position"),
    ("another is unreadable", "c1", (down(), damaged(3), down()), {}, "wait", "galera.wait-positions"),
    ("a joiner has not reported", "c1", (down(), running("joining"), down()), {}, "wait", "galera.wait-positions"),
]


@pytest.mark.parametrize(
    ("node", "facts", "more", "kind", "code"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_table(node: str, facts: tuple[MemberFact, ...], more: dict[str, object], kind: str, code: str) -> None:
    step = ask(node, *facts, **more)
    assert (step.kind, step.code) == (kind, code), step.sentence


def test_the_sentence_names_who_is_missing() -> None:
    assert "c3" in ask("c1", down(), down(), GONE).sentence
    assert "c2 and c3" in ask("c1", down(), GONE, GONE).sentence


def test_what_was_learned_before_this_outage_does_not_count() -> None:
    stale = replace(down(), age=3.0)
    assert ask("c1", down(12), stale, stale, seconds=2.0).code == "galera.wait-positions"
    assert ask("c1", down(12), stale, stale, seconds=4.0).kind == "bootstrap"
    assert ask("c1", down(12), replace(stale, age=9.0), stale).code == "galera.wait-positions"
