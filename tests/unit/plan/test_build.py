"""Cluster → Plan: members, addresses, VIPs, frontends, order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_clusters import opened
from hypothesis import given
from hypothesis import strategies as st

from outlast.model.loader import parse
from outlast.pipeline.target import Target
from outlast.plan.build import _in_start_order, _priority, plan
from outlast.plan.plan import Member, Plan
from outlast.services.registry import SPECS
from outlast.spec.service import ServiceSpec
from outlast.spec.timing import PROFILES


def planned(text: str) -> Plan:
    return plan(parse(text, "test.yaml", SPECS), SPECS)


SMALL = """
cluster: small
services: [galera, zookeeper]
networks:
  management: {cidr: 10.0.0.0/24}
nodes:
  d1: {roles: [service]}
  d2: {roles: [service], number: 77}
  d3: {roles: [service], addresses: {management: 10.0.0.200}}
"""


def test_a_partial_cluster_is_a_plan_too() -> None:
    found = planned(SMALL)
    assert set(found.specs) == {"galera", "zookeeper"}
    assert found.addresses("galera") == ("10.0.0.11", "10.0.0.77", "10.0.0.200")
    assert found.members_of("galera") == (
        Member("galera", "d1", 0),
        Member("galera", "d2", 1),
        Member("galera", "d3", 2),
    )
    assert [member.founder for member in found.members_of("galera")] == [True, False, False]
    assert found.vips == {}
    assert not found.has("nova")
    assert found.members_of("nova") == ()


def test_control_data_falls_back_to_management() -> None:
    found = planned(SMALL)
    assert found.networks["control-data"].interface == found.networks["management"].interface == "mgmt"
    assert found.address("d1") == found.address("d1", "management")


def test_the_domain_is_the_node_unless_said() -> None:
    assert planned(SMALL).node_by_name["d1"].domain == "d1"
    assert opened("lab").plan.node_by_name["c1"].domain == "host-a"


def test_roles_are_expanded(lab: Target) -> None:
    assert lab.plan.node_by_name["c1"].roles == ("endpoint", "service", "sdn", "storage", "network")


def test_vips(lab: Target) -> None:
    external, internal = lab.plan.vips["external"], lab.plan.vips["internal"]
    assert (external.address, external.prefix, external.network, external.interface) == (
        "10.20.0.250",
        24,
        "management",
        "mgmt",
    )
    assert (internal.network, internal.interface) == ("control-data", "ctl")
    assert internal.priorities == {"c1": 150, "c2": 100, "c3": 50}


def test_frontends_have_all_servers_on_their_own_addresses(lab: Target) -> None:
    found = {(item.frontend.name, item.vip): item for item in lab.plan.frontends}
    keystone = found["keystone", "external"]
    assert (keystone.address, keystone.port) == ("10.20.0.250", 5000)
    assert keystone.servers == (("c1", "10.21.0.11", 5000), ("c2", "10.21.0.12", 5000), ("c3", "10.21.0.13", 5000))
    assert ("galera", "external") not in found, "databases are nobody's business outside"
    assert found["galera", "internal"].check_port == 9200
    assert found["nova-metadata", "internal"].port == 8775
    assert ("nova-metadata", "external") not in found


def test_urls(lab: Target) -> None:
    assert lab.plan.url("keystone", "external", "/v3") == "http://10.20.0.250:5000/v3"
    assert lab.plan.url("glance") == "http://10.21.0.250:9292"
    with pytest.raises(KeyError):
        lab.plan.vip("keystone", "nowhere")


def test_options_are_the_operators_or_defaults() -> None:
    found = opened("five").plan
    assert found.option("keystone", "processes") == 4
    assert found.option("glance", "processes") == 1
    assert found.overrides["nova-compute"]["nova-compute.conf"]["DEFAULT"] == {
        "cpu_allocation_ratio": 4.0,
        "ram_allocation_ratio": 1.2,
    }


def test_real_hosts_have_the_kernels_switch() -> None:
    assert not opened("five").plan.userspace_datapath
    assert opened("lab").plan.userspace_datapath


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("count", [1, 3, 5, 30])
def test_priorities_fall_and_stay_in_range(profile: str, count: int) -> None:
    found = [_priority(PROFILES[profile], rank) for rank in range(count)]
    assert all(1 <= value <= 254 for value in found)
    assert found == sorted(found, reverse=True)
    if count <= 5 and profile == "outlast":
        assert len(set(found)) == count


_names = st.sampled_from("abcdefgh")


@given(st.dictionaries(_names, st.sets(_names), min_size=1))
def test_start_order_or_a_circle_named(after: dict[str, set[str]]) -> None:
    base = next(iter(SPECS.values()))
    specs: dict[str, ServiceSpec] = {
        name: replace(base, name=name, after=tuple(sorted(earlier))) for name, earlier in after.items()
    }
    try:
        order = list(_in_start_order(specs))
    except ValueError as error:
        assert "→" in str(error)
        return
    assert sorted(order) == sorted(specs)
    for name, earlier in after.items():
        for other in earlier & specs.keys():
            assert order.index(other) < order.index(name)


def test_the_catalogue_is_of_all_services(lab: Target) -> None:
    types = [entry.type for entry in lab.plan.catalogue]
    assert sorted(types) == ["compute", "identity", "image", "network", "object-store", "placement"]


def test_a_plan_is_the_same_every_time() -> None:
    text = opened("lab").path.read_text()
    assert planned(text) == planned(text)
