"""One run in short: what was run, and what was found."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.record.run import RunRecord
from outlast.record.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run. Seconds are counted from the moment at which the (last) fault took effect.

    held: how long the fault stayed before the drill undid it; None: nothing was undone, or it is not known.
    watched: how long clients went on asking; None: not known.
    """

    record: RunRecord
    verdict: Verdict
    held: float | None = None
    watched: float | None = None

    @property
    def session(self) -> str:
        return session_of(self.record.id)

    @property
    def helped(self) -> bool:
        """Whether the service was back only after the drill had undone the fault: the product did not mask it."""
        mask = self.verdict.mask
        return mask is not None and self.held is not None and mask >= self.held


def session_of(run_id: str) -> str:
    """Runs of one session were made one after the other on one machine: only these are compared with each other."""
    return run_id.split("-", 1)[0]


def inputs_key(scenario: str, profile: str) -> str:
    """The name under which the present digest of a scenario's inputs is handed to `scorecard`."""
    return f"{scenario}@{profile}"
