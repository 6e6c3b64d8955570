"""What a node says of itself: the agent publishes it, `observe` collects it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from outlast.spec.probe import Health


@dataclass(frozen=True)
class ProgramState:
    """A program as supervisord sees it: RUNNING, STOPPED, STARTING, BACKOFF, EXITED, FATAL, or ABSENT."""

    name: str
    state: str
    pid: int = 0
    started: float = 0.0


@dataclass(frozen=True)
class MemberState:
    """One member: its health, its programs and whether it runs what the bundle asks for.

    phase: waiting, preparing, starting, running, stopping, settled (healthy, converged, setup done), or refused (its
    program does not take the new configuration; the old one goes on where it runs).
    """

    service: str
    health: Health
    phase: str
    sentence: str
    converged: bool
    setup_done: bool
    programs: tuple[ProgramState, ...] = ()


@dataclass(frozen=True)
class GaleraFact:
    """What a node knows of its own database for the recovery rule (services/galera/recovery.py: MemberFact).

    uuid "": the position is not known. `unreadable`: what was said each time that the data could not be read. `age`:
    seconds since it was true, when the snapshot was made. `given_up`, `given_seconds`: members that the operator gave
    up, and for how long this node has told so. `permit`: "first" or "recovery" while it holds one.
    """

    state: str = "unknown"
    has_data: bool = False
    uuid: str = ""
    seqno: int = -1
    view: tuple[str, ...] = ()
    view_number: int = -1
    age: float = 0.0
    unreadable: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    given_seconds: float = 0.0
    permit: str = ""


@dataclass(frozen=True)
class Snapshot:
    """One node at one moment. `age` is the seconds since the cycle that made it, filled in by the answer.

    `paused`: why its agent keeps its hands off; "": it does not.
    """

    cluster: str
    node: str
    bundle: str
    code: str
    boot: str
    cycle: int
    sentence: str
    members: tuple[MemberState, ...] = ()
    vips: tuple[str, ...] = ()
    galera: GaleraFact | None = None
    zookeeper: str = "unknown"
    has_data: tuple[str, ...] = field(default=())
    age: float = 0.0
    settled: bool = False
    paused: str = ""


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as JSON bytes."""
    return msgspec.json.encode(snapshot)


def decode(data: bytes) -> Snapshot:
    """The snapshot of JSON bytes. Raises msgspec.DecodeError (a ValueError) for anything else."""
    return msgspec.json.decode(data, type=Snapshot)
