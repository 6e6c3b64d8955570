"""What the operator asked for, as frozen values. Loading, rules and schema live beside it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["endpoint", "service", "sdn", "storage", "network", "compute", "client", "controller"]
Scalar = str | int | float | bool


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Network(_Value):
    """One network. Nodes take an address in it unless it is the external one (only the client has one there)."""

    cidr: IPv4Network = Field(description="Address range of the network, such as 10.20.0.0/24.")
    gateway: IPv4Address | None = Field(None, description="Router of this network; only the external network needs one.")
    pool: tuple[IPv4Address, IPv4Address] | None = Field(
        None, description="First and last floating address that `demo` may hand out (external network)."
    )
    interface: str = Field("", description="Name of the node's interface; default: the network's short name.")


class Networks(_Value):
    """The cluster's networks by purpose."""

    management: Network = Field(description="Users and operators: external VIP, agents.")
    control_data: Network | None = Field(
        None, alias="control-data", description="Service to service: internal VIP, databases, messages. Default: management."
    )
    tunnel: Network | None = Field(None, description="Tenant tunnels. Required with the userspace datapath (the lab).")
    external: Network | None = Field(None, description="Provider network of floating addresses.")


class Vip(_Value):
    """A virtual address, held by one of the endpoint nodes at a time."""

    address: IPv4Address = Field(description="The address clients use.")
    network: Literal["management", "control-data"] | None = Field(
        None, description="Default: management for `external`, control-data for every other."
    )
    router_id: int | None = Field(
        None, ge=1, le=255, description="VRRP id, unique on the network. Default: derived from the cluster's name."
    )
    nodes: tuple[str, ...] = Field((), description="Endpoint nodes in order of preference. Default: all.")
    frontends: tuple[str, ...] = Field((), description="Only these frontends answer on it. Default: as the services say.")


class Node(_Value):
    """One machine, real or in the lab."""

    roles: tuple[Role, ...] = Field(description="What it does; `controller` means endpoint, service, sdn and storage.")
    number: int | None = Field(
        None, ge=1, le=65000, description="Its host number in every network. Default: 11, 12, … in file order."
    )
    domain: str | None = Field(None, description="Failure domain: rack, room or physical host. Default: the node itself.")
    addresses: dict[str, IPv4Address] = Field(default_factory=dict, description="Addresses by network, instead of number.")
    ssh: str = Field("", description="user@host[:port] of a real host; empty in the lab.")


class Lab(_Value):
    """Sizes of the lab's nodes."""

    volume: int = Field(4096, ge=256, description="Size of a node's volume in MiB (sparse).")


class Cluster(_Value):
    """The whole cluster file."""

    cluster: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="Name of the cluster.")
    region: str = Field("RegionOne", description="OpenStack region.")
    profile: Literal["outlast", "kolla", "classic"] = Field("outlast", description="Timing profile.")
    recovery: Literal["safe", "majority"] = Field(
        "safe", description="After total power loss: wait for every member of the last view, or accept a majority."
    )
    networks: Networks
    vips: dict[str, Vip] = Field(default_factory=dict, description="`external` and `internal`, and any more.")
    nodes: dict[str, Node]
    services: tuple[str, ...] | None = Field(None, description="Only these services (and what they require). Default: all.")
    options: dict[str, dict[str, Scalar]] = Field(default_factory=dict, description="Options per service.")
    overrides: dict[str, dict[str, dict[str, dict[str, Scalar]]]] = Field(
        default_factory=dict, description="Raw settings: service, file, section, key."
    )
    lab: Lab = Field(default_factory=lambda: Lab())
