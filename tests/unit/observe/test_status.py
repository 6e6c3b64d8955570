"""Snapshots → one value for one screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.observe.answer import Answer, Unreachable
from outlast.observe.status import status, waiting, without
from outlast.pipeline.target import Target
from outlast.plan.plan import Plan
from outlast.spec.probe import Health
from outlast.spec.snapshot import MemberState, Snapshot


def state(service: str, health: str = "ok", phase: str = "settled") -> MemberState:
    return MemberState(service, Health(health, "x", "so"), phase, f"{service} is {health}", True, True)


def answer(plan: Plan, node: str, vips: tuple[str, ...] = ()) -> Snapshot:
    members = tuple(state(member.service) for member in plan.members_on(node))
    return Snapshot(plan.cluster, node, "d", "c", "b", 1, "all members are well", members, vips)


@pytest.fixture
def well(lab: Target) -> dict[str, Answer]:
    """Everything is well; c1 holds both VIPs."""
    plan = lab.plan
    vips = tuple(vip.address for vip in plan.vips.values())
    return {node.name: answer(plan, node.name, vips if node.name == "c1" else ()) for node in plan.nodes}


def with_member(answers: Mapping[str, Answer], node: str, changed: MemberState) -> dict[str, Answer]:
    found = answers[node]
    assert isinstance(found, Snapshot)
    members = tuple(changed if item.service == changed.service else item for item in found.members)
    return {**answers, node: replace(found, members=members)}


def test_all_well(lab: Target, well: dict[str, Answer]) -> None:
    seen = status(lab.plan, well)
    assert (seen.code, seen.sentence) == ("ok", "every member is well")
    assert seen.holders == {"external": ("c1",), "internal": ("c1",)}
    assert set(seen.cells["galera"]) == {"c1", "c2", "c3"}
    assert set(seen.cells["nova-compute"]) == {"k1", "k2"}
    assert set(seen.nodes) == {node.name for node in lab.plan.nodes}


def test_one_member_ill_is_degraded(lab: Target, well: dict[str, Answer]) -> None:
    seen = status(lab.plan, with_member(well, "c2", state("glance", "failed", "running")))
    assert seen.code == "degraded"
    assert "glance on c2" in seen.sentence
    assert seen.cells["glance"]["c2"].health == "failed"


def test_many_ill_are_cut(lab: Target, well: dict[str, Answer]) -> None:
    answers = {**well, "c3": Unreachable("off")}
    seen = status(lab.plan, answers)
    count = len(lab.plan.members_on("c3"))
    assert f"and {count - 4} more" in seen.sentence
    assert seen.nodes["c3"] == "no answer: off"
    assert {cell.health for row in seen.cells.values() for node, cell in row.items() if node == "c3"} == {"unknown"}


def test_a_service_without_any_healthy_member_is_down(lab: Target, well: dict[str, Answer]) -> None:
    answers: Mapping[str, Answer] = well
    for node in ("c1", "c2", "c3"):
        answers = with_member(answers, node, state("nova", "starting", "starting"))
    seen = status(lab.plan, answers)
    assert (seen.code, seen.sentence) == ("down", "no healthy member of nova")


def test_well_but_unsettled_is_changing(lab: Target, well: dict[str, Answer]) -> None:
    seen = status(lab.plan, with_member(well, "c1", state("keystone", "ok", "step")))
    assert seen.code == "changing"
    assert "keystone on c1" in seen.sentence


def test_a_paused_node_is_told_and_a_well_cluster_is_not_simply_well(lab: Target, well: dict[str, Answer]) -> None:
    found = well["c2"]
    assert isinstance(found, Snapshot)
    answers = {**well, "c2": replace(found, paused="new disk")}
    seen = status(lab.plan, answers)
    assert (seen.code, seen.sentence) == ("paused", "every member is well; repair is paused on c2")
    assert seen.paused == {"c2": "new disk"}
    ill = status(lab.plan, with_member(answers, "c1", state("glance", "failed", "running")))
    assert ill.code == "degraded" and ill.sentence.endswith("repair is paused on c2")


@pytest.mark.parametrize(("others", "words"), [((), "external on no node"), (("c1", "c2"), "external on c1, c2")])
def test_a_vip_has_one_holder(lab: Target, well: dict[str, Answer], others: tuple[str, ...], words: str) -> None:
    address = lab.plan.vips["internal"].address
    answers = dict(well)
    for node in ("c1", "c2"):
        vips = ((address,) if node == "c1" else ()) + ((lab.plan.vips["external"].address,) if node in others else ())
        answers[node] = answer(lab.plan, node, vips)
    seen = status(lab.plan, answers)
    assert seen.code == "degraded"
    assert words in seen.sentence
    assert seen.holders["internal"] == ("c1",)


def test_an_agent_that_does_not_know_its_member_yet(lab: Target, well: dict[str, Answer]) -> None:
    found = well["k1"]
    assert isinstance(found, Snapshot)
    seen = status(lab.plan, {**well, "k1": replace(found, members=())})
    cell = seen.cells["nova-compute"]["k1"]
    assert (cell.health, cell.settled) == ("unknown", False)
    assert "does not know" in cell.sentence


def test_nobody_was_asked(lab: Target) -> None:
    seen = status(lab.plan, {})
    assert seen.code == "down"
    assert seen.holders == {"external": (), "internal": ()}


def test_services_without_members_do_not_count(lab: Target, well: dict[str, Answer]) -> None:
    """A plan may hold a service that nobody runs; it is neither well nor down."""
    plan = replace(lab.plan, members=tuple(item for item in lab.plan.members if item.service != "glance"))
    answers = {name: answer(plan, name, item.vips) for name, item in well.items() if isinstance(item, Snapshot)}
    assert status(plan, answers).code == "ok"


_health = st.sampled_from(("ok", "starting", "failed", "stopped", "unknown"))
_phase = st.sampled_from(("settled", "running", "waiting", "step"))


@given(st.data())
def test_ok_means_ok(data: st.DataObject) -> None:
    from example_clusters import opened

    plan = opened("galera").plan
    answers: dict[str, Answer] = {}
    for node in plan.nodes:
        members = tuple(
            state(member.service, data.draw(_health), data.draw(_phase)) for member in plan.members_on(node.name)
        )
        made = Snapshot(plan.cluster, node.name, "d", "c", "b", 1, "s", members)
        answers[node.name] = data.draw(st.sampled_from((made, Unreachable("off"))))
    seen = status(plan, answers)
    cells = [cell for row in seen.cells.values() for cell in row.values()]
    assert (seen.code == "ok") == all(cell.health == "ok" and cell.settled for cell in cells)
    assert (seen.code in ("ok", "changing")) == all(cell.health == "ok" for cell in cells)
    dead = any(not any(cell.health == "ok" for cell in row.values()) for row in seen.cells.values())
    assert (seen.code == "down") == dead


def test_what_the_others_are_without_nodes_that_are_off_for_good(lab: Target, well: dict[str, Answer]) -> None:
    seen = status(lab.plan, {**well, "c3": Unreachable("no power")})
    assert seen.code == "degraded"
    assert without(seen, {"c3"}) == ("ok", "every member is well")
    assert without(seen, {"c2"})[0] == "degraded"


@pytest.mark.parametrize(
    ("sentence", "health", "missing", "named"),
    [
        ("no primary component; c3 must first report its position", "starting", {"c3"}, True),
        ("no primary component; c2 and c3 must first report its position", "starting", {"c3"}, False),
        ("no primary component; c2 and c3 must first report its position", "starting", {"c2", "c3"}, True),
        ("no primary component; c3 must first report its position", "starting", {"c2", "c3"}, False),
        ("no primary component; c31 must first report its position", "starting", {"c3"}, False),
        ("c3 was seen once", "ok", {"c3"}, False),
    ],
)
def test_who_waits_for_whom(
    lab: Target, well: dict[str, Answer], sentence: str, health: str, missing: set[str], named: bool
) -> None:
    waits = replace(state("galera", health, "running"), sentence=sentence)
    seen = status(lab.plan, {**with_member(well, "c1", waits), "c3": Unreachable("no power")})
    assert waiting(seen, missing) == (f"galera on c1: {sentence}" if named else "")
