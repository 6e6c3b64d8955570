"""Who takes everything in backends with one server at a time: read from HAProxy, handed to its next process.

HAProxy keeps the choice in a stick table, which dies with the process. Without memory a new process would send new
sessions to the first server while sessions elsewhere still use another: two writers. So the guard remembers, and starts
each process with the remembered server as the active one and all others as backups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from outlast.node.guard.admin import ask
from outlast.node.guard.settings import Single

_SERVER_ID = re.compile(rb"\bserver_id=(\d+)")


def variable(backend: str, server: str) -> str:
    """Name of the variable that says "backup" or "no-backup" for a server."""
    return "OUTLAST_ROLE_" + re.sub(r"[^A-Z0-9]", "_", f"{backend}_{server}".upper())


def roles(singles: Iterable[Single], writers: Mapping[str, str]) -> dict[str, str]:
    """Environment that makes the remembered server (else the first) of each backend the active one."""
    found = {}
    for single in singles:
        writer = writers.get(single.backend, "")
        active = writer if writer in single.servers else single.servers[0]
        for server in single.servers:
            found[variable(single.backend, server)] = "no-backup" if server == active else "backup"
    return found


def parse(answer: bytes, single: Single) -> str:
    """Server in the answer to `show table`, "" when none was chosen yet. HAProxy numbers servers in file order."""
    match = _SERVER_ID.search(answer)
    number = int(match[1]) if match else 0
    return single.servers[number - 1] if 1 <= number <= len(single.servers) else ""


def read_writers(admin: str, singles: Iterable[Single]) -> dict[str, str]:
    """The chosen server of each backend. Raises OSError when HAProxy does not answer at once."""
    found = {}
    for single in singles:
        if writer := parse(ask(admin, f"show table {single.backend}"), single):
            found[single.backend] = writer
    return found
