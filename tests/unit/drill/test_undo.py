"""The undo journal: what is noted is on disk, whatever happens next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from example_clusters import opened
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.faults.hands import Hands
from outlast.drill.undo import NAME, UndoJournal, describe, heal
from outlast.lab.runtime import Lab
from outlast.lab.state import place
from outlast.lab.topology import LabNode, Topology


def record(fault: str, verb: str = "kill", **details: object) -> dict[str, object]:
    return {"id": fault, "verb": verb, "nodes": ["c1"], "options": {"program": "nova-api"}, "processes": [], **details}


def names(journal: UndoJournal) -> list[str]:
    return [one["id"] for one in journal.still_open()]


def test_open_until_undone(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path / "not" / "yet")
    assert names(journal) == []
    for fault in ("a", "b", "c"):
        journal.open(record(fault))
    journal.close("b")
    assert names(UndoJournal(tmp_path / "not" / "yet")) == ["a", "c"]
    assert journal.still_open()[0] == record("a")


def test_the_same_fault_again_is_open_again(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path)
    journal.open(record("a"))
    journal.close("a")
    journal.open(record("a"))
    assert names(journal) == ["a"]


@given(st.integers(1, 400))
def test_a_torn_end_loses_at_most_what_had_not_begun(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    journal = UndoJournal(tmp_path_factory.mktemp("torn"))
    journal.open(record("a"))
    safe = journal.path.stat().st_size
    journal.open(record("b"))
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[: max(safe, len(data) - cut)])
    assert names(journal) in (["a"], ["a", "b"])
    journal.open(record("c"))
    journal.close("a")
    assert names(journal) in (["c"], ["b", "c"])


def test_a_drill_killed_between_note_and_deed_has_noted_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from outlast.drill.undo import UndoJournal\n"
        "UndoJournal(Path(sys.argv[1])).open({'id': 'a', 'verb': 'kill', 'nodes': ['c1'], 'options': {}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert names(UndoJournal(tmp_path)) == ["a"]


def test_a_note_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(OSError):
        UndoJournal(tmp_path).open(record("a"))


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path)
    threads = [threading.Thread(target=journal.open, args=(record(f"f-{number}"),)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(journal)) == sorted(f"f-{number}" for number in range(16))


def hands(tmp_path: Path) -> Hands:
    where = place(tmp_path / "lab")
    return Hands(Lab(where, Topology(where.lab, where.lab_id, (), (LabNode("c1", (), 16),))), opened("galera").plan)


def test_heal_goes_backwards_and_wakes_what_sleeps(tmp_path: Path) -> None:
    """A process of our own stands for a node's program: it was stopped by a drill that is no more."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started = int(Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[19])
        os.kill(sleeper.pid, signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        entry = {"node": "c1", "program": "x", "alone": False, "all": [[sleeper.pid, started]]}
        journal = UndoJournal(tmp_path)
        journal.open(record("first"))
        journal.open(record("second", "pause", processes=[entry]))
        healed = heal(hands(tmp_path), tmp_path)
        assert [one.split()[1] for one in healed.undone] == ["pause", "kill"]
        assert healed.failed == ()
        os.waitpid(sleeper.pid, os.WCONTINUED)
        assert Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[0] in "SR"
        assert names(journal) == []
        assert heal(hands(tmp_path), tmp_path).undone == ()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        os.kill(sleeper.pid, signal.SIGSTOP)
        os.waitpid(sleeper.pid, os.WUNTRACED)
        entry = {"node": "c1", "program": "x", "alone": False, "all": [[sleeper.pid, 1]]}
        UndoJournal(tmp_path).open(record("a", "pause", processes=[entry]))
        assert len(heal(hands(tmp_path), tmp_path).undone) == 1
        assert Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_what_cannot_be_taken_back_stays_open_and_the_rest_is_done(tmp_path: Path) -> None:
    """The full volume of a node without power cannot be reached now."""
    journal = UndoJournal(tmp_path)
    journal.open(record("a"))
    journal.open(record("b", "fill", path="/var/lib/outlast/.drill-b"))
    healed = heal(hands(tmp_path), tmp_path)
    assert len(healed.undone) == 1
    assert len(healed.failed) == 1 and "lab.node-off" in healed.failed[0]
    assert names(journal) == ["b"]


def test_faults_in_words() -> None:
    assert describe(record("a")) == "kill on c1 (program=nova-api)"
    assert describe({"verb": "poweroff", "nodes": ["c1", "c2"], "options": {}}) == "poweroff on c1, c2"
