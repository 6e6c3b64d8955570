"""Run folders on disk to values: the only place of this package that reads files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from outlast.errors import InputError
from outlast.record.run import Mark, RunFolder
from outlast.record.verdict import Verdict
from outlast.report.row import Row
from outlast.report.timeline import Seen

NO_VERDICT = "the drill ended without a verdict"


@dataclass(frozen=True, kw_only=True)
class Found:
    """All runs below a folder, oldest first, and what could not be read, in words."""

    rows: tuple[Row, ...]
    paths: tuple[Path, ...]
    unreadable: tuple[str, ...] = ()


def find(root: Path) -> Found:
    """Every folder directly below `root` that holds a run.json. One that cannot be read is named and left out."""
    rows: list[tuple[Row, Path]] = []
    unreadable = []
    for path in sorted(root.glob("*/run.json")):
        try:
            rows.append((row(RunFolder(path.parent)), path.parent))
        except InputError as error:
            unreadable.append(str(error))
    rows.sort(key=lambda found: (found[0].record.started, found[0].record.id))
    return Found(
        rows=tuple(one for one, _ in rows),
        paths=tuple(path for _, path in rows),
        unreadable=tuple(unreadable),
    )


def row(folder: RunFolder) -> Row:
    """A run in short; one without a verdict is unknown.

    Raises InputError `report.run-unreadable`.
    """
    try:
        record, verdict, marks = folder.record(), folder.verdict(), folder.marks()
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise _unreadable(folder, error) from error
    if verdict is None:
        verdict = Verdict(
            scenario=record.scenario, profile=record.profile, result="unknown", levels=(), reasons=(NO_VERDICT,)
        )
    took = _last(marks, "took-effect")
    end = _last(marks, "load-stopped") or _last(marks, "timeout")
    undo = next((mark for mark in marks if mark.what == "undo" and took and mark.at >= took.at), None)
    return Row(record=record, verdict=verdict, held=_between(took, undo), watched=_between(took, end))


def seen(folder: RunFolder) -> Seen:
    """Everything a timeline is drawn from.

    Raises InputError `report.run-unreadable`.
    """
    short = row(folder)
    try:
        return Seen(
            row=short,
            operations=folder.history(),
            packets=folder.packets(),
            marks=folder.marks(),
            samples=folder.samples(),
            events=folder.events(),
            stalls=folder.stalls(),
        )
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: RunFolder, error: Exception) -> InputError:
    return InputError("report.run-unreadable", f"{folder.path}: {error}; move this run away, or run the drill again")


def _last(marks: Sequence[Mark], what: str) -> Mark | None:
    return next((mark for mark in reversed(marks) if mark.what == what), None)


def _between(begin: Mark | None, end: Mark | None) -> float | None:
    return end.at - begin.at if begin and end and end.at >= begin.at else None
