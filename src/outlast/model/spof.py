"""Single points of failure that a cluster file leaves: warnings that name the nodes and the consequence (A4, A5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.model.document import Path
from outlast.model.wording import names
from outlast.spec.service import ServiceSpec

Specs = Mapping[str, ServiceSpec]

# Chassis are judged by what tenants lose, not service by service; so are endpoints and storage.
_OWN_RULES = frozenset({"endpoint", "network", "compute", "storage"})


def single_points(cluster: Cluster, specs: Specs) -> tuple[Problem, ...]:
    """Every single point of failure, as warnings with paths."""
    machines = [name for name, node in cluster.nodes.items() if set(node.roles) != {"client"}]
    if len(machines) == 1:
        sentence = f"{machines[0]} is the only node: when it stops, everything stops"
        return (
            _warn("spof.single-node", sentence, "high availability begins with three nodes", ("nodes", machines[0])),
        )
    chosen = {name: specs[name] for name in derive.chosen_services(cluster, specs)}
    roles = {role for spec in chosen.values() for role in spec.roles}
    found = [*_services(cluster, chosen)]
    if "endpoint" in roles:
        found.extend(_endpoints(cluster))
    if "network" in roles:
        found.extend(_gateways(cluster))
    if "compute" in roles:
        found.extend(_computes(cluster))
    if "storage" in roles:
        found.extend(_storage(cluster))
    return tuple(found)


def _domains(cluster: Cluster, members: tuple[str, ...]) -> Counter[str]:
    return Counter(cluster.nodes[name].domain or name for name in members)


def _warn(code: str, sentence: str, hint: str, path: Path) -> Problem:
    return Problem(code, sentence, hint=hint, severity="warning", path=path)


def _services(cluster: Cluster, chosen: Specs) -> Iterator[Problem]:
    """Services with the same members are told together; what they lose differs by needing a majority or not."""
    groups: dict[tuple[tuple[str, ...], bool], list[str]] = defaultdict(list)
    for name, spec in chosen.items():
        if spec.quorum or not _OWN_RULES.issuperset(spec.roles):
            members = derive.nodes_with(cluster, spec.roles)
            groups[members, spec.quorum and len(members) > 1].append(name)
    for (members, quorum), services in groups.items():
        if len(members) == 1:
            who = f"{names(services)} {'runs' if len(services) == 1 else 'run'} on {members[0]} only"
            sentence = f"{who}: when it stops, so does the service"
            hint = "give the role to three nodes"
            yield _warn("spof.single-member", sentence, hint, ("nodes", members[0]))
        elif quorum:
            yield from _majority_in_domain(cluster, members, services)
        elif members:
            yield from _all_in_domain(cluster, members, services)


def _majority_in_domain(cluster: Cluster, members: tuple[str, ...], services: list[str]) -> Iterator[Problem]:
    majority = len(members) // 2 + 1
    for domain, held in _domains(cluster, members).items():
        if held > 1 and len(members) - held < majority:
            inside = _inside(cluster, members, domain)
            sentence = (
                f"{len(inside)} of {len(members)} members of {names(services)} are in the failure domain {domain!r}"
                f" ({names(inside)}): its loss takes the majority, and the service stops"
            )
            hint = "spread the members so that no domain holds half of them"
            yield _warn("spof.domain-quorum", sentence, hint, _domain_path(cluster, inside[0]))


def _all_in_domain(cluster: Cluster, members: tuple[str, ...], services: list[str]) -> Iterator[Problem]:
    domain = _only_domain(cluster, members)
    if domain:
        sentence = f"all members of {names(services)} ({names(members)}) are in the failure domain {domain!r}"
        hint = "spread them over two domains at least"
        yield _warn("spof.domain", f"{sentence}: its loss stops them all", hint, _domain_path(cluster, members[0]))


def _only_domain(cluster: Cluster, members: tuple[str, ...]) -> str:
    """The one domain that holds all of several members, or ""."""
    found = _domains(cluster, members)
    return next(iter(found)) if len(members) > 1 and len(found) == 1 else ""


def _inside(cluster: Cluster, members: tuple[str, ...], domain: str) -> tuple[str, ...]:
    return tuple(name for name in members if (cluster.nodes[name].domain or name) == domain)


def _domain_path(cluster: Cluster, node: str) -> Path:
    return ("nodes", node) if cluster.nodes[node].domain is None else ("nodes", node, "domain")


def _endpoints(cluster: Cluster) -> Iterator[Problem]:
    members = derive.nodes_with(cluster, ("endpoint",))
    if len(members) == 1:
        vips = " and ".join(f"vips.{name}" for name in cluster.vips) or "every address"
        sentence = f"{members[0]} is the only endpoint node: when it stops, nobody holds {vips} and no API answers"
        yield _warn("spof.single-endpoint", sentence, "add a second endpoint node", ("nodes", members[0]))
        return
    domain = _only_domain(cluster, members)
    if domain:
        sentence = (
            f"all endpoint nodes ({names(members)}) are in the failure domain {domain!r}: its loss takes every VIP"
        )
        hint = "put an endpoint node into another domain"
        yield _warn("spof.endpoint-domain", sentence, hint, _domain_path(cluster, members[0]))
    for name in cluster.vips:
        holders = derive.vip_nodes(cluster, name)
        if len(holders) == 1:
            sentence = f"only {holders[0]} may hold vips.{name}: when it stops, that address is gone"
            hint = "list a second endpoint node, or none for all"
            yield _warn("spof.single-vip-node", sentence, hint, ("vips", name, "nodes"))


def _gateways(cluster: Cluster) -> Iterator[Problem]:
    members = derive.nodes_with(cluster, ("network",))
    hint = "give the role network to three nodes"
    if len(members) == 1:
        sentence = f"{members[0]} is the only gateway: when it stops, no virtual machine reaches the external network"
        yield _warn("spof.single-gateway", sentence, hint, ("nodes", members[0]))
    elif len(members) == 2:
        sentence = (
            f"{names(members)} are the only gateways: of two, the survivor sees no living peer, thinks itself cut off"
            " and does not take over"
        )
        yield _warn("spof.gateway-pair", sentence, hint, ("nodes", members[-1]))
    domain = _only_domain(cluster, members)
    if domain:
        sentence = f"all gateways ({names(members)}) are in the failure domain {domain!r}"
        sentence += ": its loss cuts virtual machines off from the external network"
        hint = "put gateways into three domains"
        yield _warn("spof.gateway-domain", sentence, hint, _domain_path(cluster, members[0]))


def _computes(cluster: Cluster) -> Iterator[Problem]:
    members = derive.nodes_with(cluster, ("compute",))
    if len(members) == 1:
        sentence = f"{members[0]} is the only compute node: when it stops, no virtual machine runs and none can start"
        yield _warn("spof.single-compute", sentence, "add a second compute node", ("nodes", members[0]))


def _storage(cluster: Cluster) -> Iterator[Problem]:
    members = derive.nodes_with(cluster, ("storage",))
    count = len(_domains(cluster, members))
    if members and count < 3:
        sentence = (
            f"storage ({names(members)}) is in {count} failure domain{'s' if count > 1 else ''}: with fewer than three,"
            " losing one takes most copies of some objects, and writing stops"
        )
        hint = "put storage nodes into three domains"
        yield _warn("spof.storage-domains", sentence, hint, _domain_path(cluster, members[0]))
