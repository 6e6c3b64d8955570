"""Marks the servers of a node that has vanished down in this node's balancer, before its checks have found out.

A check needs up to 1.2 s for it (decision 0023): a question that nobody answers, and a second one. Meanwhile a request
that is sent to the node is tried again elsewhere after `timeout connect`; a login to the database is not, as its
backend uses one server at a time. HAProxy's own checks take the servers back when they answer again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from outlast.node.guard.admin import ask
from outlast.node.guard.departed import COMMAND, Server
from outlast.spec.bundle import BundleMember

ADMIN = "admin"
"""Fact of the balancer's member: path of HAProxy's admin socket."""

_BACKEND, _SERVER, _ADDRESS, _STATE, _ADMIN, _CHECK = 1, 3, 4, 5, 6, 13
_UP, _CONFIGURED = (b"1", b"2"), 2


def used(answer: bytes, address: str) -> tuple[Server, ...]:
    """Servers at an address that are up by their checks, from the answer to `show servers state`.

    One without a check would stay down for ever; one that is about to leave, or that an operator took out, is left
    as it is.
    """
    rows = [line.split() for line in answer.splitlines() if line[:1].isdigit()]
    return tuple(
        (row[_BACKEND].decode(), row[_SERVER].decode())
        for row in rows
        if len(row) > _CHECK and row[_ADDRESS] == address.encode() and row[_STATE] in _UP and row[_ADMIN] == b"0"
        if row[_CHECK].isdigit() and int(row[_CHECK]) & _CONFIGURED
    )


def mark(admin: str, address: str) -> tuple[Server, ...]:
    """Mark what `address` serves down; which servers. Raises OSError when HAProxy does not answer."""
    servers = used(ask(admin, COMMAND), address)
    if servers:
        ask(admin, "; ".join(f"set server {backend}/{name} health down" for backend, name in servers))
    return servers


class MarkedDown:
    """One per agent. `tell(service, code, sentence)` for each node."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._service = self._admin = ""
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Of a node without a balancer nothing is marked."""
        self._service, self._admin = next(
            ((member.service, facts[ADMIN]) for member in members if ADMIN in (facts := dict(member.facts))), ("", "")
        )

    def vanished(self, name: str, address: str) -> None:
        """Mark its servers, beside whatever else is to be done about it."""
        if self._admin:
            task = asyncio.get_running_loop().create_task(self.mark(name, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def mark(self, name: str, address: str) -> None:
        """In a thread: a balancer that hangs must not keep the agent waiting."""
        try:
            servers = await asyncio.to_thread(mark, self._admin, address)
        except OSError as error:
            self._tell(self._service, "servers.kept", f"servers of {name} could not be marked down: {error}")
            return
        if servers:
            words = ", ".join(backend for backend, _ in servers)
            sentence = f"{name} has vanished: its servers are marked down until they pass their checks ({words})"
            self._tell(self._service, "servers.marked", sentence)
