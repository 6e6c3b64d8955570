"""The plan: where everything goes. A frozen value with pure look-ups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from outlast.spec.file import Scalar
from outlast.spec.service import CatalogueEntry, Frontend, ServiceSpec
from outlast.spec.timing import Timing

MANAGEMENT, CONTROL_DATA, TUNNEL, EXTERNAL = "management", "control-data", "tunnel", "external"
INTERFACES = {MANAGEMENT: "mgmt", CONTROL_DATA: "ctl", TUNNEL: "tun", EXTERNAL: "ext"}


@dataclass(frozen=True)
class PlannedNetwork:
    """A network role; two roles may share one network (control-data on management)."""

    role: str
    cidr: str
    prefix: int
    interface: str
    gateway: str = ""
    pool: tuple[str, str] | None = None


@dataclass(frozen=True)
class PlannedNode:
    """A node with its addresses by network role ("10.20.0.11")."""

    name: str
    index: int
    roles: tuple[str, ...]
    domain: str
    addresses: Mapping[str, str]
    ssh: str = ""


@dataclass(frozen=True)
class Member:
    """A service on a node. `index` counts the service's members; the founder (index 0) runs its setup steps."""

    service: str
    node: str
    index: int

    @property
    def founder(self) -> bool:
        return self.index == 0


@dataclass(frozen=True)
class PlannedVip:
    """A virtual address with its VRRP id and priority per endpoint node."""

    name: str
    address: str
    prefix: int
    network: str
    interface: str
    router_id: int
    priorities: Mapping[str, int]


@dataclass(frozen=True)
class PlannedFrontend:
    """A frontend on one VIP with its servers (node, address, port) in order of preference."""

    service: str
    frontend: Frontend
    vip: str
    address: str
    port: int
    servers: tuple[tuple[str, str, int], ...]
    check_port: int


@dataclass(frozen=True)
class Plan:
    """Everything that follows from the cluster file. Look-ups raise KeyError for names that are not in the plan."""

    cluster: str
    region: str
    timing: Timing
    recovery: str
    nodes: tuple[PlannedNode, ...]
    networks: Mapping[str, PlannedNetwork]
    vips: Mapping[str, PlannedVip]
    specs: Mapping[str, ServiceSpec]
    members: tuple[Member, ...]
    frontends: tuple[PlannedFrontend, ...]
    options: Mapping[str, Mapping[str, Scalar]]
    overrides: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Scalar]]]] = field(default_factory=dict)
    homes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    volume_mib: int = 4096
    userspace_datapath: bool = True

    @cached_property
    def node_by_name(self) -> Mapping[str, PlannedNode]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _members_by_service(self) -> Mapping[str, tuple[Member, ...]]:
        found: dict[str, list[Member]] = {name: [] for name in self.specs}
        for member in self.members:
            found[member.service].append(member)
        return {name: tuple(members) for name, members in found.items()}

    @cached_property
    def _members_by_node(self) -> Mapping[str, tuple[Member, ...]]:
        found: dict[str, list[Member]] = {node.name: [] for node in self.nodes}
        for member in self.members:
            found[member.node].append(member)
        return {name: tuple(members) for name, members in found.items()}

    def has(self, service: str) -> bool:
        """Whether the plan holds the service at all."""
        return bool(self._members_by_service.get(service))

    def members_of(self, service: str) -> tuple[Member, ...]:
        """Members of a service in order; empty when the service is not in the plan."""
        return self._members_by_service.get(service, ())

    def members_on(self, node: str) -> tuple[Member, ...]:
        """Members of a node in start order."""
        return self._members_by_node[node]

    def address(self, node: str, network: str = CONTROL_DATA) -> str:
        """A node's own address on a network role."""
        return self.node_by_name[node].addresses[network]

    def addresses(self, service: str, network: str = CONTROL_DATA) -> tuple[str, ...]:
        """The members' own addresses, in member order: only for a cluster's own peers, never for clients (B5)."""
        return tuple(self.address(member.node, network) for member in self.members_of(service))

    def port(self, service: str, name: str) -> int:
        """Number of a service's port."""
        return next(port.number for port in self.specs[service].ports if port.name == name)

    def option(self, service: str, name: str) -> Scalar:
        """An option's value: the operator's, or its default."""
        return self.options[service][name]

    @cached_property
    def _frontends_by_name(self) -> Mapping[tuple[str, str], PlannedFrontend]:
        return {(item.frontend.name, item.vip): item for item in self.frontends}

    def vip(self, frontend: str, vip: str = "internal") -> tuple[str, int]:
        """(address, port) by which clients reach a frontend: on the named VIP, or on the one that took it over (B7)."""
        found = self._frontends_by_name[(frontend, self.homes.get((frontend, vip), vip))]
        return found.address, found.port

    def url(self, frontend: str, vip: str = "internal", path: str = "") -> str:
        """http URL of a frontend on a VIP."""
        address, port = self.vip(frontend, vip)
        return f"http://{address}:{port}{path}"

    @property
    def catalogue(self) -> tuple[CatalogueEntry, ...]:
        """Catalogue entries of all services in the plan."""
        return tuple(entry for spec in self.specs.values() for entry in spec.catalogue)
