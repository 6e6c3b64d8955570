"""What asking a node for its snapshot brings: the snapshot, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.spec.snapshot import Snapshot


@dataclass(frozen=True)
class Unreachable:
    """A node that gave no snapshot, and why."""

    reason: str


Answer = Snapshot | Unreachable
