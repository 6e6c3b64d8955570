"""Locks and records of a lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outlast.lab.errors import LabError
from outlast.lab.ownership import destroy
from outlast.lab.processes import Process, process
from outlast.lab.state import NodeRecord, locked, place


def test_record_survives_its_file(tmp_path: Path) -> None:
    where = place(tmp_path / "demo")
    where.node_dir("c1").mkdir(parents=True)
    record = NodeRecord("on", "/image", ("/sbin/init", "-x"), "boot", 12, 34)
    where.write_record("c1", record)
    assert where.read_record("c1") == record
    assert where.read_record("c2") is None


def test_damaged_topology_is_named(tmp_path: Path) -> None:
    (tmp_path / "topology.json").write_text("{")
    with pytest.raises(LabError, match=r"topology\.json cannot be read"):
        place(tmp_path).read_topology()


def test_lock_excludes(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(LabError, match="lab.busy"), locked(tmp_path, alone=False, seconds=0):
        pass


def test_shared_locks_share(tmp_path: Path) -> None:
    with locked(tmp_path, alone=False), locked(tmp_path, alone=False, seconds=0):
        pass


def test_lock_is_held_as_long_as_an_inheritor_lives(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        inherited = os.dup(lock)
    with pytest.raises(LabError, match="lab.busy"), locked(tmp_path, seconds=0):
        pass
    os.close(inherited)
    with locked(tmp_path, seconds=0):
        pass


def test_recycled_pid_is_not_the_process() -> None:
    me = process(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not Process(me.pid, me.started - 1).is_alive()


def test_destroy_refuses_a_folder_that_is_no_lab(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    with pytest.raises(LabError, match="not a lab's folder"):
        destroy(tmp_path)
    assert precious.exists()
