"""Settings → how long each fault lasts until it is detected and masked. Pure but for `measured`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from outlast.plan.plan import Plan
from outlast.predict.addresses import addresses
from outlast.predict.balancer import balancer
from outlast.predict.clusters import clusters
from outlast.predict.connections import connections
from outlast.predict.prediction import Prediction
from outlast.record.run import RunFolder

FIELDS = ("detect", "mask", "repair", "redundancy", "stall")
"""Fields of a verdict that are times."""


def predict(plan: Plan) -> tuple[Prediction, ...]:
    """Every fault that the plan's services can be predicted for, from the files that its nodes would be given.

    Raises PlanError where a file cannot be rendered.
    """
    return (*addresses(plan), *balancer(plan), *clusters(plan), *connections(plan))


def broken(predictions: Iterable[Prediction], budgets: Mapping[str, float]) -> tuple[tuple[Prediction, float], ...]:
    """Of each budget (name → seconds) that does not hold: the prediction that exceeds it most, and the budget."""
    worst: dict[str, Prediction] = {}
    for item in predictions:
        if item.budget not in worst or item.worst > worst[item.budget].worst:
            worst[item.budget] = item
    known = [(worst[name], limit) for name, limit in budgets.items() if name in worst]
    # What is given in milliseconds is not refused for a rounding error.
    return tuple((item, limit) for item, limit in known if item.worst > limit + 1e-6)


def measured(folder: Path, profile: str = "") -> Mapping[str, float]:
    """Seconds by "scenario.field" (FIELDS) of the drills in a folder's run folders, the newest of each.

    `profile`: only runs under that timing profile. Runs without a verdict, and damaged ones, are left out.
    """
    found: dict[str, tuple[float, float]] = {}
    for path in sorted(folder.glob("*/verdict.json")):
        run = RunFolder(path.parent)
        try:
            verdict, record = run.verdict(), run.record()
        except (OSError, msgspec.MsgspecError):
            continue
        if verdict is None or profile not in ("", verdict.profile):
            continue
        for name in FIELDS:
            seconds = getattr(verdict, name)
            key = f"{verdict.scenario}.{name}"
            if seconds is not None and record.started >= found.get(key, (0.0, 0.0))[0]:
                found[key] = (record.started, seconds)
    return {key: seconds for key, (_, seconds) in found.items()}


def last_measured(prediction: Prediction, seconds: Mapping[str, float]) -> float | None:
    """What the prediction's drill measured last (`measured`); None where it never did."""
    keys = (f"{prediction.scenario}.{field}" for field in prediction.measures)
    return next((seconds[key] for key in keys if key in seconds), None)
