"""ovn, openvswitch, nova, nova-compute, neutron, ovn-agent: what a plan makes of them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest

from outlast.model.cluster import Cluster
from outlast.plan.build import plan as build
from outlast.plan.plan import Plan
from outlast.render.tree import NodeTree, render_node
from outlast.services.oslo_check import unknown_options
from outlast.services.registry import DESCRIBE, SPECS
from outlast.spec.file import Ini
from outlast.spec.service import MemberSpec

OURS = ("ovn", "openvswitch", "nova", "nova-compute", "neutron", "ovn-agent")
INTERNAL = "10.21.0.250"


def cluster(**more: Any) -> Plan:
    networks = {
        "management": {"cidr": "10.20.0.0/24"},
        "control-data": {"cidr": "10.21.0.0/24"},
        "tunnel": {"cidr": "10.22.0.0/24"},
        "external": {"cidr": "10.23.0.0/24", "gateway": "10.23.0.1"},
    }
    controllers = {name: {"roles": ["controller", "network"]} for name in ("c1", "c2", "c3")}
    document = {
        "cluster": "lab",
        "networks": networks,
        "vips": {"external": {"address": "10.20.0.250"}, "internal": {"address": INTERNAL}},
        "nodes": controllers | {"k1": {"roles": ["compute"]}, "k2": {"roles": ["compute"]}},
    }
    return build(Cluster.model_validate(document | more), SPECS)


PLAN = cluster()


def tree(node: str, plan: Plan = PLAN) -> NodeTree:
    return render_node(plan, node, DESCRIBE)


def text(node: str, path: str, plan: Plan = PLAN) -> str:
    return tree(node, plan).files[path].text


def member(node: str, service: str, plan: Plan = PLAN) -> MemberSpec:
    return next(item.spec for item in tree(node, plan).members if item.spec.service == service)


def inis(plan: Plan = PLAN) -> list[tuple[str, str, Ini]]:
    return [
        (node, rendered.file.path, rendered.file.content)
        for node in ("c1", "k1")
        for item in tree(node, plan).members
        if item.spec.service in OURS
        for rendered in item.files
        if isinstance(rendered.file.content, Ini)
    ]


def test_every_key_is_known_to_its_program() -> None:
    known = json.loads((resources.files("outlast.services") / "oslo_options.json").read_text())
    found = []
    for _, path, ini in inis():
        # Privilege separation registers a context's section when the context is made, not in any list of options.
        sections = {name: keys for name, keys in ini.sections.items() if set(keys) != {"helper_command"}}
        found += [
            f"{path}: {sentence}" for sentence in (unknown_options(ini.oslo, sections, known) if ini.oslo else ())
        ]
    assert found == []


def test_clients_name_only_vips_and_clusters_that_are_lists() -> None:
    """B5. A node's own address may appear only where the node itself listens, and in lists of whole clusters."""
    peers = re.compile(r"10\.21\.0\.1[1-5]")
    lists = {"ovn_nb_connection", "ovn_sb_connection", "memcached_servers", "memcache_servers"}
    own = {"my_ip", "http-socket", "live_migration_inbound_addr", "listen_addr", "migration_address", "migration_host"}
    for node, path, ini in inis():
        for section, keys in ini.sections.items():
            for key, value in keys.items():
                if key in lists:
                    assert len(set(peers.findall(str(value)))) == 3, (path, section, key)
                elif key in own:
                    assert PLAN.address(node) in str(value), (path, key)
                else:
                    assert not peers.search(str(value)), (path, section, key, value)


def test_no_secret_is_visible_to_other_processes() -> None:
    for node in ("c1", "k1"):
        for item in tree(node).members:
            if item.spec.service in OURS:
                argv = [program.argv for program in item.spec.programs] + [step.argv for step in item.spec.prepare]
                assert "⟦secret" not in str(argv)
                assert all(f.file.mode == 0o600 for f in item.files if "⟦secret" in f.text)


def test_only_the_founder_may_create_the_databases() -> None:
    scripts = {node: text(node, "/usr/local/lib/outlast/ovn-db") for node in ("c1", "c2", "c3")}
    assert [node for node, script in scripts.items() if "founder=yes" in script] == ["c1"]
    assert 'peers="10.21.0.11 10.21.0.13"' in scripts["c2"]
    assert "majority=2" in scripts["c1"]


@pytest.mark.parametrize("path", ["/usr/local/lib/outlast/ovn-db", "/usr/local/lib/outlast/ovs-switch"])
@pytest.mark.parametrize("userspace", [True, False])
@pytest.mark.parametrize("node", ["c1", "k1"])
def test_scripts_are_shell(path: str, node: str, userspace: bool) -> None:
    plan = replace(PLAN, userspace_datapath=userspace)
    if path in tree(node, plan).files:
        subprocess.run(["sh", "-n", "-c", text(node, path, plan)], check=True)


def founding(peer_answers: str, tmp: Any, polls: int = 2) -> str:
    """What the founder's script decides with `peer_answers` from everybody, run with stand-ins for OVN's tools."""
    script = text("c1", "/usr/local/lib/outlast/ovn-db").replace("/var/lib/ovn", str(tmp)).replace("/run/ovn", str(tmp))
    tools = {
        "ovsdb-client": f"printf '%s' '{peer_answers}'; [ -n '{peer_answers}' ]",
        # Under sudo or not, a real one is never reached: these directories come first.
        "ovsdb-tool": 'echo "$@"; case "$*" in *create-cluster*) f=$3;; *) f=$2;; esac; echo x >"$f"',
        "ovsdb-server": "exit 0",
        "ovn-appctl": "exit 1",
        "sync": "exit 0",
        "sleep": f"n=$(cat {tmp}/n 2>/dev/null || echo 0); echo $((n+1)) >{tmp}/n; [ $n -lt {polls} ] || kill -9 $PPID",
    }
    for name, body in tools.items():
        (tmp / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp / name).chmod(0o755)
    environment = {"PATH": f"{tmp}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", script, "ovn-db", "nb"], env=environment, capture_output=True, text=True, timeout=20
    )
    return done.stdout


NOUGHT = "00000000-0000-0000-0000-000000000000"
CLUSTER = "78f81e6e-b6b6-4470-ba82-11832ba56259"


def test_founder_creates_when_a_majority_has_no_data(tmp_path: Any) -> None:
    said = founding(f'[{{"rows":[{{"cid":["uuid","{NOUGHT}"]}}]}}]', tmp_path)
    assert "create-cluster" in said and "join-cluster" not in said


def test_founder_with_a_new_disk_joins_the_living(tmp_path: Any) -> None:
    said = founding(f'[{{"rows":[{{"cid":["uuid","{CLUSTER}"]}}]}}]', tmp_path)
    assert "join-cluster" in said and "create-cluster" not in said


def test_founder_waits_while_nobody_else_is_there(tmp_path: Any) -> None:
    said = founding("", tmp_path)
    assert "waiting" in said and "-cluster" not in said


def test_gateways_are_network_nodes_only() -> None:
    gateway, compute = text("c1", "/usr/local/lib/outlast/ovs-switch"), text("k1", "/usr/local/lib/outlast/ovs-switch")
    assert "enable-chassis-as-gw" in gateway and "physnet1:br-ex" in gateway and "add-port br-ex ext" in gateway
    assert "br-ex" not in compute and "remove Open_vSwitch . external-ids ovn-cms-options" in compute
    assert "10.22.0.14/24 dev br-tun" in compute


def test_external_network_on_computes_distributes_floating_addresses() -> None:
    plan = cluster(options={"openvswitch": {"external_on_computes": True}})
    compute = text("k1", "/usr/local/lib/outlast/ovs-switch", plan)
    assert "physnet1:br-ex" in compute and "enable-chassis-as-gw" not in compute
    assert "enable_distributed_floating_ip = true" in text("c1", "/etc/neutron/ml2.ini", plan)
    assert "enable_distributed_floating_ip = false" in text("c1", "/etc/neutron/ml2.ini")


def test_kernel_datapath_leaves_the_tunnel_address_where_it_is() -> None:
    plan = replace(PLAN, userspace_datapath=False)
    script = text("k1", "/usr/local/lib/outlast/ovs-switch", plan)
    assert "datapath_type=system" in script
    assert "br-tun" not in script and "ethtool" not in script and "flush" not in script
    assert member("k1", "ovn-agent", plan).programs[0].argv[0].endswith("/neutron-ovn-agent")


def test_cells_hold_templates_instead_of_passwords() -> None:
    step = member("c2", "nova").prepare[0]
    assert step.name == "nova-cells" and "⟦" not in step.stdin
    assert step.stdin.count("@{hostname") == 5  # two databases, three brokers
    assert "{port3}/{path}" in step.stdin


def test_a_single_broker_has_no_number() -> None:
    nodes = {"c1": {"roles": ["controller", "network"]}, "k1": {"roles": ["compute"]}}
    step = member("c1", "nova", cluster(nodes=nodes)).prepare[0]
    assert "{username}:{password}@{hostname}:{port}/{path}'" in step.stdin and "{port1}" not in step.stdin


def test_compute_nodes_know_no_database() -> None:
    content = text("k1", "/etc/nova/nova-compute.conf")
    assert "mysql" not in content and "[keystone_authtoken]" not in content


def test_compute_identity_lasts_and_differs() -> None:
    ids = {node: text(node, "/etc/nova/compute_id") for node in ("k1", "k2")}
    assert ids["k1"] == text("k1", "/etc/nova/compute_id", cluster()) != ids["k2"]
    assert text("k1", "/etc/nova/compute_id", cluster(cluster="other")) != ids["k1"]
    assert f'host_uuid = "{ids["k1"].strip()}"' in text("k1", "/etc/libvirt/libvirtd.conf")


def test_ring_outlives_a_database_failover_and_remembers_longer_than_anyone_believes() -> None:
    source = text("c1", "/usr/local/lib/outlast/python/outlast_neutron_api.py")
    compile(source, "outlast_neutron_api.py", "exec")
    ring = text("c1", "/usr/local/lib/outlast/python/outlast_neutron_ring.py")
    touch, dead, cache = (int(n) for n in re.findall(r"HASH_RING_\w+ = (\d+)", ring))
    remember = int(re.findall(r"REMEMBER = (\d+)", source)[0])
    assert touch * 3 < dead and cache < dead and dead + cache + touch < remember


def test_controller_and_compute_on_one_node_do_not_clash() -> None:
    nodes = {"c1": {"roles": ["controller", "network", "compute"]}}
    files = tree("c1", cluster(nodes=nodes)).files
    assert {"/etc/nova/nova.conf", "/etc/nova/nova-compute.conf", "/etc/neutron/ovn-agent.conf"} <= set(files)
