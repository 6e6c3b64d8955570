"""Generated once, kept for good, private from the first byte."""

from __future__ import annotations

import base64
import json
import os
import re
import uuid
from pathlib import Path

import pytest

from outlast.errors import InputError
from outlast.rollout import secrets
from outlast.spec.secret import PLACEHOLDER, SecretRef

WANTED = (SecretRef("db/nova"), SecretRef("keystone/fernet-0", "fernet"), SecretRef("swift/hash", "hex"))


def test_beside_the_file() -> None:
    assert secrets.path_for(Path("/x/lab.yaml")) == Path("/x/lab.secrets.json")


def test_missing_ones_are_made_and_stored(tmp_path: Path) -> None:
    path = tmp_path / "lab.secrets.json"
    made = secrets.complete(path, WANTED)
    assert set(made) == {ref.name for ref in WANTED}
    assert json.loads(path.read_text()) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_stored_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "lab.secrets.json"
    first = dict(secrets.complete(path, WANTED))
    again = secrets.complete(path, (*WANTED, SecretRef("user/admin")))
    assert {name: again[name] for name in first} == first
    assert "user/admin" in again
    before = path.stat().st_mtime_ns, path.stat().st_ino
    secrets.complete(path, WANTED)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before, "nothing missing, nothing written"


def test_rotated_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "lab.secrets.json"
    path.write_text('{"db/nova": "chosen-by_the.operator"}')
    assert secrets.complete(path, WANTED)["db/nova"] == "chosen-by_the.operator"


def test_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.secrets.json"
    assert set(secrets.complete(path, WANTED, store=False)) == {ref.name for ref in WANTED}
    assert list(tmp_path.iterdir()) == []


def test_private_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    replaced = os.replace

    def looking(source: Path, target: Path) -> None:
        modes.append(os.stat(source).st_mode & 0o777)
        replaced(source, target)

    monkeypatch.setattr(os, "replace", looking)
    secrets.complete(tmp_path / "s.json", WANTED)
    assert modes == [0o600]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '"x"', "null"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    """Making new ones would lock everybody out of a running cluster."""
    path = tmp_path / "lab.secrets.json"
    path.write_text(content)
    with pytest.raises(InputError, match="secrets.damaged") as caught:
        secrets.complete(path, WANTED)
    assert str(path) in caught.value.message
    assert path.read_text() == content


@pytest.mark.parametrize("value", ["", 'a"b', "a b", "p@ss", "50%", "it's", "a/b", "é", "a;b", "a#b", "a\nb", "$HOME"])
def test_a_value_that_needs_quoting_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "lab.secrets.json"
    path.write_text(json.dumps({"db/nova": value}))
    with pytest.raises(InputError, match="secrets.unsafe") as caught:
        secrets.read(path)
    assert "db/nova" in caught.value.message


def test_no_file_is_no_secret(tmp_path: Path) -> None:
    assert secrets.read(tmp_path / "none.json") == {}


def test_kinds() -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{32}", secrets.generate("password"))
    assert re.fullmatch(r"[0-9a-f]{64}", secrets.generate("hex"))
    assert len(base64.urlsafe_b64decode(secrets.generate("fernet"))) == 32
    assert uuid.UUID(secrets.generate("uuid")).version == 4
    for kind in ("password", "hex", "fernet", "uuid"):
        values = {secrets.generate(kind) for _ in range(50)}
        assert len(values) == 50
        assert not any(PLACEHOLDER.search(value) for value in values)
    with pytest.raises(ValueError, match="rot13"):
        secrets.generate("rot13")


@pytest.mark.parametrize("kind", ["password", "hex", "fernet", "uuid"])
def test_values_need_no_quoting_anywhere(kind: str) -> None:
    """They stand in URLs, SQL, shell scripts, JSON and INI files as they are."""
    for _ in range(50):
        assert re.fullmatch(r"[A-Za-z0-9_=-]+", secrets.generate(kind))
