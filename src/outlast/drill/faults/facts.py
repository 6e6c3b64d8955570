"""Asks the nodes for what targets are chosen by: who holds, writes, leads and runs what, this very moment."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outlast.drill.faults.hands import Hands, carried
from outlast.drill.faults.networks import controllers
from outlast.drill.inventory import inventory
from outlast.drill.targets import Facts
from outlast.errors import OutlastError
from outlast.node.guard import departed, writers
from outlast.node.guard.admin import ask
from outlast.node.guard.settings import Single
from outlast.services.haproxy.service import ADMIN

_SECONDS = 2.0


def gather(hands: Hands, descriptions: Iterable[str] | None = None) -> Facts:
    """Ask all nodes, at the same time, for what the descriptions need (None: everything; that costs about a second).

    Never raises for a node that is off or does not answer: what nobody says is not in the facts.
    """
    wanted = None if descriptions is None else {one.partition(":")[0] for one in descriptions}
    leaders = wanted is None or bool(wanted & {"leader-of", "one"})
    plan = hands.plan
    nodes = tuple(node.name for node in plan.nodes if plan.members_on(node.name))
    on = frozenset(node for node, state in hands.lab.status().nodes.items() if state == "on")
    with ThreadPoolExecutor(8) as pool:
        asked = {
            (name, member.node): pool.submit(_quietly, leads, hands, member.node)
            for name, (service, leads) in _LEADS.items()
            if leaders and plan.has(service)
            for member in plan.members_of(service)
            if member.node in on
        }
        gateway = pool.submit(_gateway, hands, on) if leaders and plan.has("ovn") else None
        servers = pool.submit(_servers, hands, on)
        held = holders(hands)
        writer = _writer(hands, on, held)
        found = {name: node for (name, node), future in asked.items() if future.result()}
        if gateway and gateway.result() in nodes:
            found["gateway"] = gateway.result()
        there = inventory(plan)
        return Facts(
            nodes=nodes,
            controllers=tuple(node for node in there.controllers or controllers(hands) if node in nodes),
            computes=tuple(node for node in there.computes if node in nodes),
            runs={node: frozenset(names) for node, names in there.programs.items()},
            on=on,
            holders=held,
            writer=writer,
            leaders=found,
            servers=servers.result(),
        )


def running(hands: Hands) -> dict[str, int | None]:
    """PID 1 of every node with members; None for one that is off."""
    return {node.name: hands.lab.pid1(node.name) for node in hands.plan.nodes if hands.plan.members_on(node.name)}


def holders(hands: Hands, nodes: Mapping[str, int | None] | None = None) -> dict[str, tuple[str, ...]]:
    """Nodes whose kernel has the address of each VIP, read without running anything: well under a millisecond each.

    nodes: as `running` says, where that is known already.
    """
    vips = [vip.address for vip in hands.plan.vips.values()]
    pids = running(hands) if nodes is None else nodes
    seen = {node: carried(pid1, vips) for node, pid1 in pids.items()}
    return {
        name: tuple(node for node, addresses in seen.items() if vip.address in addresses)
        for name, vip in hands.plan.vips.items()
    }


def _quietly(action: Callable[[Hands, str], bool], hands: Hands, node: str) -> bool:
    try:
        return action(hands, node)
    except (OutlastError, OSError, ValueError):
        return False


def _leads_zookeeper(hands: Hands, node: str) -> bool:
    place = (hands.plan.address(node), hands.plan.port("zookeeper", "client"))

    def ask() -> bytes:
        with socket.create_connection(place, _SECONDS) as sock:
            sock.sendall(b"srvr")
            answer = b""
            while part := sock.recv(4096):
                answer += part
        return answer

    return b"Mode: leader" in hands.in_network(node, ask)


def _leads_ovn(database: str, schema: str) -> Callable[[Hands, str], bool]:
    def ask(hands: Hands, node: str) -> bool:
        argv = ("ovn-appctl", "--timeout=2", "-t", f"/run/ovn/ovn{database}_db.ctl", "cluster/status", schema)
        return re.search(r"^Role: leader$", hands.run(node, argv, timeout=5), re.MULTILINE) is not None

    return ask


def _leads_northd(hands: Hands, node: str) -> bool:
    argv = ("ovn-appctl", "--timeout=2", "-t", "/run/ovn/ovn-northd.ctl", "status")
    return "Status: active" in hands.run(node, argv, timeout=5)


def _gateway(hands: Hands, on: frozenset[str]) -> str:
    """The node that carries most gateway ports of routers now, by any member of the southbound database."""
    script = (
        'ask() { ovn-sbctl --timeout=3 --no-leader-only --db=unix:/run/ovn/ovnsb_db.sock --bare "$@"; }\n'
        "for one in $(ask --columns=chassis find Port_Binding type=chassisredirect); do "
        'ask --columns=hostname list Chassis "$one"; done'
    )
    for member in hands.plan.members_of("ovn"):
        if member.node in on:
            with contextlib.suppress(OutlastError):
                names = hands.run(member.node, ("/bin/sh", "-c", script), timeout=8).split()
                return max(sorted(set(names)), key=names.count, default="")
    return ""


def _leads_rabbitmq(hands: Hands, node: str) -> bool:
    """Whether it leads more quorum queues (with the metadata store) than any other, or as many and comes first.

    Asked by erl_call, which takes a tenth of the time that rabbitmqctl takes to start.
    """
    script = 'exec erl_call -sname "rabbit@$0" -c "$(cat /var/lib/rabbitmq/.erlang.cookie)" -timeout 3 -a "$1"'
    argv = ("/bin/sh", "-c", script, node, "ets tab2list [ra_leaderboard]")
    counts = leaderships(hands.run(node, argv, timeout=8))
    names = [member.node for member in hands.plan.members_of("rabbitmq")]
    best = max(names, key=lambda name: (counts.get(name, 0), -names.index(name)))
    return best == node and counts.get(node, 0) > 0


def leaderships(leaderboard: str) -> dict[str, int]:
    """Node -> Raft clusters that it leads, in RabbitMQ's own table of {Cluster, {Name, Leader}, Members}."""
    counts: dict[str, int] = {}
    for node in re.findall(r"\{[^{}]*,\s*\{[^{}]*?,\s*'?rabbit@([a-z0-9-]+)'?\},\s*\[", leaderboard):
        counts[node] = counts.get(node, 0) + 1
    return counts


_LEADS: Mapping[str, tuple[str, Callable[[Hands, str], bool]]] = {
    "rabbitmq": ("rabbitmq", _leads_rabbitmq),
    "ovn-nb": ("ovn", _leads_ovn("nb", "OVN_Northbound")),
    "ovn-sb": ("ovn", _leads_ovn("sb", "OVN_Southbound")),
    "ovn-northd": ("ovn", _leads_northd),
    "zookeeper": ("zookeeper", _leads_zookeeper),
}


def _writer(hands: Hands, on: frozenset[str], held: Mapping[str, tuple[str, ...]]) -> str:
    """What the balancer with the database's VIP has chosen; before the first session, its first server that is up."""
    single = next((item for item in hands.plan.frontends if item.frontend.single), None)
    if single is None:
        return ""
    balancers = [node for node in held.get(single.vip, ()) if node in on]
    servers = tuple(name for name, _, _ in single.servers)
    for node in balancers:
        with contextlib.suppress(OutlastError, OSError):
            fd = hands.admin_socket(node, ADMIN)
            try:
                path, backend = f"/proc/self/fd/{fd}", single.frontend.name
                if chosen := writers.read_writers(path, [Single(backend, servers)]).get(backend):
                    return chosen
                return first_up(ask(path, f"{departed.COMMAND} {backend}").decode(errors="replace"), servers)
            finally:
                os.close(fd)
    return ""


def first_up(state: str, servers: tuple[str, ...]) -> str:
    """First server in order that HAProxy calls running (operational state 2) in `show servers state`."""
    rows = [line.split() for line in state.splitlines() if line and not line.startswith("#")]
    up = {row[3] for row in rows if len(row) > 5 and row[5] == "2"}
    return next((server for server in servers if server in up), "")


def _servers(hands: Hands, on: frozenset[str]) -> dict[str, str]:
    """Servers by libvirt's own files of what runs; Nova writes each one's name into them."""
    found = {}
    for member in hands.plan.members_of("nova-compute"):
        if member.node not in on:
            continue
        with contextlib.suppress(OutlastError, OSError):
            for path in Path(f"{hands.lab.root_path(member.node)}/run/libvirt/qemu").glob("*.xml"):
                if name := re.search(r"<nova:name>([^<]+)</nova:name>", path.read_text(errors="replace")):
                    found[name[1]] = member.node
    return found
