"""What Galera's files and messages say. Pure parsers; whoever runs on the node reads the files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from outlast.services.galera.recovery import NO_UUID, Position

BASE = "/var/lib/outlast/galera"
DATA = f"{BASE}/data"
GRASTATE = f"{DATA}/grastate.dat"
GVWSTATE = f"{DATA}/gvwstate.dat"
VIEW = f"{BASE}/view"
"""The last primary view, noted by galera-notify before anything is committed in it."""
RUN = "/run/outlast/galera"
BOOTSTRAP = f"{RUN}/bootstrap"
"""Flag: the next start of the program is a bootstrap. galera-start removes it first, so it works once."""
RENEW = f"{RUN}/renew"
"""Flag: the next start takes all data from the others, whatever lies on this node's disk. It works once too."""
UNREADABLE = f"{RUN}/unreadable"
"""One line for every time in a row that POSITION could not read the data, and that was their own fault."""
POSITION = ("/usr/local/lib/outlast/galera-position",)
"""Prints "uuid:seqno" of a stopped member (argv). Exit 1: the data cannot be read now."""
GIVEN_UP = "/var/lib/outlast/permits/galera-given-up"
"""The operator's note on members that are given up: their names, and below that VIEW's text as it was then."""
SEED_SEQNO = 1
"""Position of a freshly seeded member: the one event is its own view, from when it was seeded."""

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_POSITION = re.compile(rf"({_UUID}):(-?\d+)")
_RECOVERED = re.compile(rf"WSREP: Recovered position:\s*({_UUID}):(-?\d+)")


@dataclass(frozen=True)
class Grastate:
    """grastate.dat: seqno -1 while the server runs and after a crash."""

    uuid: str
    seqno: int
    safe_to_bootstrap: bool


@dataclass(frozen=True)
class Gvwstate:
    """gvwstate.dat: Galera's own note of the view it was in; nodes by their Galera ids."""

    own: str
    view: tuple[str, int]
    members: tuple[str, ...]


@dataclass(frozen=True)
class NotedView:
    """galera-notify's note: history, member names, and the same members by their Galera ids."""

    uuid: str
    members: tuple[str, ...]
    ids: tuple[str, ...]


def parse_grastate(text: str) -> Grastate | None:
    """None when it is not a whole state file (damaged or cut short)."""
    fields = _fields(text)
    try:
        seqno = int(fields["seqno"])
        safe = int(fields.get("safe_to_bootstrap", "0")) == 1
        uuid = fields["uuid"]
    except (KeyError, ValueError):
        return None
    return Grastate(uuid, seqno, safe) if re.fullmatch(_UUID, uuid) else None


def parse_gvwstate(text: str) -> Gvwstate | None:
    """None when it is not a whole view file."""
    own = re.search(rf"^my_uuid: ({_UUID})$", text, re.MULTILINE)
    view = re.search(rf"^view_id: \d+ ({_UUID}) (\d+)$", text, re.MULTILINE)
    if own is None or view is None or "#vwend" not in text:
        return None
    members = re.findall(rf"^member: ({_UUID}) \d+$", text, re.MULTILINE)
    return Gvwstate(own[1], (view[1], int(view[2])), tuple(members))


def parse_view(text: str) -> NotedView | None:
    """None when there is no whole note."""
    fields = _fields(text)
    members = tuple(fields.get("members", "").split())
    if not members or not re.fullmatch(_UUID, fields.get("uuid", "")):
        return None
    return NotedView(fields["uuid"], members, tuple(fields.get("ids", "").split()))


def last_view(note: str, gvwstate: str) -> tuple[str, ...] | None:
    """Names of the last primary view for the recovery rule, from the two files' texts ("" for a missing one).

    Galera notes a view when it is agreed on, galera-notify when all before it is applied; a clean stop removes the
    first note. Where both exist and differ, the node died in between, and the answer is None: all members must report.
    """
    noted = parse_view(note)
    if noted is None:
        return None
    if gvwstate:
        own = parse_gvwstate(gvwstate)
        if own is None or set(own.members) != set(noted.ids):
            return None
    return noted.members


def given_up(note: str, view: str) -> tuple[str, ...]:
    """Names of the members that are still given up, from the texts of GIVEN_UP and VIEW ("" for a missing one).

    One that a later primary view names is back.
    """
    names, _, then = note.partition("\n")
    back = parse_view(view) if then.strip() != view.strip() else None
    return tuple(name for name in names.split() if back is None or name not in back.members)


def parse_recovery(log: str) -> Position | None:
    """Position that `mariadbd --wsrep-recover` printed, the last one if several."""
    found = _RECOVERED.findall(log)
    return (found[-1][0], int(found[-1][1])) if found else None


def parse_position(text: str) -> Position | None:
    """Position that POSITION printed."""
    found = _POSITION.fullmatch(text.strip())
    return (found[1], int(found[2])) if found else None


def clean_position(grastate: str) -> Position | None:
    """Position after a clean stop; None when it has to be recovered."""
    state = parse_grastate(grastate)
    return (state.uuid, state.seqno) if state and state.seqno >= 0 and state.uuid != NO_UUID else None


def has_data(directory: bool, grastate: str, view: str) -> bool:
    """Whether the member was ever in a primary view. When that is not certain: yes.

    `directory`: the data directory exists; the texts are "" for files that do not.
    """
    if not directory:
        return False
    position = clean_position(grastate)
    return bool(view.strip()) or position is None or position[1] != SEED_SEQNO


def _fields(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip() for key, colon, value in lines if colon}
