"""What a lab consists of: networks, nodes and their interfaces, as frozen values without I/O."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field

MARK = "ol-"
"""Start of every name that Outlast gives to something on the machine."""

KERNEL_NAME_LENGTH = 15
"""IFNAMSIZ without its final zero byte."""

SMALLEST_VOLUME_MIB = 16

_WORD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Interface:
    """One network card of a node. `offload=False` switches TX checksums off, as everything that feeds OVS needs."""

    name: str
    network: str
    address: str | None
    mac: str
    offload: bool = True

    def __post_init__(self) -> None:
        _link_name(self.name)
        if self.address is not None:
            ipaddress.ip_interface(self.address)


@dataclass(frozen=True)
class LabNode:
    name: str
    interfaces: tuple[Interface, ...]
    volume_mib: int
    default_gateway: str | None = None
    hosts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not _WORD.fullmatch(self.name) or len(self.name) > 63:
            raise ValueError(f"node name {self.name!r} is not a host name of small letters, digits and hyphens")
        if self.volume_mib < SMALLEST_VOLUME_MIB:
            raise ValueError(f"volume of node {self.name} needs at least {SMALLEST_VOLUME_MIB} MiB")
        _unique(f"interface of node {self.name}", [interface.name for interface in self.interfaces])


@dataclass(frozen=True)
class LabNetwork:
    """A layer-2 segment: a bridge inside the lab's own switch namespace."""

    name: str
    bridge: str

    def __post_init__(self) -> None:
        _link_name(self.bridge)


@dataclass(frozen=True)
class Topology:
    lab: str
    lab_id: str
    networks: tuple[LabNetwork, ...]
    nodes: tuple[LabNode, ...]
    sysctls: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{6}", self.lab_id):
            raise ValueError(f"lab id {self.lab_id!r} is not six hexadecimal digits")
        _unique("network", [network.name for network in self.networks])
        _unique("bridge", [network.bridge for network in self.networks])
        _unique("node", [node.name for node in self.nodes])
        known = {network.name for network in self.networks}
        for node in self.nodes:
            for interface in node.interfaces:
                if interface.network not in known:
                    raise ValueError(f"interface {node.name}/{interface.name}: no network named {interface.network}")
        for key, _ in self.sysctls:
            # Only net.* belongs to a network namespace; anything else would be the whole machine's.
            if not re.fullmatch(r"net(\.([a-z0-9_-]+|\*))+", key):
                raise ValueError(f"sysctl {key} does not belong to a network namespace")

    def node(self, name: str) -> LabNode:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def network(self, name: str) -> LabNetwork:
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)


def lab_id(lab: str, state_dir: str) -> str:
    """The ownership mark: labs of one name in two state directories are two labs."""
    return hashlib.sha256(f"{lab}\0{state_dir}".encode()).hexdigest()[:6]


def mac(lab_id: str, node: str, interface: str) -> str:
    """A locally administered unicast address, the same at every build of the lab."""
    digest = hashlib.sha256(f"{lab_id}\0{node}\0{interface}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def switch_namespace(lab_id: str) -> str:
    return f"{MARK}{lab_id}"


def node_namespace(lab_id: str, node: str) -> str:
    return f"{MARK}{lab_id}-{node}"


def bridge_name(network: str) -> str:
    return _fit(f"br-{network}")


def port_name(node: str, interface: str) -> str:
    """The bridge's end of a node's cable. It lives in the switch namespace, whose name carries the mark."""
    return _fit(f"{node}.{interface}")


def slow_name(node: str, interface: str) -> str:
    """The port that takes its place in the bridge while the cable is slow."""
    return _fit(f"slow-{node}.{interface}")


def host_link_name(lab_id: str, network_index: int) -> str:
    """The host's end of a cable into the lab: the only link that a lab may have in the host's namespace."""
    return f"{MARK}{lab_id}-h{network_index}"


def _fit(name: str) -> str:
    if len(name) <= KERNEL_NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:5]
    return f"{name[: KERNEL_NAME_LENGTH - 6]}-{digest}"


def _link_name(name: str) -> None:
    if not _LINK.fullmatch(name) or len(name) > KERNEL_NAME_LENGTH:
        raise ValueError(f"{name!r} cannot name a network link (letters and digits, at most {KERNEL_NAME_LENGTH})")


def _unique(what: str, names: list[str]) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{what} named twice: {', '.join(doubles)}")
