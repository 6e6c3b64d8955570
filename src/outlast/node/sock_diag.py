"""The kernel's list of TCP connections, asked by netlink (sock_diag(7)): no text to make or read, filtered by port."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

PROTOCOL = 4
"""NETLINK_SOCK_DIAG."""
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
ESTABLISHED = 1 << 1
ALIVE = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9))
"""Established, being established, and half closed (include/net/tcp_states.h); not those that listen or are over."""

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48s")
_MESSAGE = struct.Struct("=BBBB48sIII")


class Connection(NamedTuple):
    """One of them. `name`: ports, addresses, interface and cookie, as the kernel takes them back; `unread`: bytes."""

    name: bytes
    unread: int


def opened(seconds: float) -> socket.socket:
    """A netlink socket that waits so long for an answer."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, PROTOCOL)
    link.settimeout(seconds)
    link.bind((0, 0))
    return link


def connections(link: socket.socket, states: int, port: int = 0) -> Iterator[Connection]:
    """IPv4 connections in these states, with this local port (0: any). Raises OSError where the kernel lists none."""
    send(link, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, struct.pack("!HH44x", port, 0), states)
    while True:
        for kind, body in messages(link.recv(65536)):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not list connections")
            found = _MESSAGE.unpack_from(body)
            yield Connection(found[4], found[6])


def local(name: bytes) -> bytes:
    """The IPv4 address of a connection's own end, packed."""
    return name[4:8]


def remote(name: bytes) -> bytes:
    """The IPv4 address of the other end, packed."""
    return name[20:24]


def ports(name: bytes) -> tuple[int, int]:
    """Of a connection's own end and of the other one."""
    return int.from_bytes(name[:2], "big"), int.from_bytes(name[2:4], "big")


def reset(link: socket.socket, name: bytes) -> None:
    """End a connection at both ends, as far as the other one can be reached; the program here knows at once.

    Raises OSError where the kernel cannot do it (CONFIG_INET_DIAG_DESTROY) or this process may not.
    """
    send(link, SOCK_DESTROY, NLM_F_ACK, name)
    for kind, body in messages(link.recv(65536)):
        code = -struct.unpack_from("=i", body)[0] if kind == NLMSG_ERROR else 0
        if code not in (0, errno.ENOENT):
            raise OSError(code, "the kernel does not reset connections")


def send(link: socket.socket, kind: int, flags: int, name: bytes, states: int = ALIVE) -> None:
    """One request about the connection `name`."""
    body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, states, name)
    link.send(_HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message of a datagram."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
