"""What the operator asked for, as frozen values. Loading, rules and schema live beside it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Role = Literal["endpoint", "service", "sdn", "storage", "network", "compute", "client", "controller"]
Scalar = str | int | float | bool

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"


def _not_a_number(value: object) -> object:
    # The ipaddress module reads 5 as 0.0.0.5; in a file that is always a slip.
    if isinstance(value, int | float):
        raise ValueError("a number is not an address")
    return value


Address = Annotated[IPv4Address, BeforeValidator(_not_a_number)]
Range = Annotated[IPv4Network, BeforeValidator(_not_a_number)]
Whole = Annotated[int, Field(strict=True)]
Seconds = Annotated[float, Field(strict=True, ge=0)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Network(_Value):
    """One network. Nodes take an address in it unless it is the external one (only the client has one there)."""

    cidr: Range = Field(description="Address range of the network, such as 10.20.0.0/24.")
    gateway: Address | None = Field(None, description="Router of this network; only the external network needs one.")
    pool: tuple[Address, Address] | None = Field(
        None, description="First and last floating address that `demo` may hand out (external network)."
    )
    interface: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,15}$",
        description="Name of the node's interface, 15 characters at most. Default: the network's short name.",
    )


class Networks(_Value):
    """The cluster's networks by purpose."""

    management: Network = Field(description="Users and operators: external VIP, agents.")
    control_data: Network | None = Field(
        None,
        alias="control-data",
        description="Service to service: internal VIP, databases, messages. Default: management.",
    )
    tunnel: Network | None = Field(None, description="Tenant tunnels. Required with the userspace datapath (the lab).")
    external: Network | None = Field(None, description="Provider network of floating addresses.")


class Vip(_Value):
    """A virtual address, held by one of the endpoint nodes at a time."""

    address: Address = Field(description="The address clients use.")
    network: Literal["management", "control-data"] | None = Field(
        None, description="Network of the address. Default: management for `external`, control-data for every other."
    )
    router_id: Whole | None = Field(
        None, ge=1, le=255, description="VRRP id, unique on the network. Default: derived from the cluster's name."
    )
    nodes: tuple[str, ...] = Field((), description="Endpoint nodes in order of preference. Default: all.")
    frontends: tuple[str, ...] = Field(
        (), description="Only these frontends answer on it. Default: as the services say."
    )


class Node(_Value):
    """One machine, real or in the lab."""

    roles: tuple[Role, ...] = Field(
        min_length=1, description="What it does; `controller` means endpoint, service, sdn and storage."
    )
    number: Whole | None = Field(
        None, ge=1, le=65000, description="Its host number in every network. Default: 11, 12, … in file order."
    )
    domain: str | None = Field(
        None, min_length=1, description="Failure domain: rack, room or physical host. Default: the node itself."
    )
    addresses: dict[str, Address] = Field(
        default_factory=dict, description="Addresses by network role, instead of the number."
    )
    ssh: str = Field(
        "",
        pattern=r"^([^@\s]+@[^@\s:]+(:[0-9]{1,5})?)?$",
        description="user@host or user@host:port of a real host; empty in the lab.",
    )


class Lab(_Value):
    """Sizes of the lab's nodes."""

    volume: Whole = Field(4096, ge=256, description="Size of a node's volume in MiB (sparse).")


class Budgets(_Value):
    """Seconds that a fault may last in the predicted worst case (`outlast check` prints it)."""

    api_killed: Seconds | None = Field(
        None, alias="api-killed", description="An API's process is killed: out of the balancer, under load."
    )
    api_hung: Seconds | None = Field(None, alias="api-hung", description="An API hangs: out of the balancer.")
    api_wrong: Seconds | None = Field(
        None, alias="api-wrong", description="An API answers 500: out of the balancer, under load."
    )
    node: Seconds | None = Field(
        None, description="A node loses power: its servers are out of the balancer, under load."
    )
    haproxy: Seconds | None = Field(
        None, description="A balancer is killed or hangs: it serves again, or its VIP went."
    )
    vip: Seconds | None = Field(None, description="The holder of a VIP is gone: another node has it.")
    database: Seconds | None = Field(
        None, description="The database's writer is gone or hangs: the others commit, the balancer has moved."
    )
    broker: Seconds | None = Field(None, description="A broker's node is gone: its queues have new leaders.")
    broker_nodes: Seconds | None = Field(
        None, alias="broker-nodes", description="A broker's node is gone: the other brokers gave up its connections."
    )
    broker_clients: Seconds | None = Field(
        None, alias="broker-clients", description="A broker's node is gone: its clients noticed and moved."
    )
    tcp: Seconds | None = Field(None, description="A peer of the balancer vanished: its connections are given up.")
    tcp_others: Seconds | None = Field(
        None, alias="tcp-others", description="A peer vanished: the kernel gives up a program's own connections."
    )
    memcached: Seconds | None = Field(None, description="A cache's node is gone: what it may cost one request.")
    rpc: Seconds | None = Field(None, description="The answer to a call between programs is lost: the caller gives up.")
    ovn: Seconds | None = Field(None, description="The leader of an OVN database is gone: another one is elected.")
    ovn_clients: Seconds | None = Field(
        None, alias="ovn-clients", description="A member of an OVN database vanished: its clients noticed and moved."
    )
    gateway: Seconds | None = Field(None, description="A gateway is gone: its routers are on another one.")
    compute: Seconds | None = Field(None, description="A compute node is gone: Nova counts it as down.")
    zookeeper: Seconds | None = Field(None, description="ZooKeeper's leader is gone: its followers noticed.")

    def given(self) -> dict[str, float]:
        """Seconds by name, of those that the file gives."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Cluster(_Value):
    """The whole cluster file."""

    cluster: str = Field(
        pattern=NAME_PATTERN,
        description="Name of the cluster: a lower-case letter, then up to 30 lower-case letters, digits and hyphens.",
    )
    region: str = Field("RegionOne", min_length=1, description="OpenStack region.")
    profile: Literal["outlast", "kolla", "classic"] = Field("outlast", description="Timing profile.")
    recovery: Literal["safe", "majority"] = Field(
        "safe", description="After total power loss: wait for every member of the last view, or accept a majority."
    )
    networks: Networks = Field(description="The cluster's networks by purpose.")
    vips: dict[str, Vip] = Field(default_factory=dict, description="`external` and `internal`, and any more.")
    nodes: dict[str, Node] = Field(min_length=1, description="All machines of the cluster by name.")
    services: tuple[str, ...] | None = Field(
        None,
        description="Only these services, and what they require. Default: every service whose roles a node holds.",
    )
    options: dict[str, dict[str, Scalar]] = Field(default_factory=dict, description="Options per service.")
    overrides: dict[str, dict[str, dict[str, dict[str, Scalar]]]] = Field(
        default_factory=dict, description="Raw settings: service, file, section, key."
    )
    budgets: Budgets = Field(
        default_factory=lambda: Budgets(),
        description="Longest times until faults are masked; slower settings are refused.",
    )
    lab: Lab = Field(default_factory=lambda: Lab(), description="Sizes of the lab's nodes.")
