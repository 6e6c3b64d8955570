"""The journal: numbers that go on, torn lines that do not matter, a size that stays."""

from __future__ import annotations

import subprocess
import sys
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


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    journal = Journal(folder / "events", "c1")
    assert journal.add(1.0, "", "a", "b").seq == 1
    journal.add(2.0, "", "c", "d")
    folder.mkdir(parents=True)
    journal.add(3.0, "", "e", "f")
    assert [(one.seq, one.at, one.code) for one in read(journal.path)] == [(1, 1.0, "a"), (2, 2.0, "c"), (3, 3.0, "e")]
    journal.add(4.0, "", "g", "h")
    assert [one.seq for one in read(journal.path)] == [1, 2, 3, 4]


@pytest.mark.parametrize("room", [0, 1, 70, 150])
def test_a_full_disk_tears_no_event(tmp_path: Path, room: int) -> None:
    """A file that may not grow beyond a limit stands for the disk: the write that does not fit ends with an error."""
    code = f"""
import resource, signal
from pathlib import Path
from outlast.record.events import Journal, read
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path({str(tmp_path / "e")!r}), "c1")
journal.add(1.0, "", "before", "x")
full = journal.path.stat().st_size + {room}
resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
for number in range(3):
    journal.add(2.0, "", "during", "a sentence of some length")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.add(3.0, "", "after", "y")
print([one.seq for one in read(journal.path)], journal.path.read_bytes().count(bytes([10])))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1, 2, 3, 4, 5] 5"


def test_of_what_cannot_be_written_the_latest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_UNWRITTEN", 3)
    folder = tmp_path / "not" / "yet"
    journal = Journal(folder / "events", "c1")
    for number in range(9):
        journal.add(float(number), "", "a", "b")
    folder.mkdir(parents=True)
    journal.add(9.0, "", "a", "b")
    assert [one.seq for one in read(journal.path)] == [8, 9, 10]


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
