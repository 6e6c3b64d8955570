"""The guards' own journals (node/guard/journal.py) as events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from outlast.record.event import Event

_KNOWN = frozenset({"guard", "at", "monotonic", "code", "sentence", "evidence"})


def read(folder: Path, node: str) -> list[Event]:
    """Events of all guards on the node, in time order; torn lines are left out, and so are files that cannot be read.

    The service is the guard's name; what else a guard wrote down is evidence. `seq` counts lines of a file.
    """
    found: list[Event] = []
    # A journal that has grown is turned over to `.1` once.
    for path in sorted([*folder.glob("*.events.1"), *folder.glob("*.events.jsonl")]):
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            continue
        found += [event for seq, line in enumerate(lines, 1) if (event := _event(seq, node, line))]
    return sorted(found, key=lambda event: event.at)


def _event(seq: int, node: str, line: bytes) -> Event | None:
    try:
        said = msgspec.json.decode(line, type=dict[str, Any])
        at, code, sentence = float(said["at"]), str(said["code"]), str(said["sentence"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
    more = [f"{key} {value}" for key, value in said.items() if key not in _KNOWN]
    evidence = str(said.get("evidence", "")) or ", ".join(more)
    return Event(seq, at, node, str(said.get("guard", "guard")), code, sentence, evidence)
