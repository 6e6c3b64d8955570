"""What a service is, apart from any cluster."""

from __future__ import annotations

from dataclasses import dataclass, field

from outlast.spec.file import Directory, File, Scalar
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Space, Step


@dataclass(frozen=True)
class Option:
    """A setting an operator may give under `options: <service>:` in the cluster file."""

    name: str
    default: Scalar
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Port:
    """A listener on the node's own address in `network` (a network role: control-data, management, tunnel)."""

    name: str
    number: int
    network: str = "control-data"


@dataclass(frozen=True)
class Frontend:
    """What the balancer offers for the service on VIPs.

    `port_name` names the Port its servers listen on; the VIP uses the same number unless `vip_port` is set.
    `check_path`/`check_statuses`: the application-level check; `check_says`: what the right service's body always has
    (no apostrophes); `check_port`: another port to ask (Galera's responder).
    `single`: one server at a time takes everything, the others are backups (Galera's writer).
    """

    name: str
    port_name: str
    vips: tuple[str, ...] = ("internal",)
    mode: str = "http"
    check_path: str = "/"
    check_statuses: tuple[int, ...] = (200,)
    check_says: str = ""
    check_port: int = 0
    balance: str = "roundrobin"
    single: bool = False
    vip_port: int = 0
    server_timeout: float = 90.0
    http_check: bool = True


@dataclass(frozen=True)
class CatalogueEntry:
    """One service in Keystone's catalogue; `path` follows the VIP's host and port (may hold %(project_id)s)."""

    name: str
    type: str
    frontend: str
    path: str = ""


@dataclass(frozen=True)
class ServiceSpec:
    """One service: classification (A2), where it runs, what it opens, what it needs others to keep for it.

    `roles`: node roles that get a member. `kind`: stateless or stateful. `mode`: active-active or active-passive.
    `quorum`: it needs a majority of its members, so an even or single member count is worth a warning.
    `after`: services of the same node whose start comes first (only order, health is asked by `needs`).
    `requires`: services that must be in the plan too.
    """

    name: str
    title: str
    kind: str
    mode: str
    roles: tuple[str, ...]
    packages: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    frontends: tuple[Frontend, ...] = ()
    databases: tuple[str, ...] = ()
    catalogue: tuple[CatalogueEntry, ...] = ()
    service_user: bool = False
    options: tuple[Option, ...] = ()
    quorum: bool = False
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemberSpec:
    """One service on one node, described in full: the node's agent needs nothing else to own it.

    `directories` are ensured before every start, `prepare` steps run before the programs start, `setup` steps after
    the member is healthy and only on the founder. `needs` must all answer before the programs start.
    `start` names how programs are started: "plain", or a recovery rule of the agent ("galera", …).
    `reload`: a command that makes the programs read files with on_change="reload" again.
    """

    service: str
    node: str
    files: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    programs: tuple[Program, ...] = ()
    prepare: tuple[Step, ...] = ()
    setup: tuple[Step, ...] = ()
    needs: tuple[Probe, ...] = ()
    probes: tuple[Probe, ...] = ()
    start: str = "plain"
    reload: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    space: Space | None = None
