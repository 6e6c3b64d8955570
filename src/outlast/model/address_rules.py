"""Rules about networks and the addresses of nodes in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.cluster import Cluster, Network
from outlast.model.document import Path
from outlast.model.wording import meant, names


@dataclass(frozen=True)
class Ground:
    """What address rules look at, computed once."""

    cluster: Cluster

    @cached_property
    def own(self) -> dict[str, Network]:
        """Networks that the file defines, by role (control-data only when it is a network of its own)."""
        found = derive.networks(self.cluster)
        if self.cluster.networks.control_data is None:
            del found[derive.CONTROL_DATA]
        return found

    @cached_property
    def nodes(self) -> dict[str, dict[IPv4Address, tuple[str, ...]]]:
        """Nodes by address, by network that the file defines."""
        found: dict[str, dict[IPv4Address, list[str]]] = {role: defaultdict(list) for role in self.own}
        for name, addresses in derive.node_addresses(self.cluster).items():
            for role in addresses.keys() & self.own.keys():
                found[role][IPv4Address(addresses[role])].append(name)
        return {role: {at: tuple(who) for at, who in held.items()} for role, held in found.items()}

    def segment(self, role: str) -> str:
        """The network behind a role: management for control-data when that has none of its own."""
        return role if role in self.own else derive.MANAGEMENT


def address_rules(cluster: Cluster) -> Iterator[Problem]:
    """Networks that overlap or are too small, gateways and pools out of place, node addresses that cannot be."""
    ground = Ground(cluster)
    yield from _overlaps(ground)
    told: set[str] = set()
    for role, network in ground.own.items():
        yield from _size(role, network)
        yield from _gateway(role, network)
        yield from _pool(ground, role, network)
        yield from _node_addresses(ground, role, network)
        yield from _numbers_beyond(ground, role, network, told)
    yield from _numbers(ground)
    yield from _given(ground)


def reserved(network: IPv4Network, address: IPv4Address) -> str:
    """What an address is that no machine may have: "network address", "broadcast address", or ""."""
    if address == network.network_address:
        return "network address"
    return "broadcast address" if address == network.broadcast_address else ""


def _overlaps(ground: Ground) -> Iterator[Problem]:
    roles = list(ground.own)
    for position, role in enumerate(roles):
        for other in roles[:position]:
            if ground.own[role].cidr.overlaps(ground.own[other].cidr):
                yield Problem(
                    "network.overlap",
                    f"networks.{role} {ground.own[role].cidr} overlaps networks.{other} {ground.own[other].cidr}",
                    hint="give each network a range of its own; without control-data, management serves both",
                    path=("networks", role, "cidr"),
                )
    interfaces = [(ground.own[role].interface, role) for role in roles if ground.own[role].interface]
    for position, (interface, role) in enumerate(interfaces):
        if interface in [used for used, _ in interfaces[:position]]:
            yield Problem(
                "interface.duplicate",
                f"networks.{role} uses the interface {interface!r} of another network",
                hint="every network needs an interface of its own (a VLAN interface will do)",
                path=("networks", role, "interface"),
            )


def _size(role: str, network: Network) -> Iterator[Problem]:
    if network.cidr.prefixlen > 29:
        yield Problem(
            "network.too-small",
            f"networks.{role} {network.cidr} has room for {max(0, network.cidr.num_addresses - 2)} machines",
            hint="expected /29 or larger: nodes, virtual addresses and a gateway need room",
            path=("networks", role, "cidr"),
        )


def _gateway(role: str, network: Network) -> Iterator[Problem]:
    path: Path = ("networks", role, "gateway")
    if network.gateway is None:
        if role == derive.EXTERNAL:
            yield Problem(
                "gateway.missing",
                "networks.external has no gateway, so nothing behind floating addresses can reach beyond that network",
                hint="add the gateway of the provider network",
                severity="warning",
                path=("networks", role),
            )
    elif network.gateway not in network.cidr:
        yield Problem(
            "gateway.outside-network",
            f"the gateway {network.gateway} is outside of networks.{role} {network.cidr}",
            hint="a gateway is a neighbour of the nodes",
            path=path,
        )
    elif kind := reserved(network.cidr, network.gateway):
        yield _reserved(f"the gateway {network.gateway}", kind, role, network, path)


def _reserved(what: str, kind: str, role: str, network: Network, path: Path) -> Problem:
    hosts = f"{network.cidr.network_address + 1} to {network.cidr.broadcast_address - 1}"
    sentence = f"{what} is the {kind} of networks.{role} {network.cidr}"
    return Problem("address.reserved", sentence, hint=f"machines may have {hosts}", path=path)


def _pool(ground: Ground, role: str, network: Network) -> Iterator[Problem]:
    if network.pool is None:
        return
    path: Path = ("networks", role, "pool")
    first, last = network.pool
    if role != derive.EXTERNAL:
        sentence = f"the pool of networks.{role} is never used; floating addresses come from networks.external"
        yield Problem("pool.unused", sentence, hint="move it there or remove it", severity="warning", path=path)
    elif first > last:
        sentence = f"the pool begins at {first}, behind its end {last}"
        yield Problem("pool.reversed", sentence, hint=f"write [{last}, {first}]", path=path)
    elif first not in network.cidr or last not in network.cidr:
        sentence = f"the pool {first} to {last} is not inside of networks.external {network.cidr}"
        yield Problem("pool.outside-network", sentence, hint="floating addresses belong to that network", path=path)
    else:
        yield from _pool_collisions(ground, first, last)


def _pool_collisions(ground: Ground, first: IPv4Address, last: IPv4Address) -> Iterator[Problem]:
    network = ground.own[derive.EXTERNAL]
    ends = (network.cidr.network_address, network.cidr.broadcast_address)
    inside = [f"{at} (the {reserved(network.cidr, at)})" for at in ends if first <= at <= last]
    if network.gateway is not None and first <= network.gateway <= last:
        inside.append(f"{network.gateway} (the gateway)")
    for address, holders in ground.nodes[derive.EXTERNAL].items():
        if first <= address <= last:
            inside.append(f"{address} ({names(holders)})")
    if inside:
        yield Problem(
            "pool.collision",
            f"the pool {first} to {last} of floating addresses holds {names(inside)}",
            hint="shorten the pool; floating addresses must be free",
            path=("networks", derive.EXTERNAL, "pool"),
        )


def _node_addresses(ground: Ground, role: str, network: Network) -> Iterator[Problem]:
    numbers = derive.node_numbers(ground.cluster)
    for address, holders in ground.nodes[role].items():
        given = [name for name in holders if derive.given_address(ground.cluster, ground.cluster.nodes[name], role)]
        counted = [name for name in holders if name not in given]
        yield from _given_address(ground, role, address, given)
        # Two nodes with one number are told once, by number.
        if len(holders) > 1 and (given or len({numbers[name] for name in counted}) > 1):
            yield _duplicate(ground, role, address, holders)
        if address == network.gateway:
            yield Problem(
                "address.duplicate",
                f"{holders[0]} has the address {address} of the gateway of networks.{role}",
                hint="give the node another number or address",
                path=_address_path(ground, holders[0], role),
            )


def _numbers_beyond(ground: Ground, role: str, network: Network, told: set[str]) -> Iterator[Problem]:
    """Nodes whose number the network has no address for; each is told of one network only (`told` grows)."""
    numbers = derive.node_numbers(ground.cluster)
    last = network.cidr.num_addresses - 2
    beyond = [
        name
        for holders in ground.nodes[role].values()
        for name in holders
        if numbers[name] > last
        and name not in told
        and not derive.given_address(ground.cluster, ground.cluster.nodes[name], role)
    ]
    told.update(beyond)
    if beyond:
        yield Problem(
            "number.too-large",
            f"networks.{role} {network.cidr} ends at number {last}; beyond it: {names(beyond)}"
            f" ({beyond[0]} has number {numbers[beyond[0]]})",
            hint="enlarge the network or give smaller numbers",
            path=_address_path(ground, beyond[0], role),
        )


def _given_address(ground: Ground, role: str, address: IPv4Address, given: list[str]) -> Iterator[Problem]:
    network = ground.own[role]
    for name in given:
        path = _address_path(ground, name, role)
        if address not in network.cidr:
            sentence = f"the address {address} of {name} is outside of networks.{role} {network.cidr}"
            yield Problem("address.outside-network", sentence, hint="expected an address of that network", path=path)
        elif kind := reserved(network.cidr, address):
            yield _reserved(f"the address {address} of {name}", kind, role, network, path)


def _duplicate(ground: Ground, role: str, address: IPv4Address, holders: tuple[str, ...]) -> Problem:
    return Problem(
        "address.duplicate",
        f"{names(holders)} have the same address {address} in networks.{role}",
        hint="give each its own number or address",
        path=_address_path(ground, holders[-1], role),
    )


def _address_path(ground: Ground, name: str, role: str) -> Path:
    """Where the file says it: the address, the number, or the node."""
    node = ground.cluster.nodes[name]
    for key in (role, derive.MANAGEMENT if ground.segment(derive.CONTROL_DATA) == role else role):
        if key in node.addresses:
            return ("nodes", name, "addresses", key)
    return ("nodes", name) if node.number is None else ("nodes", name, "number")


def _numbers(ground: Ground) -> Iterator[Problem]:
    """Numbers that several nodes share, unless all of them have addresses of their own everywhere."""
    holders: dict[int, list[str]] = defaultdict(list)
    for name, number in derive.node_numbers(ground.cluster).items():
        node = ground.cluster.nodes[name]
        used = derive.node_networks(node.roles, ground.own)
        if not all(derive.given_address(ground.cluster, node, role) for role in used):
            holders[number].append(name)
    for number, sharing in holders.items():
        if len(sharing) > 1:
            said = [name for name in sharing if ground.cluster.nodes[name].number is not None]
            yield Problem(
                "number.duplicate",
                f"{names(sharing)} have the same number {number}",
                hint="numbers are unique; without one, a node gets 11 plus its position in the file",
                path=("nodes", said[-1], "number") if said else ("nodes", sharing[-1]),
            )


def _given(ground: Ground) -> Iterator[Problem]:
    """Addresses given for networks that do not exist, or in which the node has no place."""
    present = derive.networks(ground.cluster)
    for name, node in ground.cluster.nodes.items():
        used = derive.node_networks(node.roles, present)
        for role in node.addresses:
            path: Path = ("nodes", name, "addresses", role)
            if role not in present:
                sentence = f"{name} has an address in the network {role!r}, which the file does not define"
                yield Problem("address.unknown-network", sentence, hint=meant(role, present, "networks"), path=path)
            elif role not in used:
                sentence = f"the address of {name} in networks.{role} is never used: its roles have no place there"
                yield Problem("address.unused", sentence, hint="remove it", severity="warning", path=path)
