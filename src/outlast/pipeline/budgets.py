"""Budgets of the cluster file against the times that its settings lead to (decision 0012)."""

from __future__ import annotations

from outlast.errors import ClusterFileError, Problem
from outlast.model.document import read_document
from outlast.model.loader import read_text
from outlast.pipeline.target import Target
from outlast.predict.detection import broken, predict
from outlast.predict.prediction import Prediction, said


def keep_budgets(target: Target) -> tuple[Prediction, ...]:
    """All predictions of a target's settings, where its file gives any budget.

    Raises ClusterFileError with every budget that they break, PlanError where a file cannot be rendered.
    """
    return _kept(target, predict(target.plan)) if target.cluster.budgets.given() else ()


def predicted(target: Target) -> tuple[Prediction, ...]:
    """All predictions. Raises as `keep_budgets`."""
    return _kept(target, predict(target.plan))


def _kept(target: Target, predictions: tuple[Prediction, ...]) -> tuple[Prediction, ...]:
    exceeded = broken(predictions, target.cluster.budgets.given())
    if exceeded:
        document = read_document(read_text(target.path))
        problems = [
            _problem(item, limit, str(target.path), document.line(("budgets", item.budget))) for item, limit in exceeded
        ]
        raise ClusterFileError(sorted(problems, key=lambda problem: problem.line))
    return predictions


def _problem(item: Prediction, limit: float, file: str, line: int) -> Problem:
    takes = (
        f"{item.fault} takes up to {said(item.worst)}" if item.worst < float("inf") else f"{item.fault}: never noticed"
    )
    return Problem(
        "budget.broken",
        f"budgets.{item.budget} is {said(limit)}, but {takes}: {item.formula}",
        file=file,
        line=line,
        hint=f"{item.change}, or allow more",
        path=("budgets", item.budget),
    )
