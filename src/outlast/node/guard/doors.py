"""Puts off who connects to a VIP that may be about to leave: his first packet is dropped, and he sends it again.

A connection that is accepted here while the VIP leaves is lost with it. One that is not answered at all is tried again
after one second (RFC 6298), when the VIP is elsewhere or the doubt is over.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from outlast.node.guard import bpf
from outlast.node.guard.settings import Listener

LEASE = 0.3
"""Seconds for which doors stay closed without another word: whoever closed them may be dead."""

NAME = "doors"
"""Of the socket, in the folder of the guards' state."""


class Doors:
    """The balancer's side: hears of which addresses the doors are to be closed."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        path.unlink(missing_ok=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(str(path))
        self.closed: frozenset[str] = frozenset()
        self._until = 0.0

    def heard(self, held: Mapping[Listener, socket.socket]) -> frozenset[str]:
        """Do what was said last; the addresses whose doors were open until now."""
        before = self.closed
        for addresses in self._messages():
            self._until = time.monotonic() + LEASE
            self._set(frozenset(addresses), held)
        return self.closed - before

    def look(self, held: Mapping[Listener, socket.socket]) -> None:
        """Open what nobody has spoken of lately."""
        if self.closed and time.monotonic() > self._until:
            self._set(frozenset(), held)

    def shut(self, held: Mapping[Listener, socket.socket]) -> None:
        """Close all of them for good."""
        self._until = float("inf")
        self._set(frozenset(listener.address for listener in held), held)

    def open(self, held: Mapping[Listener, socket.socket]) -> None:
        """Open all of them, whoever closed them: a filter outlives the guard that set it."""
        self.closed = frozenset()
        for sock in held.values():
            bpf.detach(sock)

    def close(self) -> None:
        """Hear no more; the doors stay as they are."""
        self.sock.close()

    def _set(self, addresses: frozenset[str], held: Mapping[Listener, socket.socket]) -> None:
        for listener, sock in held.items():
            if listener.address in addresses:
                with suppress(OSError):
                    bpf.attach(sock, bpf.NOTHING)
            elif listener.address in self.closed:
                bpf.detach(sock)
        self.closed = addresses

    def _messages(self) -> Iterable[list[str]]:
        with suppress(BlockingIOError):
            while True:
                text = self.sock.recv(4096)
                with suppress(ValueError, TypeError):
                    yield [str(one) for one in json.loads(text)]


class Bell:
    """Keepalived's side: says of which addresses the doors are to be closed, again and again as long as it is so."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / NAME)
        self.said: frozenset[str] = frozenset()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def say(self, addresses: frozenset[str]) -> None:
        """Nothing is said while all doors are open, except once that they are."""
        if addresses or self.said:
            with suppress(OSError):
                self._sock.sendto(json.dumps(sorted(addresses)).encode(), self.path)
        self.said = addresses

    def close(self) -> None:
        """Say no more."""
        self._sock.close()
