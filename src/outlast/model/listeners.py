"""Who listens where on every node, and the rule that no two may want the same place (B6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.model.document import Path
from outlast.model.wording import names
from outlast.spec.service import Port, ServiceSpec

Specs = Mapping[str, ServiceSpec]


@dataclass(frozen=True)
class Listener:
    """An address and TCP port with who listens there ("galera (port mysql)"), and where the file says so."""

    address: str
    port: int
    owner: str
    path: Path = ()


def listeners(cluster: Cluster, specs: Specs) -> dict[str, tuple[Listener, ...]]:
    """Every listener by node: ports of its services on its own addresses, frontends on the VIPs it may hold."""
    ports = _ports(cluster, specs)
    offered = _offered(cluster, specs)
    addresses = derive.node_addresses(cluster)
    wanted: dict[tuple[str, ...], list[tuple[str, Port, Path]]] = {}
    found: dict[str, tuple[Listener, ...]] = {}
    for name, node in cluster.nodes.items():
        if node.roles not in wanted:
            held = frozenset(derive.expand_roles(node.roles))
            wanted[node.roles] = [
                (service, port, path) for service, port, path in ports if not held.isdisjoint(specs[service].roles)
            ]
        own = addresses[name]
        found[name] = (
            *(
                Listener(own[port.network], port.number, f"{service} (port {port.name})", path)
                for service, port, path in wanted[node.roles]
                if port.network in own
            ),
            *offered.get(name, ()),
        )
    return found


def _ports(cluster: Cluster, specs: Specs) -> list[tuple[str, Port, Path]]:
    found: list[tuple[str, Port, Path]] = []
    for name, values in derive.options(cluster, specs).items():
        given = cluster.options.get(name, {})
        for position, port in enumerate(derive.effective_ports(specs[name], values)):
            option = derive.port_option(specs[name], position, values)
            found.append((name, port, ("options", name, option) if option in given else ()))
    return found


def _offered(cluster: Cluster, specs: Specs) -> dict[str, list[Listener]]:
    found: dict[str, list[Listener]] = defaultdict(list)
    for name, offers in derive.offers(cluster, specs).items():
        address = str(cluster.vips[name].address)
        for offer in offers:
            owner = f"the frontend {offer.frontend.name} on vips.{name}"
            listener = Listener(address, offer.port, owner, ("vips", name))
            for node in derive.vip_nodes(cluster, name):
                found[node].append(listener)
    return found


def listener_rules(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    """Ports out of range, and two listeners on one address and port of a node; a mistake is told once for all nodes."""
    for service, port, path in _ports(cluster, specs):
        if not 1 <= port.number <= 65535:
            sentence = f"port {port.name} of {service} is {port.number}"
            yield Problem("port.range", sentence, hint="expected 1 to 65535", path=path)
    clashes: dict[object, list[tuple[str, Listener, Listener]]] = defaultdict(list)
    for node, found in listeners(cluster, specs).items():
        first: dict[tuple[str, int], Listener] = {}
        for listener in found:
            place = (listener.address, listener.port)
            if place in first:
                other = first[place]
                # A VIP in the wrong place clashes on every port: that is one mistake.
                mistake = listener.path if listener.path[:1] == ("vips",) else (other.owner, listener.owner)
                clashes[mistake].append((node, other, listener))
            first.setdefault(place, listener)
    for places in clashes.values():
        yield _clash(places)


def _clash(places: list[tuple[str, Listener, Listener]]) -> Problem:
    _, other, listener = places[0]
    nodes = names(dict.fromkeys(node for node, _, _ in places))
    more = len({found.port for _, _, found in places}) - 1
    also = f", and so on for {more} more port{'s' if more > 1 else ''}" if more else ""
    return Problem(
        "listener.clash",
        f"{other.owner} and {listener.owner} both want {listener.address}:{listener.port} on {nodes}{also}",
        hint="give one of them another port or address",
        path=listener.path or other.path,
    )
