"""The listening sockets that outlive a balancer: bound by the guard, inherited by its child, taken from an orphan."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from outlast.node.guard.process import Child
from outlast.node.guard.settings import BalancerSettings, Listener

IP_FREEBIND = 15  # linux/in.h
SYS_PIDFD_GETFD = 438  # one number on every architecture
BACKLOG = 4096

Sockets = dict[Listener, socket.socket]


def listen(listener: Listener, settings: BalancerSettings) -> socket.socket:
    """A listening socket on an address that this node may not hold yet. Raises OSError (address in use).

    Accepted connections inherit keepalive and TCP_USER_TIMEOUT, so a vanished peer is noticed in seconds.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        tune(made, settings)
        made.bind((listener.address, listener.port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"{listener.address}:{listener.port}: {error.strerror}") from error
    return made


def tune(sock: socket.socket, settings: BalancerSettings) -> None:
    """Set the time-outs that accepted connections inherit."""
    idle, interval, probes = settings.keepalive
    if idle:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.tcp_user_timeout * 1000))


def hold(settings: BalancerSettings, have: Mapping[Listener, socket.socket]) -> Sockets:
    """All sockets that the settings want: those at hand, and new ones. Raises OSError and leaves nothing half bound."""
    held: Sockets = {}
    try:
        for listener in settings.listeners:
            held[listener] = have[listener] if listener in have else listen(listener, settings)
    except OSError:
        release(sock for listener, sock in held.items() if listener not in have)
        raise
    for sock in held.values():
        tune(sock, settings)
    return held


def release(sockets: Iterable[socket.socket]) -> None:
    """Close sockets. The last close of a listening socket resets the connections that wait in it."""
    for sock in sockets:
        sock.close()


def turn_away(sockets: Iterable[socket.socket]) -> int:
    """Reset the connections that wait to be accepted, and say how many: told so, a client can try again at once.

    Left alone they would hang to the client's own time-out once the address has moved to another node.
    """
    count = 0
    for sock in sockets:
        with suppress(OSError):
            while True:
                waiting, _ = sock.accept()
                waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                waiting.close()
                count += 1
    return count


def take_over(child: Child, wanted: Iterable[Listener]) -> Sockets:
    """Duplicates of the wanted listening sockets that an orphaned child holds, connections waiting in them included."""
    by_place = {(listener.address, listener.port): listener for listener in wanted}
    found: Sockets = {}
    for number in _socket_numbers(child.pid):
        sock = _duplicate(child, number)
        if sock is None:
            continue
        listener = by_place.get(_place(sock))
        if listener is None or listener in found:
            sock.close()
        else:
            found[listener] = sock
    return found


def _socket_numbers(pid: int) -> list[int]:
    numbers = []
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if os.readlink(entry).startswith("socket:"):
                    numbers.append(int(entry.name))
    return sorted(numbers)


def _duplicate(child: Child, number: int) -> socket.socket | None:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(SYS_PIDFD_GETFD, child.pidfd, number, 0)
    if copy < 0:
        return None
    return socket.socket(fileno=copy)


def _place(sock: socket.socket) -> tuple[str, int]:
    """(address, port) of a listening TCP socket; ("", 0) for any other."""
    try:
        if sock.family == socket.AF_INET and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            address, port = sock.getsockname()
            return str(address), int(port)
    except OSError:
        pass
    return "", 0


def variables(held: Mapping[Listener, socket.socket]) -> dict[str, str]:
    """Environment by which the child finds its sockets."""
    return {listener.variable: str(sock.fileno()) for listener, sock in held.items()}
