"""What follows from the cluster file without placing anything: roles, addresses, VRRP ids, services, ports.

Both the rules (which refuse) and the planner (which places) read these, so that they can never disagree.
All functions are pure and never fail on a cluster that breaks a rule: unknown names are left out (the rules report).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Final

from outlast.model.cluster import Cluster, Network, Node, Vip
from outlast.spec.file import Scalar
from outlast.spec.service import Frontend, Port, ServiceSpec

MANAGEMENT: Final = "management"
CONTROL_DATA: Final = "control-data"
TUNNEL: Final = "tunnel"
EXTERNAL: Final = "external"

CONTROLLER_ROLES: Final = ("endpoint", "service", "sdn", "storage")
FIRST_NUMBER: Final = 11

# 51 is the id of nearly every Keepalived example; a stranger on the same network is likely to use it.
AVOIDED_ROUTER_IDS: Final = frozenset({51})


def expand_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Roles with `controller` replaced by what it stands for, each once, in order."""
    expanded: list[str] = []
    for role in roles:
        expanded.extend(CONTROLLER_ROLES if role == "controller" else (role,))
    return tuple(dict.fromkeys(expanded))


def nodes_with(cluster: Cluster, roles: Iterable[str]) -> tuple[str, ...]:
    """Names of the nodes that hold at least one of the roles, in file order."""
    wanted = frozenset(roles)
    return tuple(name for name, node in cluster.nodes.items() if not wanted.isdisjoint(expand_roles(node.roles)))


def networks(cluster: Cluster) -> dict[str, Network]:
    """Networks by role; absent ones are left out, control-data falls back to management."""
    given = cluster.networks
    found = {MANAGEMENT: given.management, CONTROL_DATA: given.control_data or given.management}
    if given.tunnel is not None:
        found[TUNNEL] = given.tunnel
    if given.external is not None:
        found[EXTERNAL] = given.external
    return found


def node_networks(roles: Iterable[str], present: Iterable[str]) -> tuple[str, ...]:
    """Network roles among `present` in which a node with these roles has an address.

    A client stands outside: it sees management and external only. Tunnels end on chassis (network, compute).
    """
    held = frozenset(expand_roles(roles))
    wanted = {MANAGEMENT}
    if held - {"client"}:
        wanted.add(CONTROL_DATA)
    if held & {"network", "compute"}:
        wanted.add(TUNNEL)
    if "client" in held:
        wanted.add(EXTERNAL)
    return tuple(role for role in present if role in wanted)


def node_numbers(cluster: Cluster) -> dict[str, int]:
    """Host number of every node: its own, or 11 plus its position in the file."""
    return {
        name: FIRST_NUMBER + position if node.number is None else node.number
        for position, (name, node) in enumerate(cluster.nodes.items())
    }


def node_addresses(cluster: Cluster) -> dict[str, dict[str, str]]:
    """Addresses of every node by network role: the given one, or the network's address plus the node's number."""
    present = networks(cluster)
    bases = {role: int(network.cidr.network_address) for role, network in present.items()}
    numbers = node_numbers(cluster)
    # Many nodes share the same roles (computes by the hundred): ask once per set.
    seen: dict[tuple[str, ...], tuple[str, ...]] = {}
    found: dict[str, dict[str, str]] = {}
    for name, node in cluster.nodes.items():
        if node.roles not in seen:
            seen[node.roles] = node_networks(node.roles, present)
        found[name] = {
            role: given_address(cluster, node, role) or _quad(bases[role] + numbers[name]) for role in seen[node.roles]
        }
    return found


def given_address(cluster: Cluster, node: Node, role: str) -> str:
    """The address that the file gives a node on a network role, or ""."""
    if not node.addresses:
        return ""
    given = node.addresses.get(role)
    if given is None and role == CONTROL_DATA and cluster.networks.control_data is None:
        given = node.addresses.get(MANAGEMENT)
    return "" if given is None else str(given)


def _quad(number: int) -> str:
    # Beyond 255.255.255.255 nothing is an address; the rules say that the number is too large.
    return str(IPv4Address(min(number, 2**32 - 1)))


def vip_network(name: str, vip: Vip) -> str:
    """Network role of a VIP: given, or management for `external` and control-data for every other."""
    return vip.network or (MANAGEMENT if name == EXTERNAL else CONTROL_DATA)


def vip_nodes(cluster: Cluster, name: str) -> tuple[str, ...]:
    """Nodes that may hold a VIP, in order of preference: those given, or all endpoint nodes."""
    endpoints = nodes_with(cluster, ("endpoint",))
    given = cluster.vips[name].nodes
    return tuple(node for node in dict.fromkeys(given) if node in endpoints) if given else endpoints


def router_ids(cluster: Cluster) -> dict[str, int]:
    """VRRP id of every VIP: its own, or a stable hash of cluster and VIP name.

    Derived ids avoid 51 and every id already taken on the same network. VIPs are served in file order,
    so that one added at the end never changes another's id.
    """
    present = networks(cluster)
    segment = {name: present[vip_network(name, vip)].cidr for name, vip in cluster.vips.items()}
    taken = {(segment[name], vip.router_id) for name, vip in cluster.vips.items() if vip.router_id is not None}
    found: dict[str, int] = {}
    for name, vip in cluster.vips.items():
        number = vip.router_id
        if number is None:
            candidates = _candidates(f"{cluster.cluster}/{name}")
            number = next((item for item in candidates if (segment[name], item) not in taken), candidates[0])
        taken.add((segment[name], number))
        found[name] = number
    return found


def _candidates(seed: str) -> tuple[int, ...]:
    """All usable router ids, beginning with the one that the seed hashes to."""
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % 255
    rotated = ((start + step) % 255 + 1 for step in range(255))
    return tuple(number for number in rotated if number not in AVOIDED_ROUTER_IDS)


def chosen_services(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> tuple[str, ...]:
    """Services of the cluster in the order of `specs`: those asked for and all they require.

    Without `services:` in the file, every service is asked for whose roles somebody holds.
    """
    if cluster.services is None:
        held = {role for node in cluster.nodes.values() for role in expand_roles(node.roles)}
        waiting = [name for name, spec in specs.items() if not held.isdisjoint(spec.roles)]
    else:
        waiting = [name for name in cluster.services if name in specs]
    chosen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in chosen:
            chosen.add(name)
            waiting.extend(required for required in specs[name].requires if required in specs)
    return tuple(name for name in specs if name in chosen)


def options(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> dict[str, dict[str, Scalar]]:
    """Options of every chosen service: the operator's where given, else the default."""
    return {name: service_options(cluster, specs[name]) for name in chosen_services(cluster, specs)}


def service_options(cluster: Cluster, spec: ServiceSpec) -> dict[str, Scalar]:
    """Options of one service; a whole number given for a fraction becomes one, so that types follow the default's."""
    given = cluster.options.get(spec.name, {})
    found: dict[str, Scalar] = {}
    for option in spec.options:
        value = given.get(option.name, option.default)
        found[option.name] = float(value) if isinstance(option.default, float) and type(value) is int else value
    return found


def effective_ports(spec: ServiceSpec, values: Mapping[str, Scalar]) -> tuple[Port, ...]:
    """The service's ports with the numbers that its options move them to."""
    moved: list[Port] = []
    for position, port in enumerate(spec.ports):
        value = values.get(port_option(spec, position, values))
        moved.append(replace(port, number=value) if type(value) is int else port)
    return tuple(moved)


def port_option(spec: ServiceSpec, position: int, values: Mapping[str, Scalar]) -> str:
    """Name of the option that moves a port, or "": `<port name>_port`, and `port` for the first one."""
    own = f"{spec.ports[position].name.replace('-', '_')}_port"
    if own in values:
        return own
    return "port" if position == 0 and "port" in values else ""


@dataclass(frozen=True)
class Offer:
    """A frontend offered on a VIP: the service behind it and the port that the VIP listens on."""

    service: str
    frontend: Frontend
    port: int


def offers(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> dict[str, tuple[Offer, ...]]:
    """What each VIP offers: the frontends it names itself, or those whose services name the VIP."""
    available: list[Offer] = []
    for name in chosen_services(cluster, specs):
        spec = specs[name]
        numbers = {port.name: port.number for port in effective_ports(spec, service_options(cluster, spec))}
        for frontend in spec.frontends:
            available.append(Offer(name, frontend, frontend.vip_port or numbers.get(frontend.port_name, 0)))
    found: dict[str, tuple[Offer, ...]] = {}
    for name, vip in cluster.vips.items():
        found[name] = tuple(
            offer
            for offer in available
            if (offer.frontend.name in vip.frontends if vip.frontends else name in offer.frontend.vips)
        )
    return found


def homes(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> dict[tuple[str, str], str]:
    """The VIP by which clients reach a frontend: (frontend, the VIP its service names) → name of the VIP.

    A VIP that lists the frontend itself, on the same network role, goes before the one that the service names: so
    services are split over several VIPs (B7) and keep being known as "internal" and "external" to each other.
    """
    offered = offers(cluster, specs)
    found: dict[tuple[str, str], str] = {}
    for service in chosen_services(cluster, specs):
        for frontend in specs[service].frontends:
            for scope in frontend.vips:
                home = _home(cluster, offered, frontend, scope)
                if home:
                    found[frontend.name, scope] = home
    return found


def _home(cluster: Cluster, offered: Mapping[str, tuple[Offer, ...]], frontend: Frontend, scope: str) -> str:
    if scope not in cluster.vips:
        return ""
    role = vip_network(scope, cluster.vips[scope])
    having = [name for name, found in offered.items() if any(item.frontend == frontend for item in found)]
    near = [name for name in having if vip_network(name, cluster.vips[name]) == role]
    # Another VIP than the named one has it only by listing it.
    return next((name for name in near if name != scope), scope if scope in near else "")
