"""Ending the TCP connections of an address that is about to leave (sock_diag(7), SOCK_DESTROY).

Without the address nothing can be sent in its name any more: who waits for an answer hears nothing until a time limit
of its own, half a minute or never. Reset while the address is still here, both ends know at once.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterator

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
STATES = sum(1 << state for state in (1, 3, 4, 5, 8, 9))
"""Established, being established, and half closed (include/net/tcp_states.h); not those that listen or are over."""

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48s")
_MESSAGE = struct.Struct("=BBBB48s")
_ANYWHERE = bytes(48)
_GONE = (0, errno.ENOENT)


def reset_connections(addresses: Collection[str]) -> int:
    """Reset all IPv4 TCP connections whose local end is one of the addresses; how many there were.

    Raises OSError where the kernel cannot do it (CONFIG_INET_DIAG_DESTROY) or this process may not.
    """
    local = {socket.inet_aton(address) for address in addresses}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as link:
        link.settimeout(0.5)
        link.bind((0, 0))
        # Ports, addresses, interface and cookie of an entry; its local address are the bytes 4 to 7.
        mine = [name for name in _connections(link) if name[4:8] in local]
        for name in mine:
            _send(link, SOCK_DESTROY, NLM_F_ACK, name)
            for kind, body in _messages(link.recv(65536)):
                code = -struct.unpack_from("=i", body)[0] if kind == NLMSG_ERROR else 0
                if code not in _GONE:
                    raise OSError(code, "the kernel does not reset connections")
    return len(mine)


def _connections(link: socket.socket) -> Iterator[bytes]:
    _send(link, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, _ANYWHERE)
    while True:
        for kind, body in _messages(link.recv(65536)):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not list connections")
            yield _MESSAGE.unpack_from(body)[4]


def _send(link: socket.socket, kind: int, flags: int, name: bytes) -> None:
    body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, STATES, name)
    link.send(_HEADER.pack(_HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
