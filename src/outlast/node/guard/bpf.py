"""Classic socket filters: small programs that the kernel runs on each packet for a socket."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h

NOTHING = ((0x06, 0, 0, 0),)
"""Passes no packet: a listening socket drops who wants to connect, without a word. What it has accepted goes on."""


def attach(sock: socket.socket, program: Iterable[tuple[int, int, int, int]]) -> None:
    """Replace the socket's filter: instructions as (code, jump if true, jump if false, operand). Raises OSError."""
    packed = [struct.pack("=HBBI", *one) for one in program]
    held = ctypes.create_string_buffer(b"".join(packed))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(packed), ctypes.addressof(held)))


def detach(sock: socket.socket) -> None:
    """Without a filter from now on; one that has none is no error."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
