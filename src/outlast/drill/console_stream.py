"""The tenant stream between two servers: one pings the other, and says on its console what came back.

The console is a file of its compute node. It is read while it grows, so each line gets the drill's own clock. What was
lost is known by number: `ping` counts every packet, and says at the end of each round (10 s) how many it has sent.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from outlast.drill.faults.hands import Hands
from outlast.errors import OutlastError
from outlast.record.history import Packet
from outlast.remote.in_root import open_in_root

INTERVAL = 0.05
"""Seconds between two packets, as the guest (lab/image/scripts/guest-init.sh) sends them."""
LOST_AFTER = 5.0
"""Seconds after which a packet will not come back any more."""
ROUND_SECONDS = 13.0
"""A round's end is heard within this time of any moment, if the guest runs at all."""
SILENT = 1.0
"""Seconds without a word after which the round's end is waited for."""
_POLL = 0.02
_BATCH = 50
_REPLY = re.compile(r"\d+ bytes from [0-9.]+: seq=(\d+) ttl=\d+ time=([0-9.]+) ms")
_SENT = re.compile(r"(\d+) packets transmitted, \d+ packets received")


class Replies:
    """Lines of a console, with the moments at which they were heard, to packets. Sequence numbers go on from round to
    round.

    The time of sending is that of the answer less its round trip; of a packet without answer it is what its number says
    between the times of its neighbours. A packet whose answer the end of its round cut off is not counted: neither as
    sent nor as lost.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        # Number of the round's first packet. None: we came in the middle of a round and have heard no answer yet.
        self._base: int | None = None
        self._last, self._last_sent = -1, 0.0
        self._patience = INTERVAL
        self._missing: dict[int, float] = {}

    def heard(self, line: str, at: float) -> list[Packet]:
        """What is known by this line and was not before."""
        if found := _REPLY.search(line):
            return self._answered(int(found[1]), float(found[2]) / 1000, at)
        if line.startswith("PING "):
            self._begin(at)
        elif found := _SENT.search(line):
            return self._end(int(found[1]), at)
        return []

    def overdue(self, before: float) -> list[Packet]:
        """Those sent before that time and without an answer: they are lost."""
        gone = [seq for seq, sent in self._missing.items() if sent < before]
        return [Packet(stream=self._stream, seq=seq, sent=self._missing.pop(seq)) for seq in gone]

    def _begin(self, at: float) -> None:
        self._base, self._last_sent, self._patience = self._last + 1, at - INTERVAL, INTERVAL

    def _answered(self, number: int, seconds: float, at: float) -> list[Packet]:
        if self._base is None:
            self._base, self._last = -number, -1
            self._last_sent = at - seconds - INTERVAL
        seq, sent = self._base + number, at - seconds
        self._patience = max(self._patience, 2 * seconds)
        if seq > self._last:
            self._missing |= self._between(seq, sent)
            self._last, self._last_sent = seq, sent
        elif self._missing.pop(seq, None) is None:
            return []
        return [Packet(stream=self._stream, seq=seq, sent=sent, received=at)]

    def _end(self, count: int, at: float) -> list[Packet]:
        if self._base is None:
            return []
        last = self._base + count - 1
        silent = self._between(last + 1, at)
        self._missing |= {seq: sent for seq, sent in silent.items() if seq < last and sent < at - self._patience}
        self._last = max(self._last, last)
        # No answer comes after this line.
        return self.overdue(float("inf"))

    def _between(self, seq: int, at: float) -> dict[int, float]:
        """Packets after the last that was answered and before seq, which left at that time."""
        step = (at - self._last_sent) / max(1, seq - self._last)
        return {one: self._last_sent + step * (one - self._last) for one in range(self._last + 1, seq)}


class ConsoleStream:
    """Follows a server's console in a thread of its own."""

    def __init__(self, name: str, hands: Hands, node: str, path: str) -> None:
        """path: of the console's file as the node sees it."""
        self._hands, self._node, self._path = hands, node, path
        self._replies = Replies(name)
        self._note: Callable[[Sequence[Packet]], None] = lambda packets: None
        self._offset = self._size()
        self._answered, self._rounds, self._rest = 0.0, 0, ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream-{name}", daemon=True)

    def speaks(self, seconds: float) -> bool:
        """Whether an answer is heard within this time. Before `start`."""
        end, replies = time.monotonic() + seconds, Replies("")
        while time.monotonic() < end:
            if any(replies.heard(line, 0.0) for line in self._lines()):
                return True
            self._end.wait(0.1)
        return False

    def start(self, note: Callable[[Sequence[Packet]], None]) -> None:
        self._note = note
        self._answered = time.monotonic()
        self._thread.start()

    def stop(self, patient: bool = True) -> None:
        """patient: where nothing has come lately, wait for the end of a round: only it says how many were lost."""
        end, rounds = time.monotonic() + (ROUND_SECONDS if patient else 0.0), self._rounds
        while time.monotonic() < end and self._rounds == rounds and time.monotonic() - self._answered > SILENT:
            self._end.wait(0.1)
        self._end.set()
        self._thread.join(5)

    def _run(self) -> None:
        known: list[Packet] = []
        while not self._end.wait(_POLL):
            lines, at = self._lines(), time.monotonic()
            fresh = [packet for line in lines for packet in self._replies.heard(line, at)]
            self._rounds += sum(_SENT.search(line) is not None for line in lines)
            if any(packet.received is not None for packet in fresh):
                self._answered = at
            known += [*fresh, *self._replies.overdue(at - LOST_AFTER)]
            if len(known) >= _BATCH:
                known = self._write(known)
        self._write(known + self._replies.overdue(float("inf")))

    def _write(self, known: list[Packet]) -> list[Packet]:
        """Few at a time: whole lines only reach a file that others write too."""
        for first in range(0, len(known), _BATCH):
            self._note(known[first : first + _BATCH])
        return []

    def _lines(self) -> list[str]:
        """Whole lines that have come. Nothing while the node has no power."""
        with suppress(OSError, OutlastError):
            self._rest += self._more().decode("ascii", "replace")
        *lines, self._rest = self._rest.split("\n")
        return [line.strip() for line in lines]

    def _open(self) -> int:
        # Closed again at once: a file that is held would keep the node's disk busy when its power is cut.
        return open_in_root(os.fspath(self._hands.lab.root_path(self._node)), self._path, os.O_RDONLY)

    def _more(self) -> bytes:
        file = self._open()
        try:
            if os.fstat(file).st_size < self._offset:
                self._offset = 0
            found = os.pread(file, 1 << 16, self._offset)
            self._offset += len(found)
            return found
        finally:
            os.close(file)

    def _size(self) -> int:
        with suppress(OSError, OutlastError):
            file = self._open()
            try:
                return os.fstat(file).st_size
            finally:
                os.close(file)
        return 0
