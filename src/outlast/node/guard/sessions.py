"""Ending the TCP connections of an address that is about to leave (sock_diag(7), SOCK_DESTROY).

Without the address nothing can be sent in its name any more: who waits for an answer hears nothing until a time limit
of its own, half a minute or never. Reset while the address is still here, both ends know at once.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection

from outlast.node import sock_diag

_GONE = (0, errno.ENOENT)


def reset_connections(addresses: Collection[str]) -> int:
    """Reset all IPv4 TCP connections whose local end is one of the addresses; how many there were.

    Raises OSError where the kernel cannot do it (CONFIG_INET_DIAG_DESTROY) or this process may not.
    """
    local = {socket.inet_aton(address) for address in addresses}
    with sock_diag.opened(0.5) as link:
        # A name's bytes 4 to 7 are its local address.
        mine = [one.name for one in sock_diag.connections(link, sock_diag.ALIVE) if one.name[4:8] in local]
        for name in mine:
            sock_diag.send(link, sock_diag.SOCK_DESTROY, sock_diag.NLM_F_ACK, name)
            for kind, body in sock_diag.messages(link.recv(65536)):
                code = -struct.unpack_from("=i", body)[0] if kind == sock_diag.NLMSG_ERROR else 0
                if code not in _GONE:
                    raise OSError(code, "the kernel does not reset connections")
    return len(mine)
