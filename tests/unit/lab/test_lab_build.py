"""Plan → Topology: who is cabled to what."""

from __future__ import annotations

import pytest
from example_clusters import NAMES, opened

from outlast.lab.build import topology
from outlast.lab.topology import KERNEL_NAME_LENGTH, LabNode
from outlast.pipeline.target import Target


def cards(node: LabNode) -> dict[str, str | None]:
    return {interface.name: interface.address for interface in node.interfaces}


@pytest.mark.parametrize("name", NAMES)
def test_every_example_could_be_a_lab(name: str) -> None:
    plan = opened(name).plan
    made = topology(plan, "/state")
    assert [node.name for node in made.nodes] == [node.name for node in plan.nodes]
    macs = [interface.mac for node in made.nodes for interface in node.interfaces]
    assert len(set(macs)) == len(macs)
    assert all(len(network.bridge) <= KERNEL_NAME_LENGTH for network in made.networks)
    addresses = [interface.address for node in made.nodes for interface in node.interfaces if interface.address]
    assert len(set(addresses)) == len(addresses)


def test_controllers_computes_and_the_client(lab: Target) -> None:
    made = topology(lab.plan, "/state")
    assert cards(made.node("c1")) == {"ctl": "10.21.0.11/24", "mgmt": "10.20.0.11/24", "ext": None, "tun": None}
    assert cards(made.node("k1")) == {"ctl": "10.21.0.14/24", "mgmt": "10.20.0.14/24", "ext": None, "tun": None}
    assert cards(made.node("client")) == {"mgmt": "10.20.0.16/24", "ext": "10.23.0.16/24"}


def test_a_client_is_outside(lab: Target) -> None:
    networks = {interface.network for interface in topology(lab.plan, "/s").node("client").interfaces}
    assert networks.isdisjoint({"control-data", "tunnel"})


def test_everybody_knows_everybody_by_name(lab: Target) -> None:
    hosts = dict((name, address) for address, name in topology(lab.plan, "/s").node("k1").hosts)
    assert hosts["c1"] == "10.21.0.11"
    assert hosts["client"] == "10.20.0.16", "it has no control-data address"


def test_shared_networks_share_a_bridge() -> None:
    made = topology(opened("galera").plan, "/s")
    assert len(made.networks) == 1
    assert all(len(node.interfaces) == 1 for node in made.nodes)


def test_whoever_feeds_the_userspace_switch_computes_checksums(lab: Target) -> None:
    for node in topology(lab.plan, "/s").nodes:
        for interface in node.interfaces:
            assert interface.offload is (interface.network not in ("tunnel", "external"))


def test_two_labs_of_one_name_are_two_labs(lab: Target) -> None:
    one, two = topology(lab.plan, "/a"), topology(lab.plan, "/b")
    assert one.lab_id != two.lab_id
    assert one == topology(lab.plan, "/a")


def test_only_settings_of_a_network_namespace(lab: Target) -> None:
    assert all(key.startswith("net.") for key, _ in topology(lab.plan, "/s").sysctls)
