"""The journal: numbers that go on, torn lines that do not matter, a size that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.record import events
from outlast.record.events import Journal, read


def test_events_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "e.jsonl", "c1")
    made = [journal.add(float(n), "nova", "member.start", f"sentence {n} ⟦é⟧\nsecond line") for n in range(5)]
    assert read(journal.path) == made
    assert [event.seq for event in made] == [1, 2, 3, 4, 5]
    assert read(journal.path, after=3) == made[3:]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    Journal(tmp_path / "e", "c1").add(1.0, "", "a", "b")
    assert Journal(tmp_path / "e", "c1").add(2.0, "", "a", "b").seq == 2


@pytest.mark.parametrize("torn", [b'{"seq": 2, "at"', b"\x00\x00\x00", b"\xff\xfe", b"", b"[]\n"])
def test_a_torn_line_is_left_out_and_the_next_one_is_not(tmp_path: Path, torn: bytes) -> None:
    """A power cut may leave half a line; what is written next must not be lost with it."""
    path = tmp_path / "e"
    first = Journal(path, "c1").add(1.0, "", "a", "first")
    with path.open("ab") as file:
        file.write(torn)
    second = Journal(path, "c1").add(2.0, "", "a", "second")
    assert read(path) == [first, second]


def test_no_file_is_no_event(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []


def test_a_full_disk_loses_the_event_and_not_the_agent(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "no" / "such" / "folder", "c1")
    assert journal.add(1.0, "", "a", "b").seq == 1


def test_it_stays_small_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_BYTES", 4000)
    journal = Journal(tmp_path / "e", "c1")
    for number in range(300):
        journal.add(float(number), "nova", "code", "a sentence of some length")
        assert journal.path.stat().st_size <= 4000 + 200
    seqs = [event.seq for event in read(journal.path)]
    assert seqs[-1] == 300
    assert seqs == list(range(seqs[0], 301)), "no gap"
    assert Journal(journal.path, "c1").add(1.0, "", "a", "b").seq == 301
