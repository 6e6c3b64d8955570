"""Descriptions of targets, against facts written by hand and against any facts at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.faults.facts import first_up, leaderships
from outlast.drill.targets import DESCRIPTIONS, Facts, resolve, resolve_options
from outlast.errors import InputError

FACTS = Facts(
    nodes=("c1", "c2", "c3", "c4", "c5", "k1", "k2"),
    controllers=("c1", "c2", "c3", "c4", "c5"),
    computes=("k1", "k2"),
    on=frozenset({"c1", "c2", "c3", "c4", "c5", "k1", "k2"}),
    holders={"internal": ("c2",), "external": ("c1",)},
    writer="c3",
    leaders={"rabbitmq": "c4", "zookeeper": "c1"},
    servers={"vm": "k2"},
    runs={"c5": frozenset({"northd"}), "k1": frozenset({"northd", "libvirtd"}), "k2": frozenset({"libvirtd"})},
)


@pytest.mark.parametrize(
    ("description", "nodes"),
    [
        ("node:k1", ("k1",)),
        ("vip-holder", ("c1",)),
        ("vip-holder:internal", ("c2",)),
        ("writer", ("c3",)),
        ("leader-of:rabbitmq", ("c4",)),
        ("one", ("c5",)),
        ("other", ("c5",)),
        ("all", ("c1", "c2", "c3", "c4", "c5")),
        ("computes", ("k1", "k2")),
        ("compute-with:vm", ("k2",)),
    ],
)
def test_what_can_only_mean_one_thing(description: str, nodes: tuple[str, ...]) -> None:
    assert resolve(description, FACTS) == nodes
    assert resolve(description, FACTS, seed=7) == nodes


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("nobody", "write one of node:<name>"),
        ("node", "write one of"),
        ("one:c1", "write one of"),
        ("node:c9", "there are c1"),
        ("vip-holder:public", "VIPs with a holder: internal, external"),
        ("leader-of:ovn-nb", "leaders are known of rabbitmq, zookeeper"),
        ("compute-with:other", "servers that run: vm"),
    ],
)
def test_what_means_nobody_is_refused_with_what_is_known(description: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        resolve(description, FACTS)
    assert caught.value.code == "drill.target"


def test_one_takes_somebody_special_where_all_are() -> None:
    small = Facts(
        nodes=("c1", "c2"),
        controllers=("c1", "c2"),
        on=frozenset({"c1", "c2"}),
        holders={"internal": ("c1",)},
        writer="c2",
    )
    assert resolve("one", small) in (("c1",), ("c2",))
    with pytest.raises(InputError):
        resolve("other", small)


def test_who_runs_the_program() -> None:
    assert resolve("all", FACTS, program="libvirtd") == ("k1", "k2")
    assert resolve("one", FACTS, program="northd") == ("c5",), "a controller goes first"
    assert resolve("all", FACTS, program="northd, libvirtd") == ("k1",)
    with pytest.raises(InputError):
        resolve("one", FACTS, program="nothing")


def test_groups_are_described_too() -> None:
    options = {"groups": (("minority", "k1"), ("rest",)), "network": "all"}
    found = resolve_options(options, FACTS, seed=3)
    first, second = found["groups"]  # type: ignore[misc]
    assert "k1" in first and len(first) == 3
    assert sorted(first + second) == sorted(FACTS.nodes)
    assert found["network"] == "all"
    assert resolve_options({"network": "all"}, FACTS) == {"network": "all"}


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    controllers = tuple(f"c{number}" for number in range(1, draw(st.integers(1, 7)) + 1))
    computes = tuple(f"k{number}" for number in range(1, draw(st.integers(0, 3)) + 1))
    nodes = controllers + computes
    someone = st.sampled_from(controllers)
    return Facts(
        nodes=nodes,
        controllers=controllers,
        computes=computes,
        on=frozenset(draw(st.sets(st.sampled_from(nodes)))),
        holders={"internal": tuple(draw(st.sets(someone)))},
        writer=draw(st.just("") | someone),
        leaders=draw(st.dictionaries(st.sampled_from(("rabbitmq", "zookeeper")), someone)),
    )


@given(facts(), st.sampled_from([one for one in DESCRIPTIONS if "<" not in one]), st.integers(0, 9))
def test_any_description_means_the_same_again_or_is_refused(there: Facts, description: str, seed: int) -> None:
    try:
        found = resolve(description, there, seed)
    except InputError as error:
        assert error.code == "drill.target"
        return
    assert found == resolve(description, there, seed)
    assert found == tuple(node for node in there.nodes if node in found), "in plan order"
    if description not in ("writer", "vip-holder"):
        assert set(found) <= there.on
    if description == "minority":
        assert 2 * len(found) < len(there.controllers)
    if description == "other":
        assert not set(found) & {*there.holding, there.writer}


@given(facts(), st.integers(0, 99))
def test_minority_and_majority_are_everybody(there: Facts, seed: int) -> None:
    powered = {node for node in there.controllers if node in there.on}
    found: set[str] = set()
    for description in ("minority", "majority"):
        try:
            side = set(resolve(description, there, seed))
        except InputError:
            continue
        assert not side & found
        found |= side
    assert found == powered


def test_rabbitmqs_own_table_of_leaders() -> None:
    said = """[{rabbitmq_metadata,{rabbitmq_metadata,rabbit@c2},[{rabbitmq_metadata,rabbit@c1}]},
    {'%2F_events',{'%2F_events','rabbit@c-3'},[{'%2F_events','rabbit@c-3'},{'%2F_events',rabbit@c1}]},
    {'%2F_more',{'%2F_more',rabbit@c2},[{'%2F_more',rabbit@c2}]},
    {'%2F_gone',undefined,[{'%2F_gone',rabbit@c1}]}]"""
    assert leaderships(said) == {"c2": 2, "c-3": 1}


def test_the_first_server_that_is_up() -> None:
    said = (
        "1\n"
        "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
        "5 galera 1 s1 10.61.0.1 0 0 1\n"
        "5 galera 2 s2 10.61.0.2 2 0 1\n"
        "5 galera 3 s3 10.61.0.3 2 0 1\n\n"
    )
    assert first_up(said, ("s1", "s2", "s3")) == "s2"
    assert first_up(said, ("s3", "s2", "s1")) == "s3"
    assert first_up("1\n# be_id\n", ("s1",)) == ""
