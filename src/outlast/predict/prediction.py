"""A predicted time, and how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEVER = math.inf


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """How long one fault lasts until it is detected and somebody else has taken over.

    best, worst: seconds from the moment the fault took effect; NEVER (infinite) where nothing would notice it. formula:
    the worst case with its numbers filled in. source: where the formula comes from. scenario: the drill that measures
    it, measures: fields of its verdict that do, the best one first. budget: its name under `budgets:` in the cluster
    file, "" for none. change: what to set for a shorter time. note: what the figure leaves out.
    """

    fault: str
    best: float
    worst: float
    formula: str
    source: str
    scenario: str = ""
    measures: tuple[str, ...] = ("detect",)
    budget: str = ""
    change: str = ""
    note: str = ""


def said(seconds: float) -> str:
    """A time as a reader wants it: "0.3 s", "12.6 s", "never"."""
    if math.isinf(seconds):
        return "never"
    return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"


def number(value: float) -> str:
    """A number in a formula: no more digits than it has."""
    return f"{round(value, 3):g}"
