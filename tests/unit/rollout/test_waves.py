"""What a handover does on its node, and in which order nodes get theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.rollout.waves import changes, disturbed, unreadable, waves
from outlast.spec.bundle import Bundle, BundleFile, BundleMember
from outlast.spec.probe import Probe
from outlast.spec.program import Step

FILE = BundleFile("/etc/a.conf", "a", 0o644, "root", "root", "restart", False, "d1")
MEMBER = BundleMember("nova", 0, (FILE,), (), (), (), (), (), (), "plain", (), "r1", "l1")


def bundle(node: str = "c1", members: tuple[BundleMember, ...] = (MEMBER,), **more: Any) -> Bundle:
    made = Bundle("lab", node, "d", "code-1", "10.0.0.1", 8900, "safe", members, (), ())
    return replace(made, **more)


def changed(**more: Any) -> Bundle:
    return bundle(members=(replace(MEMBER, **more),))


NEW_FILE = (replace(FILE, text="b", digest="d2"),)


@pytest.mark.parametrize(
    ("new", "kind", "reason"),
    [
        (changed(restart_digest="r2", files=NEW_FILE), "restart", "/etc/a.conf"),
        (changed(reload_digest="l2", files=NEW_FILE), "reload", "/etc/a.conf"),
        (changed(restart_digest="r2", reload_digest="l2"), "restart", "its description changed"),
        (changed(files=NEW_FILE), "adjust", "/etc/a.conf"),
        (changed(files=(FILE, replace(FILE, path="/etc/b"))), "adjust", "/etc/b"),
        (changed(files=()), "adjust", "/etc/a.conf"),
        (changed(setup=(Step("x", ("true",)),)), "adjust", "its setup changed"),
        (changed(prepare=(Step("x", ("true",)),)), "adjust", "its prepare changed"),
        (changed(probes=(Probe("tcp"),)), "adjust", "its probes changed"),
        (changed(facts=(("a", "b"),)), "adjust", "its description changed"),
    ],
)
def test_what_a_change_does(new: Bundle, kind: str, reason: str) -> None:
    (found,) = changes(bundle(), new)
    assert (found.node, found.service, found.kind, found.reason) == ("c1", "nova", kind, reason)


def test_nothing_changes_nothing() -> None:
    assert changes(bundle(), bundle()) == ()
    assert changes(bundle(), bundle(code="code-2", digest="e")) == (), "new code restarts the agent, no member"


def test_members_come_and_go() -> None:
    other = replace(MEMBER, service="glance")
    found = changes(bundle(), bundle(members=(other,)))
    assert [(item.service, item.kind) for item in found] == [("glance", "add"), ("nova", "remove")]
    assert [item.kind for item in changes(None, bundle())] == ["add"]


def cluster(*names: str, **more: Any) -> dict[str, Bundle]:
    return {name: bundle(name, **more) for name in names}


RESTARTED = (replace(MEMBER, restart_digest="r2"),)
ADJUSTED = (replace(MEMBER, probes=(Probe("tcp"),)),)


def test_a_first_rollout_is_one_wave() -> None:
    assert waves({}, cluster("c1", "c2", "c3")) == (("c1", "c2", "c3"),)


def test_no_change_is_no_wave() -> None:
    assert waves(cluster("c1", "c2"), cluster("c1", "c2")) == ()


def test_restarts_go_one_at_a_time_in_order() -> None:
    assert waves(cluster("c1", "c2", "c3"), cluster("c1", "c2", "c3", members=RESTARTED)) == (("c1",), ("c2",), ("c3",))


def test_reloads_and_removals_go_one_at_a_time() -> None:
    for members in ((replace(MEMBER, reload_digest="l2"),), ()):
        assert waves(cluster("c1", "c2"), cluster("c1", "c2", members=members)) == (("c1",), ("c2",))


def test_who_loses_a_member_for_a_moment() -> None:
    """An interrupted rollout waits for these on the other nodes before it goes on."""
    assert disturbed(bundle(), changed(restart_digest="r2")) == {MEMBER.service}
    assert disturbed(bundle(), changed(reload_digest="l2")) == {MEMBER.service}
    assert disturbed(bundle(), bundle(members=())) == {MEMBER.service}
    assert disturbed(bundle(), changed(probes=(Probe("tcp"),))) == frozenset()
    assert disturbed(None, bundle()) == frozenset()


def test_what_disturbs_nobody_goes_together() -> None:
    assert waves(cluster("c1", "c2"), cluster("c1", "c2", members=ADJUSTED)) == (("c1", "c2"),)
    assert waves(cluster("c1", "c2"), cluster("c1", "c2", code="code-2")) == (("c1", "c2"),)


def test_new_nodes_then_gentle_then_rolling() -> None:
    old = cluster("c1", "c2", "c3")
    new = {"k1": bundle("k1"), **cluster("c1", "c2", members=RESTARTED), **cluster("c3", members=ADJUSTED)}
    assert waves(old, new) == (("k1",), ("c3",), ("c1",), ("c2",))


_nodes = st.lists(st.sampled_from([f"n{n}" for n in range(8)]), unique=True)
_members = st.sampled_from(((MEMBER,), RESTARTED, ADJUSTED, (), (MEMBER, replace(MEMBER, service="glance"))))


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[dict[str, Bundle | None], dict[str, Bundle]]:
    old: dict[str, Bundle | None] = {
        name: draw(st.one_of(st.none(), st.builds(bundle, st.just(name), _members))) for name in draw(_nodes)
    }
    return old, {name: bundle(name, draw(_members)) for name in draw(_nodes)}


@given(_worlds())
def test_every_changed_node_is_in_one_wave_and_no_other(
    world: tuple[dict[str, Bundle | None], dict[str, Bundle]],
) -> None:
    old, new = world
    flat = [node for wave in waves(old, new) for node in wave]
    assert len(set(flat)) == len(flat)
    assert set(flat) == {name for name in new if old.get(name) != new[name]}
    assert all(waves(old, new))


@given(_worlds())
def test_no_service_loses_two_members_at_once(world: tuple[dict[str, Bundle | None], dict[str, Bundle]]) -> None:
    old, new = world
    for wave in waves(old, new):
        disturbed = [
            node
            for node in wave
            if old.get(node)
            and any(item.kind in ("restart", "reload", "remove") for item in changes(old[node], new[node]))
        ]
        assert len(disturbed) <= 1
        assert not disturbed or len(wave) == 1


@given(_worlds())
def test_a_finished_rollout_leaves_nothing_to_do(world: tuple[dict[str, Bundle | None], dict[str, Bundle]]) -> None:
    _, new = world
    assert waves(dict(new), new) == ()


def test_a_node_whose_bundle_cannot_be_read_rolls_alone() -> None:
    new = {name: replace(unreadable(), node=name, digest="new") for name in ("c1", "c2", "c3")}
    old = {name: unreadable() for name in new}
    assert waves(old, new) == (("c1",), ("c2",), ("c3",))
