"""What the guards wrote down since the agent last looked, for its own events: guards speak to nobody else."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from outlast.node import disk

FOLDER = disk.GUARDS
END = ".events.jsonl"
COMMON = ("guard", "at", "monotonic", "code", "sentence")


@dataclass(frozen=True)
class Told:
    """One event of a guard. `at`: wall time in seconds; `evidence`: what the guard calls so, else its other words."""

    at: float
    service: str
    code: str
    sentence: str
    evidence: str


class GuardEvents:
    """Reads each guard's file from where it last stopped; the place is kept for this boot, like the files."""

    def __init__(self, folder: Path = FOLDER, place: Path = disk.RUN / "guard-events.json") -> None:
        self.folder, self.place = folder, place
        self.seen: dict[str, tuple[int, int]] = {}
        with suppress(OSError, ValueError, AttributeError, TypeError):
            found = json.loads(place.read_text(encoding="utf-8"))
            self.seen = {str(name): (int(inode), int(offset)) for name, (inode, offset) in found.items()}

    def news(self) -> list[Told]:
        """Events since the last call, whole lines only. Files that cannot be read have none."""
        before, found = dict(self.seen), []
        for path in sorted(self.folder.glob(f"*{END}")):
            with suppress(OSError):
                found += [told for line in self._read(path) if (told := _told(line))]
        if self.seen != before:
            with suppress(OSError):
                disk.write(self.place, json.dumps(self.seen).encode(), durable=False)
        return found

    def _read(self, path: Path) -> list[bytes]:
        service = path.name.removesuffix(END)
        inode, offset = self.seen.get(service, (0, 0))
        now, lines = path.stat().st_ino, []
        if now != inode:
            # The guard turned its file over: what was not read of the old one comes first.
            old = path.with_suffix(".1")
            lines = _lines(old, offset) if old.exists() and old.stat().st_ino == inode else []
            offset = 0
        fresh = _lines(path, offset)
        self.seen[service] = now, offset + sum(map(len, fresh))
        return lines + fresh


def _lines(path: Path, offset: int) -> list[bytes]:
    """Whole lines behind an offset."""
    with path.open("rb") as stream:
        stream.seek(offset)
        return [line for line in stream.read().splitlines(keepends=True) if line.endswith(b"\n")]


def _told(line: bytes) -> Told | None:
    try:
        found = json.loads(line)
        more = ", ".join(f"{key} {value}" for key, value in found.items() if key not in COMMON)
        evidence = str(found.get("evidence", "")) or more
        return Told(float(found["at"]), str(found["guard"]), str(found["code"]), str(found["sentence"]), evidence)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
