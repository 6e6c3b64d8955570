"""What comes of asking: an answer that is good, bad, or tells nothing."""

from __future__ import annotations

from dataclasses import dataclass


class Bad(Exception):
    """The probe was answered, and the answer is not good; the message says what came."""


class Unsure(Exception):
    """The question could not be asked fairly, so nothing is learned about the program; the message says why."""


@dataclass(frozen=True)
class Answer:
    """Result of one probe: good or not, in words, at `at` (node's monotonic seconds), after `took` seconds.

    Where it is not `sure` nothing was learned, and `good` means nothing.
    """

    good: bool
    sentence: str
    at: float
    took: float = 0.0
    sure: bool = True
