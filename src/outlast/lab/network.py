"""The lab's cables and switches: network namespaces, bridges, ports.

All bridges live in one switch namespace per lab. Cables are made directly between namespaces, so that the host's own
namespace never sees one.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.topology import (
    LabNode,
    Topology,
    host_link_name,
    node_namespace,
    port_name,
    switch_namespace,
)

NETNS = Path("/run/netns")

_FORWARDING_SECONDS = 10
_POLL_SECONDS = 0.01

_SWITCH_SYSCTLS = {
    # The switch is no IP host: it must not answer, route or filter on its own account.
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
    "net/bridge/bridge-nf-call-arptables": "0",
}

_DROP_TABLE = """
add table bridge outlast
add set bridge outlast silent { type ifname; }
add chain bridge outlast forward { type filter hook forward priority 0; policy accept; }
flush chain bridge outlast forward
add rule bridge outlast forward iifname @silent drop
add rule bridge outlast forward oifname @silent drop
"""


def namespace_path(name: str) -> Path:
    return NETNS / name


def namespace_exists(name: str) -> bool:
    """A file left by a killed `ip netns add` is not yet a namespace: those live on a filesystem of their own."""
    try:
        return namespace_path(name).stat().st_dev != NETNS.stat().st_dev
    except FileNotFoundError:
        return False


def marked_namespaces(lab_id: str) -> list[str]:
    """Names, also of half-made ones, of all network namespaces that carry the lab's mark."""
    if not NETNS.is_dir():
        return []
    switch = switch_namespace(lab_id)
    return sorted(
        entry.name for entry in NETNS.iterdir() if entry.name == switch or entry.name.startswith(f"{switch}-")
    )


def build_switch(commands: Commands, topology: Topology) -> None:
    switch = switch_namespace(topology.lab_id)
    if not namespace_exists(switch):
        delete_namespace(commands, switch)
        commands.run("ip", "netns", "add", switch)
    settings = " ".join(f"{key}={value}" for key, value in _SWITCH_SYSCTLS.items())
    script = 'for s in $0; do [ ! -e "/proc/sys/${s%=*}" ] || echo "${s#*=}" > "/proc/sys/${s%=*}"; done'
    commands.run("ip", "netns", "exec", switch, "sh", "-c", script, settings)
    there = set(_links(commands, switch))
    lines = []
    for network in topology.networks:
        if network.bridge not in there:
            # No snooping: VRRP's multicast must be flooded, as by a plain switch.
            lines.append(f"link add {network.bridge} type bridge forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {network.bridge} up")
    _batch(commands, switch, lines)
    commands.run("ip", "netns", "exec", switch, "nft", "-f", "-", text=_DROP_TABLE)


def build_node(commands: Commands, topology: Topology, node: LabNode) -> None:
    """A fresh namespace with all cables plugged and addresses set, as a machine has before its first program runs."""
    remove_node(commands, topology, node)
    switch, namespace = switch_namespace(topology.lab_id), node_namespace(topology.lab_id, node.name)
    commands.run("ip", "netns", "add", namespace)
    plug, configure = [], ["link set lo up"]
    for interface in node.interfaces:
        port, bridge = port_name(node.name, interface.name), topology.network(interface.network).bridge
        peer = f"peer name {interface.name} address {interface.mac} netns {namespace}"
        plug += [f"link add {port} type veth {peer}", f"link set {port} master {bridge} up"]
        if interface.address:
            configure.append(f"addr add {interface.address} brd + dev {interface.name}")
        configure.append(f"link set {interface.name} up")
    if node.default_gateway:
        configure.append(f"route add default via {node.default_gateway}")
    _batch(commands, switch, plug)
    _batch(commands, namespace, configure)
    for interface in node.interfaces:
        if not interface.offload:
            commands.run("ip", "netns", "exec", namespace, "ethtool", "-K", interface.name, "tx", "off")
    _await_forwarding(commands, switch, {port_name(node.name, interface.name) for interface in node.interfaces})


def unplug_node(commands: Commands, topology: Topology, node: LabNode) -> None:
    """All ports down, as one command: from now on nothing that the node says is heard."""
    ports = [port_name(node.name, interface.name) for interface in node.interfaces]
    lines = [f"link set {port} down" for port in ports]
    _batch(commands, switch_namespace(topology.lab_id), lines, carry_on=True)


def remove_node(commands: Commands, topology: Topology, node: LabNode) -> None:
    """Take the node's namespace away, cables first: only their removal is immediate."""
    lines = [f"link del {port_name(node.name, interface.name)}" for interface in node.interfaces]
    _batch(commands, switch_namespace(topology.lab_id), lines, carry_on=True)
    delete_namespace(commands, node_namespace(topology.lab_id, node.name))


def delete_namespace(commands: Commands, name: str) -> None:
    if namespace_path(name).exists():
        commands.run("ip", "netns", "delete", name)


def set_link(commands: Commands, topology: Topology, node: str, interface: str, up: bool) -> None:
    """Plug or pull a cable at the switch's end: the node sees its carrier come or go."""
    port = _port(topology, node, interface)
    _batch(commands, switch_namespace(topology.lab_id), [f"link set {port} {'up' if up else 'down'}"])


def set_silent(commands: Commands, topology: Topology, node: str, interface: str, silent: bool) -> None:
    """The switch swallows every frame from and to the port; the carrier stays."""
    port = _port(topology, node, interface)
    # Adding first makes the deletion succeed whether or not the port was silent.
    lines = [f'{verb} element bridge outlast silent {{ "{port}" }}' for verb in ("add", "delete")[: 1 if silent else 2]]
    switch = switch_namespace(topology.lab_id)
    commands.run("ip", "netns", "exec", switch, "nft", "-f", "-", text="\n".join(lines) + "\n")


def connect_host(commands: Commands, topology: Topology, network: str, address: str) -> str:
    """One cable from the host's namespace to a lab network; returns the name of its host end."""
    link = _host_link(topology, network)
    disconnect_host(commands, topology, network)
    port, switch = f"host-{link[-2:]}", switch_namespace(topology.lab_id)
    commands.run("ip", "link", "add", link, "type", "veth", "peer", "name", port, "netns", switch)
    _batch(commands, switch, [f"link set {port} master {topology.network(network).bridge} up"])
    commands.run("ip", "addr", "add", address, "brd", "+", "dev", link)
    commands.run("ip", "link", "set", link, "up")
    _await_forwarding(commands, switch, {port})
    return link


def disconnect_host(commands: Commands, topology: Topology, network: str) -> None:
    link = _host_link(topology, network)
    if link in host_links(commands, topology.lab_id):
        commands.run("ip", "link", "del", link)


def host_links(commands: Commands, lab_id: str) -> list[str]:
    """Links of this lab in the namespace of the caller."""
    shown = json.loads(commands.run("ip", "-json", "link", "show") or "[]")
    names = [link["ifname"] for link in shown]
    return sorted(name for name in names if name.startswith(host_link_name(lab_id, 0)[:-1]))


def _await_forwarding(commands: Commands, switch: str, ports: set[str]) -> None:
    """A bridge lets a port in when it hears of its carrier, which the kernel may tell it up to a second late."""
    deadline = time.monotonic() + _FORWARDING_SECONDS
    while waiting := ports - _forwarding(commands, switch):
        if time.monotonic() > deadline:
            raise LabError("lab.switch", f"the switch does not forward on {', '.join(sorted(waiting))}")
        time.sleep(_POLL_SECONDS)


def _forwarding(commands: Commands, switch: str) -> set[str]:
    shown = json.loads(commands.run("ip", "-n", switch, "-details", "-json", "link", "show", "type", "veth") or "[]")
    states = {link["ifname"]: link.get("linkinfo", {}).get("info_slave_data", {}).get("state") for link in shown}
    return {name for name, state in states.items() if state == "forwarding"}


def _host_link(topology: Topology, network: str) -> str:
    return host_link_name(topology.lab_id, topology.networks.index(topology.network(network)))


def _port(topology: Topology, node: str, interface: str) -> str:
    if interface not in {known.name for known in topology.node(node).interfaces}:
        raise LabError("lab.no-interface", f"node {node} has no interface {interface}")
    return port_name(node, interface)


def _links(commands: Commands, namespace: str) -> list[str]:
    if not namespace_exists(namespace):
        return []
    shown = json.loads(commands.run("ip", "-n", namespace, "-json", "link", "show") or "[]")
    return [link["ifname"] for link in shown]


def _batch(commands: Commands, namespace: str, lines: list[str], *, carry_on: bool = False) -> None:
    if not lines:
        return
    text = "\n".join(lines) + "\n"
    if carry_on:
        commands.succeeds("ip", "-force", "-n", namespace, "-batch", "-", text=text)
    else:
        commands.run("ip", "-n", namespace, "-batch", "-", text=text)
