"""Names, marks and rules of a topology."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from outlast.lab import topology as t
from outlast.lab.state import topology_from_json


def make(**changes: Any) -> t.Topology:
    lab_id = t.lab_id("demo", "/state/demo")
    eth0 = t.Interface("eth0", "mgmt", "10.0.0.11/24", t.mac(lab_id, "c1", "eth0"))
    eth1 = t.Interface("eth1", "tenant", None, t.mac(lab_id, "c1", "eth1"), offload=False)
    values: dict[str, Any] = {
        "lab": "demo",
        "lab_id": lab_id,
        "networks": tuple(t.LabNetwork(name, t.bridge_name(name)) for name in ("mgmt", "tenant")),
        "nodes": (t.LabNode("c1", (eth0, eth1), 64, "10.0.0.1", (("10.0.0.11", "c1"),)),),
        "sysctls": (("net.ipv4.ip_nonlocal_bind", "1"),),
    }
    return t.Topology(**values | changes)


def test_mark_tells_labs_of_one_name_apart() -> None:
    assert t.lab_id("demo", "/a/demo") != t.lab_id("demo", "/b/demo")
    assert t.lab_id("demo", "/a/demo") == t.lab_id("demo", "/a/demo")


def test_mac_is_local_unicast_and_stable() -> None:
    address = t.mac("abcdef", "c1", "eth0")
    assert int(address[:2], 16) & 0b11 == 0b10
    assert address == t.mac("abcdef", "c1", "eth0")
    others = {t.mac(lab, node, name) for lab in ("abcdef", "abcde0") for node in ("c1", "c2") for name in ("a", "b")}
    assert len(others) == 8


@pytest.mark.parametrize("node", ["c1", "a-controller-with-a-long-name", "another-controller-with-a-long-name"])
def test_kernel_names_fit(node: str) -> None:
    assert len(t.port_name(node, "eth0")) <= t.KERNEL_NAME_LENGTH
    assert len(t.bridge_name(node)) <= t.KERNEL_NAME_LENGTH
    assert len(t.host_link_name("abcdef", 99)) <= t.KERNEL_NAME_LENGTH


def test_shortened_names_stay_apart() -> None:
    long = "a-controller-with-a-long-name"
    assert t.port_name(f"{long}-1", "eth0") != t.port_name(f"{long}-2", "eth0")
    assert t.port_name(long, "eth0") != t.port_name(long, "eth1")


def test_topology_survives_its_file() -> None:
    topology = make()
    assert topology_from_json(json.loads(json.dumps(dataclasses.asdict(topology)))) == topology


@pytest.mark.parametrize("key", ["kernel.panic", "vm.swappiness", "net", "net.ipv4/../../kernel.panic", "net..ipv4"])
def test_sysctl_of_the_whole_machine_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        make(sysctls=((key, "1"),))


def test_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="no network named tenant"):
        make(networks=(t.LabNetwork("mgmt", "br-mgmt"),))


def test_doubles_are_refused() -> None:
    with pytest.raises(ValueError, match="node named twice: c1"):
        make(nodes=make().nodes * 2)


@pytest.mark.parametrize("name", ["", "C1", "c1/../c2", "c 1", "-c1", "c" * 64])
def test_node_names_are_host_names(name: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        t.LabNode(name, (), 64)
