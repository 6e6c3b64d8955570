"""Servers of the balancer: which leave and come back (events), and whose sessions are to be closed.

One question for all backends at each look; what a check said is asked only when something has changed.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping

from outlast.node.guard import departed
from outlast.node.guard.admin import ask
from outlast.node.guard.departed import Server
from outlast.node.guard.journal import Journal
from outlast.node.guard.settings import BalancerSettings

STATISTICS = "show stat -1 4 -1"
"""All servers, with the last check's result in words."""

AT_ONCE = 100
"""Commands in one question to HAProxy, which takes at most a buffer (16 KiB) of them."""

_BACKEND, _SERVER, _STATE, _ADMIN, _RESULT, _CHECK = 1, 3, 5, 6, 11, 13
_UP, _PASSED, _CONFIGURED = (b"1", b"2"), (b"3", b"4"), 2


def read(answer: bytes) -> dict[Server, bool | None]:
    """Which servers are in use, from the answer to departed.COMMAND.

    None: not known. A new HAProxy takes every server for up until its first check has ended.
    """
    rows = [line.split() for line in answer.splitlines() if line[:1].isdigit()]
    return {(row[_BACKEND].decode(), row[_SERVER].decode()): _used(row) for row in rows if len(row) > _CHECK}


def _used(row: list[bytes]) -> bool | None:
    if row[_STATE] not in _UP or row[_ADMIN] != b"0":
        return False
    checked = row[_CHECK].isdigit() and int(row[_CHECK]) & _CONFIGURED
    return True if row[_RESULT] in _PASSED or not checked else None


def changes(
    known: Mapping[Server, bool], seen: Mapping[Server, bool | None]
) -> tuple[dict[Server, bool], tuple[Server, ...], tuple[Server, ...]]:
    """What is known now, who left and who came back. A server that was never up cannot leave; one that is gone from
    the configuration is forgotten."""
    now: dict[Server, bool] = {}
    for server, used in seen.items():
        if used or server in known:
            now[server] = known[server] if used is None else used
    left = tuple(server for server, used in now.items() if not used and known.get(server))
    back = tuple(server for server, used in now.items() if used and known.get(server) is False)
    return now, left, back


def results(answer: bytes) -> dict[Server, str]:
    """What the last check of each server said, from the answer to STATISTICS: "DOWN, L7STS/503 in 3 ms: …"."""
    rows = csv.DictReader(answer.decode(errors="replace").lstrip("# ").splitlines())
    return {(row["pxname"], row["svname"]): _result(row) for row in rows if row.get("svname")}


def _result(row: Mapping[str, str]) -> str:
    status = "/".join(part for part in (row.get("check_status"), row.get("check_code")) if part)
    took = f" in {row['check_duration']} ms" if row.get("check_duration") else ""
    more = row.get("last_chk") or row.get("check_desc") or ""
    return f"{row.get('status', '?')}, {status or 'no check'}{took}" + (f": {more}" if more else "")


class Servers:
    """What one guard knows of its balancer's servers. `out`: those that had left, as `out()` gave them."""

    def __init__(self, journal: Journal, out: Iterable[str] = ()) -> None:
        self.journal = journal
        self.known: dict[Server, bool] = {_named(name): False for name in out}
        self.departed: dict[Server, float | None] = {}

    def out(self) -> list[str]:
        """For the published state, so that the next guard knows who comes back."""
        return [_name(server) for server, used in self.known.items() if not used]

    def look(self, settings: BalancerSettings, now: float) -> None:
        """Tells what changed, and ends sessions that are due. Raises OSError when HAProxy does not answer."""
        answer = ask(settings.admin, departed.COMMAND)
        self._tell(settings.admin, read(answer))
        if settings.shut_after:
            self._shut(settings, answer, now)

    def _tell(self, admin: str, seen: Mapping[Server, bool | None]) -> None:
        known, left, back = changes(self.known, seen)
        said = results(ask(admin, STATISTICS)) if left or back else {}
        self.known = known
        for server in left:
            self.journal.event("server-left", f"{_name(server)} takes no more requests", **_details(server, said))
        for server in back:
            self.journal.event("server-back", f"{_name(server)} takes requests again", **_details(server, said))

    def _shut(self, settings: BalancerSettings, answer: bytes, now: float) -> None:
        """End database sessions of a server that is down: the connected ones, and later those that connected there."""
        singles = {single.backend for single in settings.singles}
        down = frozenset(server for server in departed.parse(answer) if server[0] in singles)
        fresh = down - self.departed.keys()
        if fresh:
            self._end_connected(settings.admin, fresh)
        self.departed, due = departed.advance(self.departed, down, now, settings.shut_after)
        for server in due:
            ask(settings.admin, f"shutdown sessions server {_name(server)}")
            self.journal.event("guard-shut", f"{_name(server)} is down: its sessions are closed")

    def _end_connected(self, admin: str, servers: Collection[Server]) -> None:
        names = departed.connected(ask(admin, departed.SESSIONS), servers)
        for few in (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE)):
            ask(admin, "; ".join(f"shutdown session {name}" for name in few))
        if not names:
            return
        of = ", ".join(map(_name, sorted(servers)))
        self.journal.event("guard-cut", f"{of} is down: what was connected to it is closed ({len(names)})")


def _details(server: Server, said: Mapping[Server, str]) -> dict[str, str]:
    backend, name = server
    return {"backend": backend, "server": name, "evidence": said.get(server, "")}


def _name(server: Server) -> str:
    return "/".join(server)


def _named(name: str) -> Server:
    backend, _, server = name.partition("/")
    return backend, server
