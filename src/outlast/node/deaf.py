"""Makes a listening socket of another program deaf for a while: others may connect, and nothing that they say arrives.

A filter in the kernel that knows the time (eBPF): after its end it passes everything, whoever may be dead by then, and
nobody has to take it away. What is accepted meanwhile inherits it, so a client that is reset before that end has said
nothing that anybody heard, and is free to say it to somebody else.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from outlast.node.pulse import PROC

BPF, PIDFD_GETFD = {"x86_64": (321, 438), "aarch64": (280, 438)}.get(os.uname().machine, (0, 0))
"""System calls' numbers (asm/unistd.h)."""
BPF_PROG_LOAD, SOCKET_FILTER = 5, 1
"""bpf(2)."""
SO_ATTACH_BPF = 50
SOURCE = -0x100000 + 12
"""Where an IPv4 header has its sender, from where the kernel keeps that header (SKF_NET_OFF)."""
LISTEN = "0A"
"""A listening socket's state in /proc/net/tcp."""
_ATTRIBUTES = struct.Struct("=IIQQIIQI")
_INSTRUCTION = struct.Struct("=BBhi")

_libc = ctypes.CDLL(None, use_errno=True)


def deafen(address: str, port: int, seconds: float) -> int:
    """How many sockets that listen there are deaf now, for so long; a later call replaces an earlier one.

    What comes from this address itself is heard.

    Raises OSError where the kernel has no such filters, or this process may not (root may).
    """
    count = 0
    with os.fdopen(_filter(address, time.monotonic_ns() + round(seconds * 1e9)), "rb") as program:
        for pid, number in holders(listeners(address, port)):
            # Held for no longer than this: a copy would keep the port taken when the program ends.
            with socket.socket(fileno=_copy(pid, number)) as listener:
                listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program.fileno())
                count += 1
    return count


def listeners(address: str, port: int) -> frozenset[str]:
    """Inodes of the sockets that listen at this IPv4 address, as the files of a process are named."""
    there = f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:{port:04X}"
    lines = [line.split() for line in (PROC / "net" / "tcp").read_text(encoding="ascii").splitlines()]
    return frozenset(f"socket:[{line[9]}]" for line in lines if line[1] == there and line[3] == LISTEN)


def holders(wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Process and file number of one holder of each of these sockets."""
    left = set(wanted)
    for process in PROC.glob("[0-9]*"):
        if not left:
            return
        # One that ended meanwhile holds nothing.
        with suppress(OSError):
            for number in os.listdir(process / "fd"):
                name = _name(process / "fd" / number)
                if name in left:
                    left.remove(name)
                    yield int(process.name), int(number)


def _name(path: Path) -> str:
    with suppress(OSError):
        return os.readlink(path)
    return ""


def _copy(pid: int, number: int) -> int:
    handle = os.pidfd_open(pid)
    try:
        return _call(PIDFD_GETFD, handle, number, 0)
    finally:
        os.close(handle)


def _filter(own: str, until: int) -> int:
    """A program that keeps one byte of each packet until this moment of the monotonic clock, ns, and all of it later.

    One byte is less than the header, which the kernel keeps in any case: what is lost is what was said.
    """
    steps = (
        (0xBF, 0x16, 0, 0),  # r6 = r1, the packet, where the next step looks for it
        (0x20, 0, 0, SOURCE),  # r0 = who sent it
        (0x16, 0, 6, _signed(int.from_bytes(socket.inet_aton(own), "big"))),  # we ourselves: everything
        (0x85, 0, 0, 5),  # r0 = bpf_ktime_get_ns()
        (0x18, 1, 0, _signed(until & 0xFFFFFFFF)),  # r1 = until, in two steps
        (0x00, 0, 0, _signed(until >> 32)),
        (0x2D, 0x10, 2, 0),  # later: everything
        (0xB7, 0, 0, 1),  # r0 = 1
        (0x95, 0, 0, 0),
        (0xB4, 0, 0, -1),  # r0 = everything
        (0x95, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*step) for step in steps))
    licence = ctypes.create_string_buffer(b"GPL")
    size = len(steps)
    packed = _ATTRIBUTES.pack(SOCKET_FILTER, size, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0)
    attributes = ctypes.create_string_buffer(packed, 128)
    return _call(BPF, BPF_PROG_LOAD, ctypes.addressof(attributes), len(attributes))


def _signed(word: int) -> int:
    return word - (1 << 32) if word >= 1 << 31 else word


def _call(number: int, *words: int) -> int:
    if not number:
        raise OSError(0, f"no such system call is known for {os.uname().machine}")
    found = int(_libc.syscall(number, *(ctypes.c_long(word) for word in words)))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
