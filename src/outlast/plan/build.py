"""Cluster → Plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.plan.plan import (
    INTERFACES,
    Member,
    Plan,
    PlannedFrontend,
    PlannedNetwork,
    PlannedNode,
    PlannedVip,
)
from outlast.spec.service import ServiceSpec
from outlast.spec.timing import PROFILES, Timing


def plan(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> Plan:
    """Where everything goes. The cluster has passed the model's rules; nothing is checked again here."""
    chosen = _in_start_order(
        {
            name: replace(specs[name], ports=derive.effective_ports(specs[name], options))
            for name, options in derive.options(cluster, specs).items()
        }
    )
    addresses = derive.node_addresses(cluster)
    nodes = tuple(
        PlannedNode(
            name=name,
            index=index,
            roles=derive.expand_roles(node.roles),
            domain=node.domain or name,
            addresses=addresses[name],
            ssh=node.ssh,
        )
        for index, (name, node) in enumerate(cluster.nodes.items())
    )
    members = _members(nodes, chosen)
    networks = _networks(cluster)
    timing = PROFILES[cluster.profile]
    vips = _vips(cluster, networks, timing)
    return Plan(
        cluster=cluster.cluster,
        region=cluster.region,
        timing=timing,
        recovery=cluster.recovery,
        nodes=nodes,
        networks=networks,
        vips=vips,
        specs=chosen,
        members=members,
        frontends=_frontends(cluster, specs, chosen, members, addresses),
        options=derive.options(cluster, specs),
        overrides=cluster.overrides,
        homes=derive.homes(cluster, specs),
        volume_mib=cluster.lab.volume,
        # The lab's kernel has no openvswitch module to rely on; real hosts do.
        userspace_datapath=not any(node.ssh for node in nodes),
    )


def _in_start_order(specs: Mapping[str, ServiceSpec]) -> dict[str, ServiceSpec]:
    """Specs so that each comes behind everything in its `after` (ties keep the given order)."""
    ordered: dict[str, ServiceSpec] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in ordered or name not in specs:
            return
        if name in trail:
            raise ValueError(f"services wait for each other: {' → '.join((*trail, name))}")
        for earlier in specs[name].after:
            visit(earlier, (*trail, name))
        ordered[name] = specs[name]

    for name in specs:
        visit(name, ())
    return ordered


def _members(nodes: tuple[PlannedNode, ...], specs: Mapping[str, ServiceSpec]) -> tuple[Member, ...]:
    return tuple(
        Member(name, node, index)
        for name, spec in specs.items()
        for index, node in enumerate(node.name for node in nodes if set(spec.roles) & set(node.roles))
    )


def _networks(cluster: Cluster) -> dict[str, PlannedNetwork]:
    found = derive.networks(cluster)
    planned = {}
    for role, network in found.items():
        # A role that shares another's network shares its interface too.
        first = next(name for name, other in found.items() if other is network)
        planned[role] = PlannedNetwork(
            role=role,
            cidr=str(network.cidr),
            prefix=network.cidr.prefixlen,
            interface=network.interface or INTERFACES[first],
            gateway=str(network.gateway or ""),
            pool=(str(network.pool[0]), str(network.pool[1])) if network.pool else None,
        )
    return planned


def _vips(cluster: Cluster, networks: Mapping[str, PlannedNetwork], timing: Timing) -> dict[str, PlannedVip]:
    ids = derive.router_ids(cluster)
    planned = {}
    for name, vip in cluster.vips.items():
        network = networks[derive.vip_network(name, vip)]
        holders = derive.vip_nodes(cluster, name)
        planned[name] = PlannedVip(
            name=name,
            address=str(vip.address),
            prefix=network.prefix,
            network=network.role,
            interface=network.interface,
            router_id=ids[name],
            priorities={node: _priority(timing, rank) for rank, node in enumerate(holders)},
        )
    return planned


def _priority(timing: Timing, rank: int) -> int:
    """Spread priorities: close ones give two masters at short adverts (FACTS: 101/102/103 did, for 7 s)."""
    listed = timing.vrrp_priorities
    return listed[rank] if rank < len(listed) else max(1, listed[-1] - (rank - len(listed) + 1) * 5)


def _frontends(
    cluster: Cluster,
    specs: Mapping[str, ServiceSpec],
    chosen: Mapping[str, ServiceSpec],
    members: tuple[Member, ...],
    addresses: Mapping[str, Mapping[str, str]],
) -> tuple[PlannedFrontend, ...]:
    holders: dict[str, list[str]] = {name: [] for name in chosen}
    for member in members:
        holders[member.service].append(member.node)
    planned = []
    for vip, offered in derive.offers(cluster, specs).items():
        for offer in offered:
            port = next(port for port in chosen[offer.service].ports if port.name == offer.frontend.port_name)
            planned.append(
                PlannedFrontend(
                    service=offer.service,
                    frontend=offer.frontend,
                    vip=vip,
                    address=str(cluster.vips[vip].address),
                    port=offer.port,
                    servers=tuple(
                        (node, addresses[node][port.network], port.number) for node in holders[offer.service]
                    ),
                    check_port=offer.frontend.check_port or port.number,
                )
            )
    return tuple(planned)
