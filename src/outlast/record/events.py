"""Events: every decision and every change of health, one JSON line each, kept on the node that saw it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from outlast.record.event import Event

__all__ = ["KEEP_BYTES", "Event", "Journal", "read"]

KEEP_BYTES = 4 * 1024 * 1024


class Journal:
    """An append-only file of events, halved when it grows beyond KEEP_BYTES."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self.node = node
        self._seq = max((event.seq for event in read(path)), default=0)
        self._torn = _is_torn(path)

    def add(self, at: float, service: str, code: str, sentence: str, evidence: str = "") -> Event:
        """Writes one event; a full disk loses the event, never the agent."""
        self._seq += 1
        event = Event(self._seq, at, self.node, service, code, sentence, evidence)
        try:
            with self.path.open("ab") as file:
                # Behind half a line, left by a power cut, a new one begins.
                file.write((b"\n" if self._torn else b"") + msgspec.json.encode(event) + b"\n")
                self._torn = False
                large = file.tell() > KEEP_BYTES
            if large:
                self._halve()
        except OSError:
            pass
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
