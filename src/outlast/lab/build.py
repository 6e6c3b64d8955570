"""Plan → Topology. Pure."""

from __future__ import annotations

from outlast.lab.topology import Interface, LabNetwork, LabNode, Topology, bridge_name, lab_id, mac
from outlast.plan.kernel import SYSCTLS
from outlast.plan.plan import CONTROL_DATA, EXTERNAL, MANAGEMENT, TUNNEL, Plan, PlannedNode


def topology(plan: Plan, state_dir: str) -> Topology:
    """The plan's nodes as a lab of this machine. Roles that share a network share its bridge."""
    mark = lab_id(plan.cluster, state_dir)
    segments = {network.interface: network.role for network in reversed(tuple(plan.networks.values()))}
    hosts = tuple((node.addresses.get(CONTROL_DATA, node.addresses[MANAGEMENT]), node.name) for node in plan.nodes)
    return Topology(
        lab=plan.cluster,
        lab_id=mark,
        networks=tuple(LabNetwork(role, bridge_name(role)) for role in sorted(segments.values())),
        nodes=tuple(_node(plan, node, mark, segments, hosts) for node in plan.nodes),
        sysctls=SYSCTLS,
    )


def _node(
    plan: Plan, node: PlannedNode, mark: str, segments: dict[str, str], hosts: tuple[tuple[str, str], ...]
) -> LabNode:
    interfaces = []
    for name, role in sorted(segments.items()):
        if not _connected(node, role):
            continue
        # Open vSwitch takes the tunnel's and the external interface over, with their addresses.
        switched = role in (TUNNEL, EXTERNAL) and "client" not in node.roles
        address = None if switched else f"{node.addresses[role]}/{plan.networks[role].prefix}"
        # Whoever sends into the userspace switch must compute its own checksums, the client outside too.
        offload = role not in (TUNNEL, EXTERNAL)
        interfaces.append(Interface(name, role, address, mac(mark, node.name, name), offload=offload))
    return LabNode(
        name=node.name,
        interfaces=tuple(interfaces),
        volume_mib=plan.volume_mib,
        hosts=tuple(entry for entry in hosts),
    )


def _connected(node: PlannedNode, role: str) -> bool:
    if role == EXTERNAL:
        return not {"client", "network", "compute"}.isdisjoint(node.roles)
    return role in node.addresses
