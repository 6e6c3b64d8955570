"""ICMP echo on one network, never waiting: asked of a peer's kernel, so that no hung program of its makes it silent."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

from outlast.node.guard import bpf

ECHO, REPLY = 8, 0
HEAD = struct.Struct("!BBHHH")
BODY = struct.Struct("!8sQ")
SOL_RAW, ICMP_FILTER = 255, 1  # linux/icmp.h
NETWORK_CONTROL = 0xC0  # DSCP CS6, as VRRP's adverts: a full link drops other packets first
OWN_FAULT = (errno.EPERM, errno.ENOMEM, errno.ENFILE, errno.EMFILE)  # could not ask: the network is not to blame


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def question(number: int, identity: int, token: bytes) -> bytes:
    """An echo request of round `number`; `token` (8 bytes) tells our own answers from all others."""
    body = BODY.pack(token, number)
    summed = checksum(HEAD.pack(ECHO, 0, 0, identity, number & 0xFFFF) + body)
    return HEAD.pack(ECHO, 0, summed, identity, number & 0xFFFF) + body


def round_of(packet: bytes, token: bytes) -> int:
    """The round that an IPv4 packet from a raw socket answers; 0 when it is no answer to us."""
    start = (packet[0] & 15) * 4 if packet else 0
    if len(packet) < start + HEAD.size + BODY.size or start < 20:
        return 0
    kind, code, _, _, _ = HEAD.unpack_from(packet, start)
    whose, number = BODY.unpack_from(packet, start + HEAD.size)
    return int(number) if (kind, code, whose) == (REPLY, 0, token) else 0


class Echo:
    """The questions to all peers (name → address) on one network, from the node's own address on it."""

    def __init__(self, interface: str, address: str, peers: Mapping[str, str]) -> None:
        self.interface, self.address = interface, address
        self.peers = dict(peers)
        self.trouble = ""
        self._names = {where: name for name, where in peers.items()}
        self._token, self._identity = os.urandom(8), int.from_bytes(os.urandom(2), "big")
        self._sock: socket.socket | None = None

    def ask(self, number: int) -> None:
        """Send the question of a round to all peers; what cannot be sent has no answer."""
        sock = self._open()
        packet = question(number, self._identity, self._token)
        for where in self.peers.values():
            try:
                if sock:
                    sock.sendto(packet, (where, 0))
            except OSError:
                # The interface may have been replaced under the socket: next round with a new one.
                self._sock = None
        if sock and self._sock is None:
            sock.close()

    def answers(self) -> dict[str, int]:
        """The latest round that each peer has answered since the last call."""
        found: dict[str, int] = {}
        if self._sock is None:
            return found
        with suppress(OSError):
            while True:
                packet, (where, _) = self._sock.recvfrom(256)
                name, number = self._names.get(where, ""), round_of(packet, self._token)
                if name and number:
                    found[name] = max(number, found.get(name, 0))
        return found

    def close(self) -> None:
        """Ask no more."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _open(self) -> socket.socket | None:
        """The socket. Without one `trouble` says why where that is our own fault, and silence proves nothing."""
        self.trouble = ""
        if self._sock is not None:
            return self._sock
        made: socket.socket | None = None
        try:
            made = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
            # Only what goes and comes by this very interface counts, whatever the routes say.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, NETWORK_CONTROL)
            made.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~(1 << REPLY) & 0xFFFFFFFF))
            only(made, self._identity)
            made.bind((self.address, 0))
        except OSError as error:
            self.trouble = str(error) if error.errno in OWN_FAULT else ""
            if made is not None:
                made.close()
            return None
        self._sock = made
        return made


def only(sock: socket.socket, identity: int) -> None:
    """Let the kernel pass answers of this identity alone: somebody else's flood of pings must not fill the buffer."""
    program = (
        (0xB1, 0, 0, 0),  # x = length of the IP header
        (0x48, 0, 0, 4),  # a = half word at x + 4, the identity
        (0x15, 0, 1, identity),
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )
    bpf.attach(sock, program)
