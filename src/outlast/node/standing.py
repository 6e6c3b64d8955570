"""Who answers this node's echoes and who does not, counted in rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ROUND = 0.15
"""Seconds between two questions."""
SILENT = 4
"""Rounds without an answer after which a node has vanished: 0.6 s, as for a node that judges itself cut off."""
NEAR = 2
"""Rounds within which somebody else must have answered: else it is this node that is cut off."""


@dataclass(frozen=True)
class Standing:
    """Rounds asked, the latest round that each node answered, and who has vanished."""

    asked: int = 0
    heard: Mapping[str, int] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()


def advance(standing: Standing, answered: Mapping[str, int]) -> Standing:
    """After one more round. Who was never heard has not vanished; an answer brings a node back."""
    heard = {**standing.heard, **answered}
    silent = {name for name, last in heard.items() if standing.asked - last >= SILENT}
    near = any(standing.asked - last < NEAR for last in heard.values())
    gone = silent if near else silent & standing.gone
    return replace(standing, heard=heard, gone=frozenset(gone))
