"""Run folders: what is read, and what happens with broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_runs import everything, row, write_folder

from outlast.errors import InputError
from outlast.record.run import Mark, RunFolder
from outlast.report import folders


def test_folders_are_found_oldest_first_with_what_they_say(tmp_path: Path) -> None:
    rows = everything()
    for one in reversed(rows):
        write_folder(tmp_path, one)
    found = folders.find(tmp_path)
    assert [one.record.id for one in found.rows] == [one.record.id for one in rows]
    assert [one.verdict for one in found.rows] == [one.verdict for one in rows]
    assert [path.name for path in found.paths] == [one.record.id for one in rows]
    assert (found.rows[0].held, found.rows[0].watched) == (15.0, 35.0)
    assert found.unreadable == ()


def test_a_run_without_a_verdict_is_unknown_and_says_why(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, row())
    (folder.path / "verdict.json").unlink()
    found = folders.row(folder)
    assert (found.verdict.result, found.verdict.reasons) == ("unknown", (folders.NO_VERDICT,))


def test_a_broken_folder_is_named_and_does_not_hide_the_others(tmp_path: Path) -> None:
    write_folder(tmp_path, row(number=1))
    broken = write_folder(tmp_path, row(number=2))
    (broken.path / "run.json").write_text("{")
    (tmp_path / "empty").mkdir()
    found = folders.find(tmp_path)
    assert len(found.rows) == 1
    (said,) = found.unreadable
    assert said.startswith("report.run-unreadable: ") and broken.path.name in said


def test_broken_evidence_is_an_error_with_the_folder_s_name(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, row())
    folder.append("history.jsonl", [{"neither": 1}])
    with pytest.raises(InputError, match=r"report\.run-unreadable.*power-vip-holder"):
        folders.seen(folder)


def test_a_fault_that_never_took_effect_was_held_for_no_known_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write("run.json", row().record)
    folder.append("marks.jsonl", [Mark(at=1.0, what="inject"), Mark(at=2.0, what="undo")])
    found = folders.row(folder)
    assert (found.held, found.watched) == (None, None)


def test_the_undo_that_counts_is_the_first_after_the_last_fault(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write("run.json", row().record)
    times = (("took-effect", 1), ("undo", 2), ("took-effect", 5), ("undo", 9), ("undo", 11), ("timeout", 30))
    folder.append("marks.jsonl", [Mark(at=at, what=what) for what, at in times])
    found = folders.row(folder)
    assert (found.held, found.watched) == (4.0, 25.0)
