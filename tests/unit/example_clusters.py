"""Examples of the repository, loaded, planned and rendered once for all tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from outlast.pipeline.bundles import trees
from outlast.pipeline.target import Target, open_target
from outlast.render.tree import NodeTree

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


@cache
def opened(name: str) -> Target:
    return open_target(EXAMPLES / f"{name}.yaml")


@cache
def rendered(name: str) -> Mapping[str, NodeTree]:
    return trees(opened(name))
