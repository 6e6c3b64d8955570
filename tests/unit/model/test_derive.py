"""What follows from the cluster file: the same for rules and planner."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import SPECS, damaged

from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.model.loader import parse


def cluster(old: str = "cluster: lab", new: str = "cluster: lab") -> Cluster:
    return parse(damaged(old, new), "lab.yaml", SPECS)


def test_controller_stands_for_four_roles_each_once_in_order() -> None:
    assert derive.expand_roles(("network", "controller", "sdn")) == ("network", "endpoint", "service", "sdn", "storage")


def test_addresses_by_number_and_role() -> None:
    addresses = derive.node_addresses(cluster("k1: {", "k1: {number: 77, addresses: {tunnel: 10.22.0.9}, "))
    assert addresses["c2"] == {"management": "10.20.0.12", "control-data": "10.21.0.12", "tunnel": "10.22.0.12"}
    assert addresses["k1"] == {"management": "10.20.0.77", "control-data": "10.21.0.77", "tunnel": "10.22.0.9"}
    assert addresses["client"] == {"management": "10.20.0.16", "external": "10.23.0.16"}


def test_control_data_falls_back_to_management_with_its_addresses() -> None:
    text = damaged("  control-data: {cidr: 10.21.0.0/24}\n", "").replace("10.21.0.250", "10.20.0.251")
    found = parse(text.replace("k1: {", "k1: {addresses: {management: 10.20.0.99}, "), "lab.yaml", SPECS)
    networks = derive.networks(found)
    assert networks["control-data"] is networks["management"]
    assert derive.node_addresses(found)["k1"]["control-data"] == "10.20.0.99"


def test_router_ids_are_stable_and_given_ones_win() -> None:
    ids = derive.router_ids(cluster())
    assert ids == {"external": 184, "internal": 170}  # a change of these would move every running VIP
    assert derive.router_ids(cluster("10.21.0.250}", "10.21.0.250, router_id: 51}"))["internal"] == 51


@given(st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True), st.integers(1, 60))
@settings(deadline=None)
def test_router_ids_never_collide_and_avoid_the_id_of_every_example(name: str, count: int) -> None:
    vips = {f"v{number}": {"address": f"10.0.0.{number + 1}"} for number in range(count)}
    made = Cluster.model_validate(
        {
            "cluster": name,
            "networks": {"management": {"cidr": "10.0.0.0/16"}},
            "vips": vips,
            "nodes": {"a": {"roles": ["sdn"]}},
        }
    )
    ids = derive.router_ids(made)
    assert len(set(ids.values())) == count
    assert all(1 <= number <= 255 and number != 51 for number in ids.values())
    fewer = made.model_copy(update={"vips": dict(list(made.vips.items())[:-1])})
    assert derive.router_ids(fewer).items() <= ids.items()  # one more VIP at the end moves no other


def test_services_are_those_asked_for_and_what_they_require() -> None:
    assert derive.chosen_services(cluster("nodes:", "services: [keystone]\nnodes:"), SPECS) == (
        "haproxy",
        "keepalived",
        "galera",
        "keystone",
    )
    assert derive.chosen_services(cluster(), SPECS) == tuple(SPECS)


def test_options_are_defaults_with_the_operators_on_top() -> None:
    options = derive.options(cluster("nodes:", "options: {galera: {timeout: 2, causal: false}}\nnodes:"), SPECS)
    assert options["galera"] == {"port": 3306, "check_port": 9200, "timeout": 2.0, "method": "backup", "causal": False}
    assert type(options["galera"]["timeout"]) is float


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ({}, [3306, 9200]),
        ({"port": 3307}, [3307, 9200]),
        ({"check_port": 1}, [3306, 1]),
        ({"mysql_port": 5}, [5, 9200]),
    ],
)
def test_options_move_ports(values: dict[str, int], numbers: list[int]) -> None:
    assert [port.number for port in derive.effective_ports(SPECS["galera"], values)] == numbers


def test_a_moved_port_moves_its_frontend() -> None:
    offers = derive.offers(cluster("nodes:", "options: {galera: {port: 3307}}\nnodes:"), SPECS)
    assert [(offer.frontend.name, offer.port) for offer in offers["internal"]] == [
        ("galera", 3307),
        ("keystone", 5000),
        ("swift", 8080),
    ]


def test_a_vip_that_lists_a_frontend_is_its_home() -> None:
    split = cluster("nodes:", "  db: {address: 10.21.0.251, frontends: [galera]}\nnodes:")
    homes = derive.homes(split, SPECS)
    assert homes["galera", "internal"] == "db"
    assert homes["keystone", "internal"] == "internal"
    assert homes["keystone", "external"] == "external"


def test_holders_of_a_vip() -> None:
    assert derive.vip_nodes(cluster(), "internal") == ("c1", "c2", "c3")
    assert derive.vip_nodes(cluster("10.21.0.250}", "10.21.0.250, nodes: [c3, c1]}"), "internal") == ("c3", "c1")
