"""`outlast check`: the cluster file alone, without touching a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outlast.errors import Problem
from outlast.model.loader import advise
from outlast.pipeline.budgets import predicted
from outlast.pipeline.bundles import trees
from outlast.pipeline.target import find, open_target
from outlast.predict.detection import measured
from outlast.predict.prediction import Prediction
from outlast.record import run
from outlast.services.registry import SPECS


@dataclass(frozen=True)
class Checked:
    """Warnings and single points of failure, and what the settings lead to.

    seconds: what drills on this cluster and with its profile measured last (outlast.predict.detection.measured).
    """

    problems: tuple[Problem, ...]
    predictions: tuple[Prediction, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def check(path: Path | None) -> Checked:
    """What is worth telling about a file that is not refused.

    Raises ClusterFileError with every error of the file or every budget that its settings break, PlanError where
    `overrides` name what a service does not have.
    """
    found = find(path)
    problems = advise(found, SPECS)
    target = open_target(found)
    if target.plan.overrides:
        trees(target)
    seconds = measured(run.HOME / target.plan.cluster, target.plan.timing.name)
    return Checked(problems, predicted(target), seconds)
