"""One event, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event. `at` is wall time in seconds since the epoch; `seq` counts on the node, across restarts."""

    seq: int
    at: float
    node: str
    service: str
    code: str
    sentence: str
    evidence: str = ""
