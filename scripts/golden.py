"""Writes tests/golden anew: plans of all examples, and everything that two nodes of examples/lab.yaml are handed.

`make golden`, then look at the diff: it is what a change does to a node. Secrets stay placeholders.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from outlast.pipeline.bundles import trees
from outlast.pipeline.describe import plan_json
from outlast.pipeline.target import Target, open_target
from outlast.render.tree import NodeTree, RenderedMember

HOME = Path(__file__).parents[1]
GOLDEN = HOME / "tests" / "golden"
RENDERED = {"lab": ("c1", "k1")}
"""Nodes whose files are kept, by example."""


def golden() -> dict[str, str]:
    """Text by path below tests/golden."""
    found: dict[str, str] = {}
    for path in sorted((HOME / "examples").glob("*.yaml")):
        target = open_target(path)
        found[f"{path.stem}/plan.json"] = _json(plan_json(target.plan))
        if path.stem in RENDERED:
            found.update(_nodes(target))
    return found


def _nodes(target: Target) -> dict[str, str]:
    rendered = trees(target)
    found: dict[str, str] = {}
    for node in RENDERED[target.path.stem]:
        home = f"{target.path.stem}/{node}"
        found[f"{home}/members.json"] = _json(_members(rendered[node]))
        for path, item in rendered[node].files.items():
            found[f"{home}{path}"] = item.text
    return found


def _members(tree: NodeTree) -> list[object]:
    return [_member(member) for member in tree.members]


def _member(member: RenderedMember) -> object:
    """All but the files' content: their place and owner, programs, steps and probes."""
    described = asdict(member.spec)
    described["files"] = [
        {
            "path": item.file.path,
            "mode": f"{item.file.mode:04o}",
            "owner": f"{item.file.owner}:{item.file.group}",
            "on_change": item.file.on_change,
            "once": item.file.once,
        }
        for item in member.files
    ]
    for directory in described["directories"]:
        directory["mode"] = f"{directory['mode']:04o}"
    return _lean(described)


def _lean(value: object) -> object:
    """Without empty values, so that a diff shows what is said."""
    if isinstance(value, dict):
        return {key: _lean(item) for key, item in value.items() if item not in ("", (), [], None)}
    if isinstance(value, list | tuple):
        return [_lean(item) for item in value]
    return value


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    wanted = golden()
    present = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    for name in sorted(present - wanted.keys()):
        (GOLDEN / name).unlink()
        sys.stdout.write(f"removed {name}\n")
    for name, text in wanted.items():
        path = GOLDEN / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
