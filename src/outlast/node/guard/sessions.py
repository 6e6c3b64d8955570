"""Ending the TCP connections of an address that is about to leave (sock_diag(7), SOCK_DESTROY).

Without the address nothing can be sent in its name any more: who waits for an answer hears nothing until a time limit
of its own, half a minute or never. Reset while the address is still here, both ends know at once.
"""

from __future__ import annotations

import socket
from collections.abc import Collection

from outlast.node import sock_diag


def reset_connections(addresses: Collection[str]) -> int:
    """Reset all IPv4 TCP connections whose local end is one of the addresses; how many there were.

    Raises OSError where the kernel cannot do it (CONFIG_INET_DIAG_DESTROY) or this process may not.
    """
    ours = {socket.inet_aton(address) for address in addresses}
    with sock_diag.opened(0.5) as link:
        names = [one.name for one in sock_diag.connections(link, sock_diag.ALIVE) if sock_diag.local(one.name) in ours]
        for name in names:
            sock_diag.reset(link, name)
    return len(names)
