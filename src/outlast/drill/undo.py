"""The undo journal: what is broken now, on disk before it is broken.

One JSON line per injection, one more when it was taken back. After a crash at any moment `heal` takes back what is
still open, last first.
"""

from __future__ import annotations

import contextlib
import os
import threading
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.table import verb
from outlast.drill.faults.verb import Record
from outlast.errors import OutlastError

NAME = "undo.jsonl"


class UndoJournal:
    """The file in a folder. Safe for several threads; lines of several processes do not mix either (O_APPEND)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._lock = threading.Lock()

    def open(self, record: Record) -> None:
        """Note what is about to be done. On return it is on disk. Raises OSError: then nothing may be done."""
        self._append({"open": record})

    def close(self, fault: str) -> None:
        """Note that a fault was taken back."""
        self._append({"undone": fault})

    def still_open(self) -> tuple[Record, ...]:
        """Records of what was noted and not taken back, in the order of their injection.

        A line cut short by a crash is left out: what it was to note had not begun.
        """
        found: dict[str, Record] = {}
        for line in self.path.read_bytes().split(b"\n") if self.path.exists() else ():
            entry = _decoded(line)
            if "open" in entry:
                found[str(entry["open"]["id"])] = entry["open"]
            elif "undone" in entry:
                found.pop(str(entry["undone"]), None)
        return tuple(found.values())

    def _append(self, entry: dict[str, Any]) -> None:
        # A newline on both sides: behind half a line, left by a crash, a new one begins.
        data = b"\n" + msgspec.json.encode(entry) + b"\n"
        with self._lock:
            fresh = not self.path.exists()
            if fresh:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.write(fd, data) != len(data):
                    raise OSError(f"{self.path} could not be written whole")
                os.fsync(fd)
            finally:
                os.close(fd)
            if fresh:
                _sync_folder(self.path.parent)


@dataclass(frozen=True)
class Healed:
    """In sentences: what was taken back, and what could not be (it stays open in the journal)."""

    undone: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def heal(hands: Hands, folder: Path) -> Healed:
    """Take back all that is still open in the folder's journal, last first. Safe to repeat."""
    journal = UndoJournal(folder)
    undone, failed = [], []
    for record in reversed(journal.still_open()):
        what = describe(record)
        try:
            verb(record["verb"]).undo(hands, record)
            journal.close(record["id"])
            undone.append(f"undone: {what}")
        except (OutlastError, OSError, xmlrpc.client.Error) as error:
            failed.append(f"{what}: {error}")
    return Healed(tuple(undone), tuple(failed))


def describe(record: Record) -> str:
    """A fault in words: "pause galera on c1 (program=galera)"."""
    options = ", ".join(f"{key}={value}" for key, value in record["options"].items())
    return f"{record['verb']} on {', '.join(record['nodes'])}" + (f" ({options})" if options else "")


def _decoded(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(line)
        if isinstance(found, dict):
            return found
    return {}


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
