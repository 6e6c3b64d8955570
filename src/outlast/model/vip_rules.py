"""Rules about virtual addresses: where they are, who holds them, what answers on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.address_rules import Ground, reserved
from outlast.model.cluster import Cluster, Vip
from outlast.model.document import Path
from outlast.model.wording import meant, names
from outlast.spec.service import ServiceSpec

Specs = Mapping[str, ServiceSpec]


def vip_rules(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    """Everything about `vips:`."""
    ground = Ground(cluster)
    for name, vip in cluster.vips.items():
        yield from _address(ground, name, vip)
        yield from _nodes(cluster, name, vip)
        yield from _frontend_names(cluster, specs, name, vip)
    yield from _duplicates(cluster)
    yield from _router_ids(ground)
    yield from _offers(cluster, specs)


def _address(ground: Ground, name: str, vip: Vip) -> Iterator[Problem]:
    role = ground.segment(derive.vip_network(name, vip))
    network = ground.own[role]
    path: Path = ("vips", name, "address")
    holders = ground.nodes[role].get(vip.address, ())
    kind = reserved(network.cidr, vip.address)
    what = f"the virtual address {vip.address} of vips.{name}"
    if vip.address not in network.cidr:
        other = next((key for key, value in ground.own.items() if vip.address in value.cidr), "")
        hint = f"it belongs to networks.{other}" if other else "choose a free address of that network"
        sentence = f"{what} is outside of networks.{role} {network.cidr}"
        yield Problem("vip.outside-network", sentence, hint=hint, path=path)
    elif kind:
        sentence = f"{what} is the {kind} of networks.{role} {network.cidr}"
        yield Problem("address.reserved", sentence, hint="choose a free address of that network", path=path)
    elif vip.address == network.gateway:
        sentence = f"{what} is the gateway of networks.{role}"
        yield Problem("vip.taken", sentence, hint="choose a free address", path=path)
    elif holders:
        sentence = f"{what} is the own address of {names(holders)} in networks.{role}"
        yield Problem("vip.taken", sentence, hint="choose a free address, or give the node another number", path=path)


def _nodes(cluster: Cluster, name: str, vip: Vip) -> Iterator[Problem]:
    endpoints = frozenset(derive.nodes_with(cluster, ("endpoint",)))
    for position, node in enumerate(vip.nodes):
        path: Path = ("vips", name, "nodes", position)
        if node not in cluster.nodes:
            hint = meant(node, endpoints, "endpoint nodes")
            yield Problem("vip.unknown-node", f"vips.{name} names {node!r}, which is no node", hint=hint, path=path)
        elif node not in endpoints:
            sentence = f"vips.{name} names {node}, which has no endpoint role and can never hold it"
            yield Problem("vip.not-endpoint", sentence, hint=f"endpoint nodes: {names(sorted(endpoints))}", path=path)
        elif node in vip.nodes[:position]:
            yield Problem("vip.repeated-node", f"vips.{name} names {node} twice", hint="remove one", path=path)


def _frontend_names(cluster: Cluster, specs: Specs, name: str, vip: Vip) -> Iterator[Problem]:
    known = {frontend.name: spec.name for spec in specs.values() for frontend in spec.frontends}
    chosen = derive.chosen_services(cluster, specs) if vip.frontends else ()
    for position, frontend in enumerate(vip.frontends):
        path: Path = ("vips", name, "frontends", position)
        if frontend not in known:
            sentence = f"vips.{name} names the frontend {frontend!r}, which no service has"
            yield Problem("frontend.unknown", sentence, hint=meant(frontend, known, "frontends"), path=path)
        elif known[frontend] not in chosen:
            sentence = f"vips.{name} names the frontend {frontend}, but {known[frontend]} is not in this cluster"
            hint = "remove it or choose the service"
            yield Problem("frontend.absent", sentence, hint=hint, severity="warning", path=path)


def _duplicates(cluster: Cluster) -> Iterator[Problem]:
    first: dict[object, str] = {}
    for name, vip in cluster.vips.items():
        if vip.address in first:
            sentence = f"vips.{name} and vips.{first[vip.address]} have the same address {vip.address}"
            yield Problem("vip.duplicate", sentence, hint="every VIP needs its own", path=("vips", name, "address"))
        first.setdefault(vip.address, name)


def _router_ids(ground: Ground) -> Iterator[Problem]:
    holders: dict[tuple[str, int], list[str]] = defaultdict(list)
    vips = ground.cluster.vips
    for name, number in derive.router_ids(ground.cluster).items():
        holders[ground.segment(derive.vip_network(name, vips[name])), number].append(name)
    for (role, number), sharing in holders.items():
        if len(sharing) > 1:
            said = [name for name in sharing if vips[name].router_id is not None]
            yield Problem(
                "vrrp.duplicate-id",
                f"vips {names(sharing)} have the same VRRP id {number} in networks.{role}: their holders would fight",
                hint="remove router_id to have it derived, or choose another from 1 to 255",
                path=("vips", said[-1], "router_id") if said else ("vips", sharing[-1]),
            )


def _offers(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    """VIPs that are needed and missing, that are there for nothing, and frontends that no VIP offers."""
    wanted: dict[str, list[str]] = defaultdict(list)
    chosen = derive.chosen_services(cluster, specs)
    for service in chosen:
        for frontend in specs[service].frontends:
            for vip in frontend.vips:
                wanted[vip].append(frontend.name)
    endpoints = derive.nodes_with(cluster, ("endpoint",))
    balanced = any("endpoint" in specs[service].roles for service in chosen)
    if not endpoints and wanted and cluster.services is None and not balanced:
        yield Problem(
            "endpoint.missing",
            "no node has the endpoint role, so nobody balances the services and holds their virtual addresses",
            hint="give at least two nodes the role endpoint or controller",
            path=("nodes",),
        )
    # A few services by themselves, without a balancer, need no virtual address.
    if endpoints and balanced:
        yield from _missing(cluster, wanted)
        yield from _unoffered(cluster, specs, wanted)


def _missing(cluster: Cluster, wanted: Mapping[str, list[str]]) -> Iterator[Problem]:
    for vip, frontends in wanted.items():
        if vip not in cluster.vips:
            sentence = f"vips.{vip} is missing; {names(frontends)} must be reachable there"
            hint = f"add under vips: {vip}: {{address: …}}"
            yield Problem("vip.missing", sentence, hint=hint, path=("vips",))


def _unoffered(cluster: Cluster, specs: Specs, wanted: Mapping[str, list[str]]) -> Iterator[Problem]:
    for name, found in derive.offers(cluster, specs).items():
        if not found:
            yield Problem(
                "vip.unused",
                f"nothing answers on vips.{name}: no service asks for it and it names no frontend",
                hint="list its frontends, or remove it",
                severity="warning",
                path=("vips", name),
            )
    homes = derive.homes(cluster, specs)
    for vip in (name for name in cluster.vips if name in wanted):
        lost = [frontend for frontend in wanted[vip] if (frontend, vip) not in homes]
        if lost:
            yield Problem(
                "frontend.nowhere",
                f"{names(lost)} cannot be reached: vips.{vip} lists other frontends, no VIP of its network has"
                f" {'it' if len(lost) == 1 else 'them'}",
                hint=f"add {names(lost)} to the frontends of vips.{vip}, or of another VIP on that network",
                path=("vips", vip, "frontends"),
            )
