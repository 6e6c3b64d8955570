"""Failures that meet: the time in which more members are away than a majority can do without.

Members fail independently of each other, at rates that all of them share. A member is away from its failure until it is
back and whole. Failures come as a Poisson process on a circle of one year, so that nothing begins or ends at New Year;
then a member is away at a given moment with probability 1 - exp(-rate x mean length), exactly and for any distribution
of the length (coverage by M/G/infinity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb, exp

NODE = "node"
"""The kind of failure that takes everything on the node."""

Away = tuple[float, float, int, str]
"""From, until, member, kind."""


@dataclass(frozen=True)
class Loss:
    """What takes members away. per_year: of all members together; seconds: mean time away; kind: NODE or a service."""

    per_year: float
    seconds: float
    kind: str


def tolerated(members: int) -> int:
    """How many members may be away: n of 2n+1, and of 2n+2."""
    return (members - 1) // 2


def too_many(members: int, away: float) -> float:
    """Probability that more are away than a majority can do without, each with probability `away`."""
    least = tolerated(members) + 1
    return sum(comb(members, k) * away**k * (1 - away) ** (members - k) for k in range(least, members + 1))


def expected_share(losses: Iterable[Loss], members: int, year: float) -> float:
    """Share of the time in which some service has no majority; an upper bound, tight while both shares are small.

    Node failures count for every service. What a service adds on top of them is summed over the services.
    """
    busy: dict[str, float] = {}
    for loss in losses:
        busy[loss.kind] = busy.get(loss.kind, 0.0) + loss.per_year * loss.seconds / members / year
    node = busy.pop(NODE, 0.0)
    alone = too_many(members, 1 - exp(-node))
    return min(1.0, alone + sum(too_many(members, 1 - exp(-node - more)) - alone for more in busy.values()))


def seconds_without(away: Sequence[Away], members: int, year: float) -> float:
    """Seconds of one year in which some service has no majority."""
    if not away:
        return 0.0
    intervals = sorted(_unrolled(away, year))
    allowed = tolerated(members)
    if allowed and not _any_overlap(intervals):
        return 0.0
    edges = sorted({edge for start, end, _, _ in intervals for edge in (start, end)})
    return sum(
        end - start
        for start, end in zip(edges, edges[1:], strict=False)
        if _worst([item for item in intervals if item[0] <= start and item[1] >= end]) > allowed
    )


def _unrolled(away: Sequence[Away], year: float) -> Iterable[Away]:
    """What runs past the year's end goes on at its beginning."""
    for start, end, member, kind in away:
        if end <= year:
            yield start, end, member, kind
        elif end - start >= year:
            yield 0.0, year, member, kind
        else:
            yield start, year, member, kind
            yield 0.0, end - year, member, kind


def _any_overlap(intervals: Sequence[Away]) -> bool:
    latest = -1.0
    for start, end, _, _ in intervals:
        if start < latest:
            return True
        latest = max(latest, end)
    return False


def _worst(present: Sequence[Away]) -> int:
    """Members away of the service that misses most."""
    by_kind: dict[str, set[int]] = {}
    for _, _, member, kind in present:
        by_kind.setdefault(kind, set()).add(member)
    node: set[int] = by_kind.get(NODE, set())
    return max((len(node | gone) for gone in by_kind.values()), default=0)
