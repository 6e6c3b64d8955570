"""What a guard tells the node's agent: its state as one JSON file, its deeds as lines of JSON."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

EVENTS_LIMIT = 1_000_000


class Journal:
    """`<state>/<name>.json` is replaced atomically, `<state>/<name>.events.jsonl` grows (and is turned over at 1 MB).

    `at` is wall-clock time, `monotonic` the node's monotonic clock; a state older than about 2 s has no guard.
    A journal that cannot be written (disk full) never stops the guarding.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.json"
        self.events = folder / f"{name}.events.jsonl"
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)

    def last(self) -> dict[str, Any]:
        """The state last published, by this guard or one before it; empty when there is none."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def publish(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        text = json.dumps({"guard": self.name, "guard_pid": os.getpid(), **_clock(), **state})
        write_atomically(self.path, text + "\n")

    def event(self, code: str, sentence: str, **details: object) -> None:
        """Append one event and print it for the log."""
        line = json.dumps({"guard": self.name, **_clock(), "code": code, "sentence": sentence, **details}) + "\n"
        try:
            os.write(2, f"guard {self.name}: {code}: {sentence}\n".encode())
            if self.events.exists() and self.events.stat().st_size > EVENTS_LIMIT:
                self.events.replace(self.events.with_suffix(".1"))
            with self.events.open("a", encoding="utf-8") as stream:
                stream.write(line)
        except OSError:
            pass


def _clock() -> dict[str, float]:
    return {"at": round(time.time(), 3), "monotonic": round(time.monotonic(), 3)}


def write_atomically(path: Path, text: str) -> bool:
    """Replace a file's content in one step; False when that failed (no space, folder gone)."""
    waiting = path.with_name(f".{path.name}.new")
    try:
        waiting.write_text(text, encoding="utf-8")
        waiting.replace(path)
    except OSError:
        return False
    return True
