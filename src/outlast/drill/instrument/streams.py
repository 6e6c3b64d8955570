"""Tenant streams: ICMP echo with sequence numbers, 100 a second where the machine bears it, in its own thread."""

from __future__ import annotations

import itertools
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from outlast.drill.instrument.order import Stream
from outlast.record.history import Packet

LOST_AFTER = 5.0
"""Seconds after which a packet will not come back any more."""

_HEADER = struct.Struct(">BBHHH")
_BODY = struct.Struct(">8sQ")
_REQUEST, _REPLY = 8, 0
_FILLING = bytes(32)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def request(ident: int, seq: int, token: bytes) -> bytes:
    """An echo request (RFC 792). The whole sequence number is in the body, its low 16 bits in the header."""
    body = _BODY.pack(token, seq) + _FILLING
    head = _HEADER.pack(_REQUEST, 0, 0, ident, seq & 0xFFFF)
    return _HEADER.pack(_REQUEST, 0, checksum(head + body), ident, seq & 0xFFFF) + body


def reply_seq(packet: bytes, token: bytes) -> int | None:
    """The sequence number of one of our answers in an IPv4 packet; None for anybody else's."""
    start = (packet[0] & 0x0F) * 4 if packet else 0
    body = packet[start + _HEADER.size :]
    if len(body) < _BODY.size or packet[start] != _REPLY:
        return None
    found, seq = _BODY.unpack_from(body)
    return int(seq) if found == token else None


class Flights:
    """Packets of one stream that are under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sent: dict[int, float] = {}

    def left(self, seq: int, at: float) -> None:
        self._sent[seq] = at

    def came(self, seq: int, at: float) -> Packet | None:
        """None for one that came twice, or too late."""
        sent = self._sent.pop(seq, None)
        return None if sent is None else Packet(stream=self.name, seq=seq, sent=sent, received=at)

    def lost(self, before: float) -> list[Packet]:
        """Those sent before that time; they are under way no longer."""
        # Sequence numbers, and so dict order, follow the time of sending.
        gone = list(itertools.takewhile(lambda item: item[1] < before, self._sent.items()))
        for seq, _ in gone:
            del self._sent[seq]
        return [Packet(stream=self.name, seq=seq, sent=sent) for seq, sent in gone]

    def __len__(self) -> int:
        return len(self._sent)


@dataclass(frozen=True)
class _Line:
    address: str
    socket: socket.socket
    flights: Flights
    ident: int
    token: bytes


class Streams:
    """Raises PermissionError where raw sockets are not allowed."""

    def __init__(self, streams: tuple[Stream, ...], note: Callable[[Packet], None]) -> None:
        self._note = note
        self._end = threading.Event()
        self._lines = [_open(stream) for stream in streams]
        self._period = min((stream.period for stream in streams), default=1.0)
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sends no more, and waits for what is under way."""
        self._end.set()
        self._thread.join(LOST_AFTER + 1.0)

    def _run(self) -> None:
        begun = time.monotonic()
        for seq in itertools.count():
            if self._end.is_set():
                break
            due = begun + seq * self._period
            self._receive(due)
            for line in self._lines:
                _send(line, seq)
            if seq % 50 == 0:
                self._give_up(time.monotonic() - LOST_AFTER)
        until = time.monotonic() + LOST_AFTER
        while any(len(line.flights) for line in self._lines) and time.monotonic() < until:
            self._receive(time.monotonic() + 0.05)
        self._give_up(float("inf"))
        for line in self._lines:
            line.socket.close()

    def _receive(self, until: float) -> None:
        """Takes what comes until then; at least what is there already."""
        by_socket = {line.socket: line for line in self._lines}
        while True:
            ready, _, _ = select.select(list(by_socket), [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return
            at = time.monotonic()
            for own in ready:
                # "Unreachable" is reported here, too: the packet that it is about is lost.
                with suppress(OSError):
                    self._take(by_socket[own], at)

    def _take(self, line: _Line, at: float) -> None:
        seq = reply_seq(line.socket.recv(2048), line.token)
        packet = line.flights.came(seq, at) if seq is not None else None
        if packet is not None:
            self._note(packet)

    def _give_up(self, before: float) -> None:
        for line in self._lines:
            for packet in line.flights.lost(before):
                self._note(packet)


def _open(stream: Stream) -> _Line:
    own = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    own.setblocking(False)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    token = os.urandom(8)
    return _Line(stream.address, own, Flights(stream.name), int.from_bytes(token[:2]), token)


def _send(line: _Line, seq: int) -> None:
    line.flights.left(seq, time.monotonic())
    # Without a route the packet is lost as well as one that nobody answers.
    with suppress(OSError):
        line.socket.sendto(request(line.ident, seq, line.token), (line.address, 0))
