"""What nodes are handed, against tests/golden: a change shows as a diff in review. `make golden` writes it anew."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[3]
GOLDEN = HOME / "tests" / "golden"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("golden_script", HOME / "scripts" / "golden.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_is_as_recorded() -> None:
    wanted: dict[str, str] = _script().golden()
    present = {str(path.relative_to(GOLDEN)): path.read_text() for path in GOLDEN.rglob("*") if path.is_file()}
    lines: list[str] = []
    for name in sorted(wanted.keys() | present.keys()):
        before, after = present.get(name, "").splitlines(), wanted.get(name, "").splitlines()
        lines += difflib.unified_diff(before, after, f"recorded/{name}", f"now/{name}", lineterm="", n=1)
    assert not lines, "not as recorded (if it is meant: make golden)\n" + "\n".join(lines)


def test_no_secret_is_recorded() -> None:
    """Placeholders only; a value would be 32 letters and digits where a password stands."""
    text = (GOLDEN / "lab/c1/etc/nova/nova.conf").read_text()
    assert "password = ⟦secret:user/nova:password⟧" in text
