"""Databases that HAProxy has marked down: their sessions are closed, but only when none is still being connected.

Sessions go on for hours, so they would stay with a member that left the cluster. Requests to an API end by themselves:
one that is slow because its machine is busy misses its checks, and cutting what it is answering would make it worse.

HAProxy's own `on-marked-down shutdown-sessions` also ends those that are connecting at that moment. Seen with 3.0.11:
in TCP mode such a session hangs for ever with its client waiting (a database login never answered), in HTTP mode the
request is cut although another server would have taken it. Left alone, both are sent to another server when
`timeout connect` is over; only then is what remains closed. Sessions that are connected are closed at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

Server = tuple[str, str]
"""Backend and server."""

COMMAND = "show servers state"
"""Of all backends, or followed by the name of one."""
SESSIONS = "show sess"
_CONNECTED = re.compile(r"(0x[0-9a-f]+): .* be=(\S+) srv=(\S+) .* scb=\[8,")
"""A session whose server side is established: SC_ST_EST in HAProxy's haproxy/stconn-t.h."""
_BACKEND, _SERVER, _STATE, _ADMIN = 1, 3, 5, 6
_STOPPED = b"0"


def parse(answer: bytes) -> frozenset[Server]:
    """Servers that are down by their checks, from the answer to COMMAND."""
    rows = [line.split() for line in answer.splitlines() if line[:1].isdigit()]
    return frozenset(
        (row[_BACKEND].decode(), row[_SERVER].decode())
        for row in rows
        if len(row) > _ADMIN and row[_STATE] == _STOPPED and row[_ADMIN] == b"0"
    )


def advance(
    known: Mapping[Server, float | None], down: frozenset[Server], now: float, after: float
) -> tuple[dict[Server, float | None], tuple[Server, ...]]:
    """Since when each server is down (None: its sessions have been closed), and those whose turn it is.

    `now` and `after` in seconds; a server that came back is forgotten.
    """
    since = {server: known.get(server, now) for server in sorted(down)}
    due = tuple(server for server, begun in since.items() if begun is not None and now - begun >= after)
    return {**since, **dict.fromkeys(due)}, due


def connected(answer: bytes, servers: Collection[Server]) -> tuple[str, ...]:
    """Names of the servers' sessions that have got through to them, from the answer to SESSIONS."""
    found = (_CONNECTED.match(line) for line in answer.decode(errors="replace").splitlines())
    return tuple(one[1] for one in found if one and (one[2], one[3]) in servers)
