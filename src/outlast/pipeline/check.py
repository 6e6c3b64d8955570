"""`outlast check`: the cluster file alone, without touching a machine."""

from __future__ import annotations

from pathlib import Path

from outlast.errors import Problem
from outlast.model.loader import advise
from outlast.pipeline.target import find
from outlast.services.registry import SPECS


def check(path: Path | None) -> tuple[Problem, ...]:
    """Warnings and single points of failure. Raises ClusterFileError with every error of the file."""
    return advise(find(path), SPECS)
