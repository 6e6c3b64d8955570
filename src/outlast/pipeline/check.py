"""`outlast check`: the cluster file alone, without touching a machine."""

from __future__ import annotations

from pathlib import Path

from outlast.errors import Problem
from outlast.model.loader import advise
from outlast.pipeline.bundles import trees
from outlast.pipeline.target import find, open_target
from outlast.services.registry import SPECS


def check(path: Path | None) -> tuple[Problem, ...]:
    """Warnings and single points of failure.

    Raises ClusterFileError with every error of the file, PlanError where `overrides` name what a service does not have.
    """
    found = find(path)
    problems = advise(found, SPECS)
    target = open_target(found)
    if target.plan.overrides:
        trees(target)
    return problems
