"""The script that takes code, bundle and permits on a node, run as it runs there: `python -c`, standard input."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import outlast.errors
from outlast.node.disk import HOME
from outlast.rollout import accept, code
from outlast.rollout.rollout import ACCEPT, BUNDLE_PATH


def archive(**texts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, text in texts.items():
            zipped.writestr(f"outlast/{name}.py", text)
    return buffer.getvalue()


def hand(home: Path, digest: str = "aaa", bundle: str = "{}", permits: tuple[str, ...] = (), data: bytes = b"") -> None:
    head = json.dumps({"permits": list(permits), "code": digest, "bundle": bundle}).encode()
    given = head + b"\n" + (data or archive(thing="X = 1\n"))
    argv = [sys.executable, "-I", "-S", "-c", ACCEPT, str(home)]
    subprocess.run(argv, input=given, check=True, capture_output=True, timeout=60)


def test_places_are_the_agents() -> None:
    assert str(HOME) == accept.HOME
    assert f"{accept.HOME}/bundle.json" == BUNDLE_PATH


def test_everything_is_taken(tmp_path: Path) -> None:
    hand(tmp_path, bundle='{"text": "⟦ünïcode⟧\\n"}', permits=("galera",))
    assert json.loads((tmp_path / "bundle.json").read_text()) == {"text": "⟦ünïcode⟧\n"}
    assert (tmp_path / "bundle.json").stat().st_mode & 0o777 == 0o600, "it holds secrets"
    assert (tmp_path / "permits" / "galera").exists()
    assert os.readlink(tmp_path / "code") == str(tmp_path / "code-aaa")
    assert (tmp_path / "code" / "outlast" / "thing.py").read_text() == "X = 1\n"
    assert list((tmp_path / "code" / "outlast" / "__pycache__").iterdir()), "compiled: the agent starts at once"


def test_again_changes_nothing(tmp_path: Path) -> None:
    hand(tmp_path)
    before = (tmp_path / "code-aaa").stat().st_ino
    hand(tmp_path)
    assert (tmp_path / "code-aaa").stat().st_ino == before


def test_new_code_replaces_old(tmp_path: Path) -> None:
    hand(tmp_path)
    hand(tmp_path, "bbb", data=archive(thing="X = 2\n"))
    assert os.readlink(tmp_path / "code") == str(tmp_path / "code-bbb")
    assert sorted(path.name for path in tmp_path.glob("code*")) == ["code", "code-bbb"]


def test_leftovers_of_an_interrupted_handover_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "code-aaa.new" / "outlast").mkdir(parents=True)
    (tmp_path / "code-aaa.new" / "outlast" / "half.py").write_text("X =")
    (tmp_path / "code.new").symlink_to("nowhere")
    (tmp_path / "bundle.json.new").write_text('{"ha')
    (tmp_path / "code").mkdir()
    hand(tmp_path)
    assert not (tmp_path / "code" / "outlast" / "half.py").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.json", "code", "code-aaa", "permits"]


@pytest.mark.parametrize("data", [b"no zip at all", archive(thing="X = 1\n")[:-30]])
def test_a_handover_cut_short_leaves_the_old_state(tmp_path: Path, data: bytes) -> None:
    hand(tmp_path, bundle='{"old": 1}')
    with pytest.raises(subprocess.CalledProcessError):
        hand(tmp_path, "bbb", bundle='{"new": 1}', data=data)
    assert (tmp_path / "bundle.json").read_text() == '{"old": 1}'
    assert os.readlink(tmp_path / "code") == str(tmp_path / "code-aaa")
    hand(tmp_path, "bbb", bundle='{"new": 1}')
    assert (tmp_path / "bundle.json").read_text() == '{"new": 1}'


def test_our_own_package_runs_from_where_it_is_put(tmp_path: Path) -> None:
    """What is packed is enough for every program of a node: nothing that stays at the operator's is imported."""
    packed = code.pack(Path(outlast.errors.__file__).parent)
    hand(tmp_path, packed.digest, data=packed.archive)
    names = (
        "outlast.node.decide, outlast.node.galera, outlast.node.hands, outlast.coord.permits, outlast.node.responder"
    )
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'code')!r}); import {names}; print(outlast.__file__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(str(tmp_path))


def test_equal_code_has_an_equal_digest() -> None:
    home = Path(outlast.errors.__file__).parent
    first, second = code.pack(home), code.pack(home)
    assert first == second
    names = zipfile.ZipFile(io.BytesIO(first.archive)).namelist()
    assert "outlast/node/agent.py" in names
    assert not [name for name in names if name.startswith(("outlast/cli", "outlast/lab", "outlast/render"))]
