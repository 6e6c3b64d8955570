"""Events: every decision and every change of health, one JSON line each, kept on the node that saw it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from outlast.record.event import Event

__all__ = ["KEEP_BYTES", "Event", "Journal", "read"]

KEEP_BYTES = 4 * 1024 * 1024
KEEP_UNWRITTEN = 200


class Journal:
    """An append-only file of events, halved when it grows beyond KEEP_BYTES."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self.node = node
        self._seq = max((event.seq for event in read(path)), default=0)
        self._torn = _is_torn(path)
        self._unwritten: list[Event] = []

    def add(self, at: float, service: str, code: str, sentence: str, evidence: str = "") -> Event:
        """Writes one event. On a full disk it is kept, with up to KEEP_UNWRITTEN others, until there is room again."""
        self._seq += 1
        event = Event(self._seq, at, self.node, service, code, sentence, evidence)
        self._unwritten = [*self._unwritten[1 - KEEP_UNWRITTEN :], event]
        size: int | None = None
        try:
            with self.path.open("ab") as file:
                size = file.tell()
                # Behind half a line, left by a power cut, a new one begins.
                lines = b"".join(msgspec.json.encode(one) + b"\n" for one in self._unwritten)
                file.write((b"\n" if self._torn else b"") + lines)
                file.flush()
                self._torn, self._unwritten, size = False, [], None
                large = file.tell() > KEEP_BYTES
            if large:
                self._halve()
        except OSError:
            if size is not None:
                # What fitted of them is written again with the others.
                with contextlib.suppress(OSError):
                    os.truncate(self.path, size)
        return event

    def _halve(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_bytes(b"".join(lines[len(lines) // 2 :]))
        os.replace(fresh, self.path)


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # absent or empty
        return False


def read(path: Path, after: int = 0) -> list[Event]:
    """Events with a seq above `after`; a torn last line (power cut) is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            event = msgspec.json.decode(line, type=Event)
        except msgspec.DecodeError:
            continue
        if event.seq > after:
            found.append(event)
    return found
