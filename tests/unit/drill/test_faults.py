"""Faults as far as they are decisions and texts: orders, rules for nft, sides of a partition."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from example_clusters import opened
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill import vocabulary
from outlast.drill.faults.answers import port_of, redirect
from outlast.drill.faults.hands import Hands, carried, local_addresses
from outlast.drill.faults.networks import groups_of, pairs
from outlast.drill.faults.table import VERBS, check_options
from outlast.drill.faults.verb import Order
from outlast.errors import InputError
from outlast.lab import frames
from outlast.lab.frames import Drop
from outlast.pipeline.target import Target

FIVE = ("c1", "c2", "c3", "c4", "c5")


def order(verb: str = "partition", nodes: tuple[str, ...] = ("c1",), **options: object) -> Order:
    return Order(id="f-1", verb=verb, nodes=nodes, options=options)  # type: ignore[arg-type]


# --- orders ----------------------------------------------------------------------------------------------------------


def test_options_may_be_written_either_way() -> None:
    assert order("fill", free_mib=3).number("free-mib", 0) == 3
    assert order("kill", **{"one-worker": True}).flag("one-worker")
    assert not order("kill").flag("one-worker")
    assert order("kill", program="a").text("program") == "a"


@pytest.mark.parametrize("fault", ["", "UPPER", "a b", "-a", "x" * 30])
def test_a_fault_needs_a_plain_name(fault: str) -> None:
    with pytest.raises(InputError, match="cannot name a fault"):
        Order(id=fault, verb="kill", nodes=("c1",))


def test_orders_that_cannot_be_meant() -> None:
    with pytest.raises(InputError, match="no node"):
        order(nodes=())
    with pytest.raises(InputError, match="must be a number"):
        order("lose", percent="many").number("percent", 5)


def test_unknown_verbs_and_options_are_told_what_there_is() -> None:
    with pytest.raises(InputError, match="there are kill"):
        check_options("explode", {})
    with pytest.raises(InputError, match="percent: how many"):
        check_options("lose", {"share": 5})
    check_options("fill", {"free_mib": 5})


def test_whatever_a_scenario_may_say_is_taken() -> None:
    for name, verb in vocabulary.VERBS.items():
        assert set(verb.options) <= set(VERBS[name].options), name


def test_a_delay_has_limits(lab: Target) -> None:
    plain = Hands(None, lab.plan)  # type: ignore[arg-type]
    for options in ({"delay": 0}, {"delay": 11}, {"delay": 1, "jitter": -1}):
        with pytest.raises(InputError, match="slow"):
            VERBS["slow"].prepare(plain, order("slow", **options))


# --- rules -----------------------------------------------------------------------------------------------------------


def test_rules_for_the_switch() -> None:
    drops = (Drop(("c1.mgmt",)), Drop((), ("c1.mgmt",), 500), Drop(("c1.ctl", "c2.ctl"), ("c3.ctl",)))
    assert frames.rules("lose-3", drops) == (
        "add table bridge fault_lose_3\n"
        "delete table bridge fault_lose_3\n"
        "add table bridge fault_lose_3\n"
        "add chain bridge fault_lose_3 forward { type filter hook forward priority -5; policy accept; }\n"
        'add rule bridge fault_lose_3 forward iifname "c1.mgmt" counter drop\n'
        'add rule bridge fault_lose_3 forward oifname "c1.mgmt" numgen random mod 10000 < 500 counter drop\n'
        'add rule bridge fault_lose_3 forward iifname { "c1.ctl", "c2.ctl" } oifname "c3.ctl" counter drop\n'
    )


def test_rules_for_the_node() -> None:
    match = "ip daddr 10.0.0.1 tcp dport 8774 tcp flags & (fin|syn|rst|ack) == syn counter redirect to :4711"
    assert redirect("a-1", "10.0.0.1", 8774, 4711) == (
        "add table ip fault_a_1\n"
        "delete table ip fault_a_1\n"
        "add table ip fault_a_1\n"
        "add chain ip fault_a_1 from-outside { type nat hook prerouting priority -100; }\n"
        "add chain ip fault_a_1 from-inside { type nat hook output priority -100; }\n"
        f"add rule ip fault_a_1 from-outside {match}\n"
        f"add rule ip fault_a_1 from-inside {match}\n"
    )


def test_counters_are_added_up() -> None:
    said = (
        '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "bridge", "name": "fault_a"}},'
        '{"rule": {"expr": [{"match": {}}, {"counter": {"packets": 3, "bytes": 9}}, {"drop": null}]}},'
        '{"rule": {"expr": [{"counter": {"packets": 4, "bytes": 9}}, {"drop": null}]}}]}'
    )
    assert frames.count(said) == 7


def test_a_table_needs_a_plain_name() -> None:
    with pytest.raises(ValueError, match="cannot name a table"):
        frames.table("a; drop")


# --- partitions ------------------------------------------------------------------------------------------------------


def test_the_targets_against_all_others() -> None:
    found = pairs(order(nodes=("c1", "c2")), ("c1", "c2", "c3", "x1"), ("c1", "c2", "c3"))
    assert found == {"c1": {"c3", "x1"}, "c2": {"c3", "x1"}, "c3": {"c1", "c2"}, "x1": {"c1", "c2"}}


def test_clients_may_reach_both_sides() -> None:
    found = pairs(order(others="controllers"), ("c1", "c2", "c3", "x1"), ("c1", "c2", "c3"))
    assert found == {"c1": {"c2", "c3"}, "c2": {"c1"}, "c3": {"c1"}}


def test_one_way() -> None:
    assert pairs(order(way="out"), ("c1", "c2", "c3"), ()) == {"c1": {"c2", "c3"}}
    assert pairs(order(way="in"), ("c1", "c2", "c3"), ()) == {"c2": {"c1"}, "c3": {"c1"}}


def test_groups_and_who_is_in_none() -> None:
    found = pairs(order(groups="c1 c2 | c3"), ("c1", "c2", "c3", "x1"), ())
    assert found == {"c1": {"c3"}, "c2": {"c3"}, "c3": {"c1", "c2"}}
    assert groups_of((("c1", "c2"), ("c3",))) == (("c1", "c2"), ("c3",))
    with pytest.raises(InputError, match="not there: c9"):
        pairs(order(groups="c1 | c9"), ("c1", "c2"), ())


def test_every_target_alone() -> None:
    found = pairs(order(nodes=("c1", "c2"), shape="each"), ("c1", "c2", "c3"), ())
    assert found == {"c1": {"c2", "c3"}, "c2": {"c1", "c3"}, "c3": {"c1", "c2"}}


@given(st.integers(4, 12))
def test_in_a_ring_each_hears_a_majority_and_no_two_the_same(count: int) -> None:
    nodes = tuple(f"n{number}" for number in range(count))
    cut = pairs(order(nodes=nodes, shape="ring"), nodes, ())
    heard = {node: {other for other in nodes if node not in cut.get(other, set())} for node in nodes}
    assert all(len(them) > count // 2 for them in heard.values())
    assert len({frozenset(them) for them in heard.values()}) == count
    assert all(b in heard[a] for a, b in pairwise(nodes))


def test_three_make_no_ring() -> None:
    assert pairs(order(nodes=("a", "b", "c"), shape="ring"), ("a", "b", "c"), ()) == {}


def test_shapes_that_are_not_known() -> None:
    with pytest.raises(InputError, match="shape star"):
        pairs(order(shape="star"), FIVE, ())


# --- what a node says ------------------------------------------------------------------------------------------------


def test_own_addresses() -> None:
    said = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     +-- 10.61.0.0/24 2 0 2\n        |-- 10.61.0.1\n           /32 host LOCAL\n"
        "        |-- 10.61.0.255\n           /32 link BROADCAST\n        |-- 10.61.0.250\n           /32 host LOCAL\n"
    )
    assert local_addresses(said) == {"10.61.0.1", "10.61.0.250"}


def test_which_of_some_addresses_a_node_carries() -> None:
    assert carried(os.getpid(), ("127.0.0.1", "192.0.2.1")) == {"127.0.0.1"}
    assert carried(os.getpid(), ("127.255.255.255",)) == frozenset(), "known to the kernel, and not its own"
    assert carried(None, ("127.0.0.1",)) == frozenset()


def test_ports_by_any_name() -> None:
    small_plan = opened("galera").plan
    assert [port_of(small_plan, name) for name in ("galera", "galera-check", "zookeeper")] == [3306, 9200, 2181]
    for name in ("nova-api", "", "haproxy"):
        with pytest.raises(InputError, match="say program, or port"):
            port_of(small_plan, name)
