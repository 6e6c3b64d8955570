"""Whether this node's Galera member may take sessions, asked by HAProxy over HTTP: 200 or 503 with the reason.

`outlast-node responder --listen ADDRESS:9200 --socket /run/mysqld/mysqld.sock [--donor-ok]`

One thread, one connection, a fresh query for each round of questions, and never more than half a second for it: a hung
server gives 503 within a second, not silence. It is not the agent, and works without it.
"""

from __future__ import annotations

import argparse
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pymysql
import pymysql.cursors

QUERY_SECONDS = 0.5
ASKING_SECONDS = 2.0
MOST_QUESTIONS = 64
SYNCED, DONOR = "4", "2"
STATUS = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN "
    "('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state', 'wsrep_local_state_comment')"
)


def verdict(status: Mapping[str, str], read_only: bool, donor_ok: bool) -> tuple[bool, str]:
    """Good or not, and why, from the member's own variables.

    A donor lags and can stall, so it counts only where the operator said so (there may be no other member).
    """
    view, state = status.get("wsrep_cluster_status", "absent"), status.get("wsrep_local_state", "absent")
    if view != "Primary":
        return False, f"cluster status is {view}, not Primary"
    if status.get("wsrep_ready") != "ON":
        return False, f"wsrep_ready is {status.get('wsrep_ready', 'absent')}"
    if state != SYNCED and not (donor_ok and state == DONOR):
        return False, f"state is {state} ({status.get('wsrep_local_state_comment', '?')}), not Synced"
    if read_only:
        return False, "read_only is ON"
    return True, status.get("wsrep_local_state_comment", "Synced")


class TooLate(Exception):
    """The alarm rang. No OSError: PyMySQL would turn that into the error of a broken connection."""


class Member:
    """The connection to mysqld, as the unix user root, made again whenever it broke."""

    def __init__(self, path: str, donor_ok: bool) -> None:
        self.path, self.donor_ok = path, donor_ok
        self.connection: pymysql.connections.Connection[Any] | None = None
        self.kept = False

    def ask(self) -> tuple[bool, str]:
        """Good or not, and why, within QUERY_SECONDS whatever mysqld does."""
        # The library's time-outs hold for each read; the alarm, which rings first, for all of them together.
        signal.setitimer(signal.ITIMER_REAL, QUERY_SECONDS)
        try:
            try:
                return self._ask()
            except pymysql.OperationalError:
                if not self.kept:
                    raise
                # The server was restarted since: what it says now is what counts.
                self._drop()
                return self._ask()
        except (pymysql.MySQLError, TooLate, OSError, ValueError) as error:
            self._drop()
            return False, f"mysqld does not answer: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ask(self) -> tuple[bool, str]:
        self.kept = self.connection is not None
        if self.connection is None:
            self.connection = pymysql.connect(
                unix_socket=self.path, user="root", autocommit=True, connect_timeout=2 * QUERY_SECONDS,
                read_timeout=2 * QUERY_SECONDS, write_timeout=2 * QUERY_SECONDS, ssl_disabled=True,
            )  # fmt: skip
        with self.connection.cursor() as cursor:
            cursor.execute(STATUS)
            status = {str(name): str(value) for name, value in cursor.fetchall()}
            good, why = verdict(status, False, self.donor_ok)
            if not good:
                return good, why
            cursor.execute("SELECT @@global.read_only")
            row = cursor.fetchone()
        return verdict(status, bool(row and int(row[0])), self.donor_ok)

    def _drop(self) -> None:
        if self.connection is not None:
            # Not close(): it would say goodbye to a server that may be hung.
            with suppress(OSError, pymysql.MySQLError):
                self.connection._force_close()
            self.connection = None


def answer(good: bool, why: str) -> bytes:
    """The HTTP response."""
    body = (why + "\n").encode(errors="replace")
    line = "200 OK" if good else "503 Service Unavailable"
    head = f"HTTP/1.1 {line}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


class Responder:
    """Collects questions, asks once for all that are whole, answers them."""

    def __init__(self, listener: socket.socket, member: Member) -> None:
        self.listener, self.member = listener, member
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.asking: dict[socket.socket, tuple[float, bytes]] = {}

    def turn(self) -> None:
        """Wait for something, then answer every question that is whole."""
        whole = []
        for key, _ in self.selector.select(1.0 if self.asking else None):
            if key.fileobj is self.listener:
                self._accept()
            elif isinstance(key.fileobj, socket.socket) and self._read(key.fileobj):
                whole.append(key.fileobj)
        if whole:
            said = answer(*self.member.ask())
            for sock in whole:
                with suppress(OSError):
                    sock.send(said)
                self._forget(sock)
        for sock, (since, _) in list(self.asking.items()):
            if time.monotonic() - since > ASKING_SECONDS:
                self._forget(sock)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                if len(self.asking) >= MOST_QUESTIONS:
                    self._forget(next(iter(self.asking)))
                self.asking[sock] = (time.monotonic(), b"")
                self.selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> bool:
        if sock not in self.asking:
            return False
        try:
            part = sock.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            part = b""
        since, raw = self.asking[sock]
        raw += part
        self.asking[sock] = (since, raw)
        if b"\r\n\r\n" in raw:
            return True
        if not part or len(raw) > 8192:
            self._forget(sock)
        return False

    def _forget(self, sock: socket.socket) -> None:
        self.asking.pop(sock, None)
        with suppress(KeyError, ValueError):
            self.selector.unregister(sock)
        sock.close()


def listen(place: str) -> socket.socket:
    """A listening socket on ADDRESS:PORT. Raises OSError or ValueError."""
    address, _, port = place.rpartition(":")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _too_late(_number: int, _frame: Any) -> None:
    raise TooLate(f"no answer within {QUERY_SECONDS:g} s")


def main(argv: list[str]) -> int:
    """Answer until killed. Exit status 1 when it cannot listen."""
    parser = argparse.ArgumentParser(prog="outlast-node responder", description="Galera's health over HTTP.")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--socket", default="/run/mysqld/mysqld.sock", help="mysqld's unix socket")
    parser.add_argument("--donor-ok", action="store_true", help="a donor counts as good")
    words = parser.parse_args(argv)
    try:
        listener = listen(words.listen)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"responder: cannot listen on {words.listen}: {error}\n")
        return 1
    signal.signal(signal.SIGALRM, _too_late)
    responder = Responder(listener, Member(words.socket, words.donor_ok))
    while True:
        responder.turn()
