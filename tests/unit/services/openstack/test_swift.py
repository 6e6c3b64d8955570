"""Swift: rings that every node computes alike, and servers on their node's own address."""

from __future__ import annotations

from openstack_plan import ini, sample

from outlast.node.swift_rings import devices
from outlast.node.swift_upkeep import DUTIES, HOUR, due
from outlast.services.swift.service import SERVICE, rings


def test_ring_input_is_the_same_on_every_node() -> None:
    plan = sample(nodes=5)
    inputs = {SERVICE.describe(plan, member).prepare[0].stdin for member in plan.members_of("swift")}
    assert len(inputs) == 1


def test_zones_are_failure_domains() -> None:
    plan = sample(nodes=4, domains=2)
    assert [item["zone"] for item in rings(plan)["devices"]] == [1, 2, 1, 2]  # type: ignore[attr-defined]


def test_never_more_replicas_than_nodes() -> None:
    assert [rings(sample(nodes=count))["replicas"] for count in (1, 2, 3, 5)] == [1, 2, 3, 3]


def test_ring_devices_keep_their_order_and_replicate_on_the_same_address() -> None:
    found = devices(rings(sample()), "object")
    assert [(item["id"], item["ip"], item["port"], item["replication_ip"]) for item in found] == [
        (0, "10.21.0.11", 6200, "10.21.0.11"),
        (1, "10.21.0.12", 6200, "10.21.0.12"),
        (2, "10.21.0.13", 6200, "10.21.0.13"),
    ]


def test_servers_bind_their_own_address_and_clients_use_the_vip() -> None:
    plan = sample()
    proxy = ini(plan, "swift", "/etc/swift/proxy-server.conf", node=1).sections
    assert proxy["DEFAULT"]["bind_ip"] == "10.21.0.12"
    assert proxy["filter:authtoken"]["auth_url"] == "http://10.21.0.250:5000"
    assert ini(plan, "swift", "/etc/swift/rsyncd.conf", node=2).sections[""]["address"] == "10.21.0.13"


def test_every_duty_has_its_section() -> None:
    plan = sample()
    for duty in DUTIES:
        assert duty.section in ini(plan, "swift", f"/etc/swift/{duty.file}-server.conf").sections


def test_audits_wait_an_hour_and_replication_does_not() -> None:
    last = {duty.section: 100.0 for duty in DUTIES}
    assert all(duty.every == 0 for duty in due(last, 101.0))
    assert due(last, 100.0 + HOUR) == DUTIES
