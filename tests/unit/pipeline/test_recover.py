"""What would be done next, in rows; and who may be given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from example_clusters import opened
from fake_nodes import Nodes, node, plain

from outlast.cli.show_recover import lines
from outlast.errors import InputError
from outlast.observe.answer import Answer, Unreachable
from outlast.pipeline.recover import Database, Outlook, Row, accept_loss, outlook, refusal
from outlast.record.event import Event
from outlast.remote.fake import FakeConnector
from outlast.services.galera import facts
from outlast.services.galera.recovery import NO_UUID
from outlast.spec.command import Output
from outlast.spec.probe import Health
from outlast.spec.snapshot import GaleraFact, MemberState, Snapshot

PLAN = opened("galera").plan
ALL = tuple(member.node for member in PLAN.members_of("galera"))
ONE, TWO, THREE = ALL
U, OTHER = "6f75746c-6173-7443-a5e1-000000000099", "11111111-2222-3333-4444-555555555555"
DOWN = GaleraFact("down", True, U, 10, ALL)
DAMAGED = replace(DOWN, uuid="", unreadable=("[ERROR] damaged",) * 3)
PRIMARY = replace(DOWN, state="primary")
WAITS = MemberState("galera", Health("stopped", "x", "stopped"), "waiting", "waits", False, True)
WELL = MemberState("galera", Health("ok", "x", "well"), "settled", "well", True, True)
OFF = Unreachable("off")


def answer(name: str, fact: GaleraFact = DOWN, state: MemberState = WAITS, paused: str = "") -> Answer:
    others = [WELL if one.service != "galera" else state for one in PLAN.members_on(name)]
    members = tuple(replace(one, service=item.service) for one, item in zip(others, PLAN.members_on(name), strict=True))
    return Snapshot("galera", name, "d", "c", "b", 1, "s", members, galera=fact, paused=paused)


def seen(*answers: Answer, policy: str = "safe", events: tuple[Event, ...] = ()) -> Outlook:
    return outlook(PLAN, policy, dict(zip(ALL, answers, strict=True)), events)


def test_a_well_cluster_is_one_line() -> None:
    found = seen(*(answer(name, PRIMARY, WELL) for name in ALL))
    assert found == Outlook(True, (), None, {})
    assert list(lines(found, 0.0)) == ["every member is well: there is nothing to do"]


def test_rows_say_what_is_next_since_when_and_on_what_it_rests() -> None:
    events = (
        Event(1, 10.0, ONE, "galera", "galera.position", "reading"),
        Event(2, 20.0, ONE, "galera", "galera.wait-winner", "waits", "2 of 3 known"),
        Event(3, 30.0, TWO, "galera", "member.settled", "well"),
    )
    found = seen(answer(ONE, PRIMARY), answer(TWO, PRIMARY, WELL), OFF, events=events)
    assert found.rows == (
        Row(ONE, "galera", "stopped", "waits", "galera.wait-winner", "2 of 3 known", 20.0),
        Row(THREE, "", "unknown", "its agent does not answer (off); what it does is not known"),
    )
    said = list(lines(found, 50.0))
    assert said[:2] == [f"galera on {ONE}: waits  (for 30 s, galera.wait-winner)", "    2 of 3 known"]


def test_what_only_a_pause_keeps_from_being_done() -> None:
    held = replace(WAITS, sentence="paused (new disk); would do: starting galera")
    found = seen(answer(ONE, PRIMARY, WELL), answer(TWO, PRIMARY, held, "new disk"), answer(THREE, PRIMARY, WELL))
    assert not found.well and found.paused == {TWO: "new disk"}
    assert [row.held for row in found.rows] == [True]
    assert f"outlast resume {TWO}" in "\n".join(lines(found, 0.0))
    waiting = seen(answer(ONE, PRIMARY, WELL), answer(TWO, PRIMARY, WELL, "why"), answer(THREE, PRIMARY, WELL))
    assert not waiting.well and not waiting.rows


def test_the_database_says_whom_it_waits_for_and_what_would_accept_the_risk() -> None:
    found = seen(answer(ONE), answer(TWO, replace(DOWN, seqno=12, permit="recovery")), OFF).database
    assert isinstance(found, Database)
    assert found.waits_for == (THREE,) and THREE in found.sentence
    assert [one.position for one in found.members] == [f"seqno 10 of {U}", f"seqno 12 of {U}", "not known"]
    assert f"outlast recover --accept-loss {THREE}" in "\n".join(found.choices)
    told = "\n".join(lines(Outlook(False, (), found, {}), 0.0))
    assert "holds the permit recovery" in told and "lost for good" in told


def test_one_whose_data_cannot_be_read_may_be_given_up_though_it_answers() -> None:
    found = seen(answer(ONE, DAMAGED), answer(TWO), answer(THREE)).database
    assert found and found.waits_for == (ONE,)
    assert found.members[0].position == "cannot be read: [ERROR] damaged"
    assert f"outlast recover --accept-loss {ONE}" in found.choices[0]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((answer(ONE), answer(TWO, replace(DOWN, seqno=12)), answer(THREE)), "most advanced"),
        ((answer(ONE), answer(TWO, replace(DOWN, uuid=OTHER)), answer(THREE)), "different histories"),
        ((OFF, OFF, OFF), "no member of the database answers"),
        ((answer(ONE), OFF, OFF), "must first report"),
    ],
    ids=["all there", "histories", "nobody", "minority"],
)
def test_no_choice_where_nothing_may_be_accepted(answers: tuple[Answer, ...], words: str) -> None:
    found = seen(*answers).database
    assert found and words in found.sentence
    assert not any("--accept-loss" in choice for choice in found.choices)


LOST = frozenset({"c"})
TABLE = [
    ("may be", {"a": DOWN, "b": DOWN}, LOST, ""),
    ("no member", {"a": DOWN, "b": DOWN}, frozenset({"x"}), "recover.no-member"),
    ("one is primary", {"a": PRIMARY, "b": DOWN}, LOST, "recover.not-needed"),
    ("it answers", {"a": DOWN, "b": DOWN, "c": DOWN}, LOST, "recover.reachable"),
    ("it answers, but cannot read its data", {"a": DOWN, "b": DOWN, "c": DAMAGED}, LOST, ""),
    ("it answers, but was given up", {"a": replace(DOWN, given_up=("c",)), "b": DOWN, "c": DOWN}, LOST, ""),
    ("no majority is left", {"a": DOWN}, frozenset({"b", "c"}), "recover.minority"),
    ("another was given up", {"a": replace(DOWN, given_up=("b",)), "b": DOWN}, LOST, "recover.given-up"),
    ("one has not answered", {"a": DOWN}, LOST, "recover.not-reported"),
    ("one has not read its position", {"a": DOWN, "b": replace(DOWN, uuid="")}, LOST, "recover.not-reported"),
    ("one is joining", {"a": DOWN, "b": replace(DOWN, state="joining")}, LOST, "recover.not-reported"),
    ("histories differ", {"a": DOWN, "b": replace(DOWN, uuid=OTHER)}, LOST, "recover.histories-differ"),
    ("no data", {"a": replace(DOWN, uuid=NO_UUID), "b": replace(DOWN, uuid=NO_UUID)}, LOST, "recover.no-data"),
]


@pytest.mark.parametrize(("told", "lost", "code"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_refusals(told: dict[str, GaleraFact], lost: frozenset[str], code: str) -> None:
    found, sentence = refusal(("a", "b", "c"), lost, told)
    assert found == code and bool(sentence) == bool(code)


class Target(Nodes):
    plan = PLAN


def member(name: str, fact: GaleraFact = DOWN, *, status: int = 0) -> FakeConnector:
    made = node(name, lambda one: plain(name, one, galera=fact))

    async def shell(argv: Any, given: bytes) -> Output:
        return Output(tuple(argv), status, b"", b"disk full" if status else b"")

    made.programs = {"/bin/sh": shell, "/bin/true": shell}
    return made


def test_all_others_are_told() -> None:
    target: Any = Target({ONE: member(ONE), TWO: member(TWO, status=1), THREE: node(THREE, off=True)})
    done = asyncio.run(accept_loss(target, [THREE]))
    assert [(one.node, one.well) for one in done] == [(ONE, True), (TWO, False)]
    assert "disk full" in done[1].sentence
    assert target.nodes[ONE].commands[-1][0][-3:] == (facts.GIVEN_UP, THREE, facts.VIEW)
    assert target.nodes[THREE].commands == []


def test_one_that_is_on_without_an_agent_is_not_given_up() -> None:
    silent = member(THREE)
    silent.servers = {}
    target: Any = Target({ONE: member(ONE), TWO: member(TWO), THREE: silent})
    with pytest.raises(InputError, match="power it off first"):
        asyncio.run(accept_loss(target, [THREE]))


def test_one_that_nobody_waits_for_is_not_given_up() -> None:
    left = replace(DOWN, view=(ONE, TWO))
    target: Any = Target({ONE: member(ONE, left), TWO: member(TWO, left), THREE: node(THREE, off=True)})
    with pytest.raises(InputError, match="not waited for"):
        asyncio.run(accept_loss(target, [THREE]))
