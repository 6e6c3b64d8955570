"""What may not be in the tree: files too long to read, this or that machine's paths, names of package registries."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

HOME = Path(__file__).parents[3]
LONGEST = 400
# Put together here, so that this file does not find itself.
HOSTS = re.compile(
    "|".join(("py" + r"pi\.org", "files.python" + "hosted", r"/simple/?(?=[\s\"'`]|$)", "arti" + "factory"))
)
PATHS = re.compile("|".join(("/wor" + r"k/(?!root\b)", "/hom" + r"e/\w", "/Use" + r"rs/\w")))
MAY_NAME = {"LICENSE"}


def _files() -> list[Path]:
    """Everything under version control, or, in an unpacked archive, everything that could be."""
    listed = b""
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", str(HOME), "ls-files", "-z"], capture_output=True, check=False).stdout
    if listed:
        found = [HOME / name for name in listed.decode().split("\0") if name]
        return [path for path in found if path.is_file() and not path.is_symlink()]
    parts = ("src", "tests", "docs", "scripts", "bench", "examples")
    return [path for part in parts for path in (HOME / part).rglob("*") if path.is_file() and path.suffix != ".pyc"]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_source_file_is_too_long() -> None:
    lengths = {path: len(_text(path).splitlines()) for path in (HOME / "src").rglob("*.py")}
    assert {str(path): lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_package_inits_are_empty() -> None:
    assert [str(path) for path in (HOME / "src/outlast").rglob("__init__.py") if _text(path).strip()] == []


def test_no_registry_and_no_path_of_a_machine() -> None:
    found = []
    for path in _files():
        for number, line in enumerate(_text(path).splitlines(), start=1):
            if path.name not in MAY_NAME and (HOSTS.search(line) or PATHS.search(line)):
                found.append(f"{path.relative_to(HOME)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_the_locks_are_pinned_with_hashes() -> None:
    locks = [HOME / "requirements.lock", *(HOME / "src/outlast/lab/image/locks").glob("*.txt")]
    for lock in locks:
        entries = re.split(r"\n(?=\S)", _text(lock).strip())
        assert all(re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries), lock
