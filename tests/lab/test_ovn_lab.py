"""The network's databases and switches on three nodes: a cluster of three, chassis, and the loss of a leader."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from labs import NETWORKS, Cluster, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NODES = ("s1", "s2", "s3")
BODY = f"""{NETWORKS}
services: [ovn, openvswitch]
nodes:
  s1: {{roles: [sdn, network]}}
  s2: {{roles: [sdn, network]}}
  s3: {{roles: [sdn, network]}}
lab: {{volume: 512}}
"""
REMOTES = {"nb": ",".join(f"tcp:10.61.0.{number}:6641" for number in (11, 12, 13)),
           "sb": ",".join(f"tcp:10.61.0.{number}:6642" for number in (11, 12, 13))}  # fmt: skip
NAMES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}


@pytest.fixture(scope="module")
def network(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    cluster = new_lab("ovn", BODY)
    report = cluster.up()
    print(f"three databases and chassis: {sum(report['phases'].values()):.1f} s")
    return cluster


def raft(cluster: Cluster, node: str, db: str) -> str:
    argv = ("ovn-appctl", "--timeout=3", "-t", f"/run/ovn/ovn{db}_db.ctl", "cluster/status", NAMES[db])
    return cluster.inside(node, *argv, check=False)


def leader(cluster: Cluster, db: str) -> str:
    """The node that leads, "" while nobody does."""
    found = [node for node in cluster.powered() if "Role: leader" in raft(cluster, node, db)]
    return found[0] if len(found) == 1 else ""


def write(cluster: Cluster, node: str, name: str, *, check: bool = True) -> str:
    """One logical switch, through whoever leads."""
    argv = ("ovn-nbctl", "--timeout=5", f"--db={REMOTES['nb']}", "--may-exist", "ls-add", name)
    return cluster.inside(node, *argv, check=check)


def switches(cluster: Cluster, node: str) -> str:
    """What the node's own copy holds."""
    argv = ("ovn-nbctl", "--timeout=5", "--no-leader-only", "--db=unix:/run/ovn/ovnnb_db.sock", "ls-list")
    return cluster.inside(node, *argv)


def chassis(cluster: Cluster, node: str) -> set[str]:
    argv = ("ovn-sbctl", "--timeout=5", f"--db={REMOTES['sb']}", "--bare", "--columns=name", "list", "Chassis")
    return set(cluster.inside(node, *argv).split())


def test_three_servers_form_each_database(network: Cluster) -> None:
    for db in NAMES:
        assert leader(network, db)
        for node in NODES:
            status = raft(network, node, db)
            assert "Status: cluster member" in status
            assert len(re.findall(r"at tcp:10\.61\.0\.1[123]:", status)) == 3


def test_every_node_is_a_chassis_and_a_gateway(network: Cluster) -> None:
    until(lambda: chassis(network, "s1") == set(NODES), 10, lambda: chassis(network, "s1"))
    argv = ("ovn-sbctl", f"--db={REMOTES['sb']}", "--bare", "--columns=other_config", "list", "Chassis")
    assert network.inside("s1", *argv).count("enable-chassis-as-gw") == 3


def test_nothing_crashed_on_the_way(network: Cluster) -> None:
    """ovn-controller 25.03 dies when it meets a database without its global row."""
    for node in NODES:
        console = network.target.lab.console(node).read_text()
        assert "terminated by SIG" not in console.replace("terminated by SIGTERM", "")
        assert console.count("spawned: 'ovn-controller'") == 1


def test_a_write_reaches_every_copy(network: Cluster) -> None:
    write(network, "s1", "before")
    for node in NODES:
        until(lambda node=node: "before" in switches(network, node), 5, f"the switch on {node}")  # type: ignore[misc]


def test_the_leader_loses_power(network: Cluster) -> None:
    lost = leader(network, "nb")
    left = [node for node in NODES if node != lost]
    network.poweroff(lost)
    begun = time.monotonic()
    until(lambda: not write(network, left[0], "during", check=False), 15, "a write without the old leader")
    print(f"writable {time.monotonic() - begun:.1f} s after the power cut of the leader")
    network.poweron(lost)
    print(f"{lost} is back {network.await_settled(60):.1f} s after power on")
    until(lambda: "during" in switches(network, lost), 10, "what it missed")
    assert "before" in switches(network, lost)
    assert chassis(network, lost) == set(NODES)
    for node in NODES:
        assert raft(network, node, "nb").count("at tcp:") >= 3


def test_all_lose_power(network: Cluster) -> None:
    network.poweroff(*NODES)
    network.poweron("s3", "s2", "s1")
    print(f"whole {network.await_settled(90):.1f} s after power on of all")
    for node in NODES:
        until(lambda node=node: "during" in switches(network, node), 20, f"the rows on {node}")  # type: ignore[misc]
    until(lambda: chassis(network, "s1") == set(NODES), 20, lambda: chassis(network, "s1"))


def test_a_database_that_cannot_be_read_joins_as_a_new_one(network: Cluster) -> None:
    """But only while the others are a majority without it: else what it has may be all that is left."""
    write(network, "s2", "torn")
    network.poweroff("s1")
    # A hole in the first record, as a full disk leaves one.
    hole = "dd if=/dev/zero of=/var/lib/ovn/ovnnb_db.db bs=1 seek=100 count=64 conv=notrunc 2>/dev/null"
    network.inside("s3", "sh", "-c", f"{hole}; kill -9 $(cat /run/ovn/ovnnb_db.pid)")

    def starts() -> int:
        return network.count("s3", "/var/lib/ovn/failed-starts-nb")

    until(lambda: starts() > 4, 120, starts, poll=0.5)
    assert "ovnnb_db.db.unreadable" not in network.inside("s3", "ls", "/var/lib/ovn")
    begun = time.monotonic()
    network.poweron("s1")
    network.await_settled(120)
    until(lambda: "torn" in switches(network, "s3"), 20, "what the others have")
    print(f"a database with a hole is a member again {time.monotonic() - begun:.1f} s after there is a majority")
    assert "ovnnb_db.db.unreadable" in network.inside("s3", "ls", "/var/lib/ovn")
    until(lambda: len(re.findall(r"at tcp:10\.61\.0\.1[123]:", raft(network, "s1", "nb"))) == 3, 30, "three members")
