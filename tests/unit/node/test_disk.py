"""Atomic writes, what counts as stale, and memory that survives a torn file."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from outlast.node import disk
from outlast.spec.bundle import BundleFile
from outlast.spec.file import Directory

ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name


def file(path: Path, text: str = "hello ⟦x⟧\n", mode: int = 0o640, once: bool = False) -> BundleFile:
    return BundleFile(str(path), text, mode, ME, MINE, "restart", once, "digest")


def write(wanted: BundleFile, durable: bool = True) -> None:
    path, content = Path(wanted.path), wanted.text.encode()
    disk.write(path, content, wanted.mode, wanted.owner, wanted.group, durable=durable)


@pytest.mark.parametrize("durable", [True, False])
def test_a_written_file_is_current(tmp_path: Path, durable: bool) -> None:
    wanted = file(tmp_path / "new" / "folder" / "a.conf")
    assert disk.stale([wanted]) == (wanted.path,)
    write(wanted, durable)
    assert disk.stale([wanted]) == ()
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.conf"], "no temporary file stays"


def test_content_and_mode_make_a_file_stale(tmp_path: Path) -> None:
    wanted = file(tmp_path / "a")
    write(wanted)
    assert disk.stale([replace(wanted, text="other")]) == (wanted.path,)
    assert disk.stale([replace(wanted, mode=0o600)]) == (wanted.path,)
    os.chmod(wanted.path, 0o666)
    assert disk.stale([wanted]) == (wanted.path,)
    write(wanted)
    assert disk.stale([wanted]) == ()


def test_a_once_file_is_stale_only_while_absent(tmp_path: Path) -> None:
    """Rotated keys are runtime state: whatever stands there now is right."""
    wanted = file(tmp_path / "key", once=True)
    assert disk.stale([wanted]) == (wanted.path,)
    Path(wanted.path).write_text("rotated")
    assert disk.stale([wanted]) == ()


def test_a_user_that_is_not_there_yet_makes_a_file_stale(tmp_path: Path) -> None:
    """Looking must not end the agent; writing then tells what is missing."""
    wanted = replace(file(tmp_path / "a"), owner="nobody-of-this-name")
    Path(wanted.path).write_text(wanted.text)
    assert disk.stale([wanted]) == (wanted.path,)
    with pytest.raises(KeyError):
        write(wanted)


def test_a_folder_in_the_place_of_a_file_is_stale(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    assert disk.stale([file(tmp_path / "a", mode=0o755)]) == (str(tmp_path / "a"),)


def test_a_reader_sees_old_or_new_and_never_a_mixture(tmp_path: Path) -> None:
    path = tmp_path / "a"
    disk.write(path, b"old", owner=ME, group=MINE)
    with path.open("rb") as reader:
        disk.write(path, b"new and longer", owner=ME, group=MINE)
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new and longer"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    disk.write(path, b"old", owner=ME, group=MINE)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        disk.write(path, b"new", owner=ME, group=MINE)
    assert path.read_bytes() == b"old"


def test_content_is_secret_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mode is right before the name is: nobody can open a secret in between."""
    modes = []
    replaced = os.replace

    def looking(source: str, target: str) -> None:
        modes.append(os.stat(source).st_mode & 0o777)
        replaced(source, target)

    monkeypatch.setattr(os, "replace", looking)
    disk.write(tmp_path / "a", b"x", 0o600, ME, MINE)
    assert modes == [0o600]


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    disk.write(tmp_path / "link", b"new", owner=ME, group=MINE)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_memory_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.write, "__defaults__", (0o644, ME, MINE))
    memory = disk.Memory({"galera": "d1"}, {"haproxy": "d2"}, frozenset({"s"}), ("c1", "c2"), 7).with_step("t")
    disk.save(tmp_path / "memory.json", memory)
    assert disk.load(tmp_path / "memory.json") == memory
    assert memory.steps == {"s", "t"}
    assert (tmp_path / "memory.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, b"", b'{"started": {"gal', b"[]", b'{"steps": 3}'])
def test_a_missing_or_torn_memory_is_empty(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "memory.json"
    if content is not None:
        path.write_bytes(content)
    assert disk.load(path) == disk.Memory()


def test_a_directory_gets_its_mode_and_keeps_its_content(tmp_path: Path) -> None:
    wanted = Directory(str(tmp_path / "a" / "b"), 0o750, ME, MINE)
    disk.ensure(wanted)
    (tmp_path / "a" / "b" / "file").write_text("x")
    os.chmod(wanted.path, 0o777)
    disk.ensure(wanted)
    assert Path(wanted.path).stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "a" / "b" / "file").read_text() == "x"


def test_a_file_that_says_nothing_holds_the_agent_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "PAUSE", tmp_path / "pause")
    assert disk.paused() == ""
    disk.PAUSE.write_text("\n")
    assert disk.paused() == "no reason given"
    disk.PAUSE.write_text("new disk\n")
    assert disk.paused() == "new disk"
