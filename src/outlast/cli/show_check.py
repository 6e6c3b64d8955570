"""What `outlast check` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from rich.table import Table

from outlast.pipeline.check import Checked
from outlast.predict.detection import last_measured
from outlast.predict.prediction import Prediction, said


def check_table(checked: Checked) -> Table:
    """Faults with the time until they are noticed and masked, and what a drill measured last."""
    table = Table(title="Until a fault is noticed and masked, by these settings", title_justify="left", box=None)
    for heading in ("fault", "from – to", "how it is computed", "last measured"):
        table.add_column(heading, justify="right" if heading in ("from – to", "last measured") else "left")
    for item in checked.predictions:
        last = last_measured(item, checked.seconds)
        table.add_row(item.fault, span(item), item.formula, "" if last is None else said(last))
    return table


def span(item: Prediction) -> str:
    """ "8 – 10 s", "5 s", "never"."""
    if math.isinf(item.worst) or item.best == item.worst:
        return said(item.worst)
    return f"{said(item.best).removesuffix(' s')} – {said(item.worst)}"


def check_json(checked: Checked) -> Mapping[str, object]:
    """Problems and predictions; seconds are null for "never"."""
    return {
        "problems": [asdict(problem) for problem in checked.problems],
        "predictions": [_prediction(item, checked.seconds) for item in checked.predictions],
    }


def _prediction(item: Prediction, seconds: Mapping[str, float]) -> Mapping[str, object]:
    told = {key: None if value == math.inf else value for key, value in asdict(item).items()}
    return {**told, "last_measured": last_measured(item, seconds)}
