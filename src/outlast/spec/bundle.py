"""What a node is handed: everything its agent needs to own its members. JSON on the wire, by msgspec."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from outlast.spec.file import Directory
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Space, Step

FORMAT = 1


@dataclass(frozen=True)
class BundleFile:
    """A file as text, secrets filled in. `digest` covers what a restart depends on (never a `once` file's content)."""

    path: str
    text: str
    mode: int
    owner: str
    group: str
    on_change: str
    once: bool
    digest: str


@dataclass(frozen=True)
class BundleMember:
    """A member as its agent sees it.

    `quorum`: it needs a majority of its members, which the services of the bundle's peers tell.
    `restart_digest` changes whenever the programs must be restarted, `reload_digest` when a reload is enough.
    """

    service: str
    index: int
    files: tuple[BundleFile, ...]
    directories: tuple[Directory, ...]
    programs: tuple[Program, ...]
    prepare: tuple[Step, ...]
    setup: tuple[Step, ...]
    needs: tuple[Probe, ...]
    probes: tuple[Probe, ...]
    start: str
    reload: tuple[str, ...]
    restart_digest: str
    reload_digest: str
    after: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    quorum: bool = False
    space: Space | None = None

    @property
    def leaves(self) -> bool:
        """Whether any of its programs is taken out of the balancers before it is stopped."""
        return any(program.leave for program in self.programs)


@dataclass(frozen=True)
class Peer:
    """Another node: its name, the address its agent answers on, and the services it runs."""

    node: str
    address: str
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watch:
    """Nodes whose clients here choose among them by themselves: `peers` as (name, address) on the network of
    `interface`, on which this node has `address`; `ports` of what they serve. Without peers nothing is watched.

    `shared`: ports of a service of this node that can do nothing without a majority of its members, which are this
    node and `voters` (names of peers), and that does not refuse its clients then.
    `group`: port on which members of the database talk to each other, which are this node and `grouped`; 0: none here.
    """

    interface: str
    address: str
    peers: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    voters: tuple[str, ...] = ()
    shared: tuple[int, ...] = ()
    group: int = 0
    grouped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """Desired state of one node.

    `repair_after`: seconds of bad answers after which a program is killed and started again; 0: never.
    """

    cluster: str
    node: str
    digest: str
    code: str
    agent_address: str
    agent_port: int
    recovery: str
    members: tuple[BundleMember, ...]
    peers: tuple[Peer, ...]
    zookeeper: tuple[str, ...]
    format: int = FORMAT
    vips: tuple[str, ...] = field(default=())
    repair_after: float = 0.0
    watch: Watch | None = None


def encode(bundle: Bundle) -> bytes:
    """The bundle as JSON bytes."""
    return msgspec.json.encode(bundle)


def decode(data: bytes) -> Bundle:
    """The bundle of JSON bytes. Raises msgspec.DecodeError (a ValueError) for anything else."""
    return msgspec.json.decode(data, type=Bundle)
