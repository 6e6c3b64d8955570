"""Taking an address off an interface without another program's help (rtnetlink)."""

from __future__ import annotations

import errno
import socket
import struct

RTM_DELADDR = 21
NLM_F_REQUEST, NLM_F_ACK = 1, 4
IFA_ADDRESS, IFA_LOCAL = 1, 2
NLMSG_ERROR = 2
GONE = (0, errno.EADDRNOTAVAIL, errno.ENODEV)


def remove_address(address: str, prefix: int, interface: str) -> bool:
    """Remove an IPv4 address; True when it was there. Raises OSError when the kernel refuses for another reason."""
    try:
        index = socket.if_nametoindex(interface)
    except OSError:
        return False
    packed = socket.inet_aton(address)
    attributes = struct.pack("=HH4s", 8, IFA_LOCAL, packed) + struct.pack("=HH4s", 8, IFA_ADDRESS, packed)
    body = struct.pack("=BBBBi", socket.AF_INET, prefix, 0, 0, index) + attributes
    header = struct.pack("=IHHII", 16 + len(body), RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.settimeout(1.0)
        link.bind((0, 0))
        link.send(header + body)
        answer = link.recv(4096)
    kind = struct.unpack_from("=H", answer, 4)[0]
    code = -struct.unpack_from("=i", answer, 16)[0] if kind == NLMSG_ERROR else 0
    if code not in GONE:
        raise OSError(code, f"cannot remove {address}/{prefix} from {interface}")
    return code == 0
