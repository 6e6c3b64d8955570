"""Whether this node is cut off from most controllers on one network. Pure: answers and times in, a standing out.

The guard asks all other controllers in rounds. What counts is rounds without an answer from enough of them, and the
time that those took: a machine that stood still asked nothing meanwhile, so its pause says nothing about the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class QuorumLimits:
    """interval: seconds from round to round. limit: seconds without a majority that cut a node off (0: it never is).

    gap: rounds without a majority that make an interruption; less is the loss of a packet. gaps, within: so many
    interruptions in so many rounds are a flapping link, which is as bad as a dead one.
    doubt: rounds without a majority after which new connections are put off: the node may be about to be cut off.
    hold: rounds with a steady majority before a first return. Each further cut doubles it, up to hold_most, until a
    node was joined for `forget` rounds.
    """

    interval: float = 0.2
    limit: float = 1.0
    gap: int = 3
    gaps: int = 3
    doubt: int = 1
    within: int = 50
    hold: int = 10
    hold_most: int = 80
    forget: int = 300


@dataclass(frozen=True)
class Standing:
    """What is known on one network after round `asked`, judged at `at` (seconds of the monotonic clock).

    heard: the latest round that each other controller answered (0: none yet). since: when it was last heard of.
    missed, quiet: rounds and seconds since the last news of a majority. armed: one was heard since boot.
    steady: rounds without an interruption while cut off. cuts: how often it was cut off lately. joined: round of the
    last return. interruptions: the rounds in which the latest were noted. late: this round came late.
    """

    at: float
    heard: Mapping[str, int]
    since: Mapping[str, float] = field(default_factory=dict)
    asked: int = 0
    armed: bool = False
    cut: bool = False
    late: bool = False
    missed: int = 0
    quiet: float = 0.0
    steady: int = 0
    cuts: int = 0
    joined: int = 0
    interruptions: tuple[int, ...] = ()


def fresh(at: float, peers: tuple[str, ...], armed: bool = False, cut: bool = False, cuts: int = 0) -> Standing:
    """A standing to begin with; `armed`, `cut` and `cuts` as an earlier guard of this boot left them.

    Cut off without a cut: not joined yet since boot.
    """
    return Standing(at, dict.fromkeys(peers, 0), dict.fromkeys(peers, at), armed=armed or cut, cut=cut, cuts=cuts)


def changed(before: Standing, at: float, peers: tuple[str, ...]) -> Standing:
    """The standing among other controllers than before: armed anew by their majority, unless it is cut off now."""
    if set(peers) == set(before.heard):
        return before
    return fresh(at, peers, armed=before.cut, cut=before.cut, cuts=before.cuts)


def needed(peers: int) -> int:
    """How many others must answer, so that with this node they are more than half of all."""
    return (peers + 1) // 2


def hold(cuts: int, limits: QuorumLimits) -> int:
    """Rounds with a steady majority that end the n-th cut of late; for one that has only booted, a gap's."""
    if not cuts:
        return limits.gap
    return int(min(limits.hold_most, limits.hold * 2 ** min(max(cuts, 1) - 1, 16)))


def doubtful(standing: Standing, limits: QuorumLimits) -> bool:
    """Whether a VIP that needs this network may be about to leave: no majority answered lately."""
    return standing.armed and (standing.cut or standing.missed >= limits.doubt)


def advance(before: Standing, at: float, answered: Mapping[str, int], limits: QuorumLimits) -> Standing:
    """One more round is over. `answered`: the latest round that each peer answered since the last call, if any did.

    Answers that are late count like all others: they are news. Of rounds that came late themselves only the first in a
    row is void. The pause may have cost its answers, but a machine that is always late must still yield.
    """
    elapsed = at - before.at
    late = elapsed > 2 * limits.interval
    now = replace(
        before,
        at=at,
        asked=before.asked + 1,
        late=late,
        heard={peer: max(last, answered.get(peer, 0)) for peer, last in before.heard.items()},
        since={peer: at if peer in answered else seen for peer, seen in before.since.items()},
    )
    # Fewer than three have no majority that outlives the loss of one.
    if len(now.heard) < 2 or not limits.limit:
        return replace(now, armed=False, cut=False)
    if _latest(now) > _latest(before):
        now = replace(now, missed=0, quiet=0.0, armed=True)
    elif not late or before.late:
        now = replace(now, missed=now.missed + 1, quiet=now.quiet + min(elapsed, 2 * limits.interval))
    else:
        return now
    return _held(now, limits) if now.cut else _joined(now, before, limits)


def _latest(standing: Standing) -> int:
    """The latest round that enough others have answered."""
    return sorted(standing.heard.values(), reverse=True)[needed(len(standing.heard)) - 1]


def _joined(now: Standing, before: Standing, limits: QuorumLimits) -> Standing:
    """Still joined, or cut off from now on."""
    if not now.armed:
        return now
    found = tuple(one for one in now.interruptions if now.asked - one < limits.within)
    if now.missed == limits.gap and before.missed < limits.gap:
        found += (now.asked,)
    now = replace(now, interruptions=found)
    # A clock's rounding must not cost a whole round.
    dead = now.missed >= limits.gap and now.quiet > limits.limit - limits.interval / 10
    if not dead and len(found) < limits.gaps:
        return now
    lately = now.cuts if now.asked - now.joined < limits.forget else 0
    return replace(now, cut=True, cuts=lately + 1, steady=0, interruptions=())


def _held(now: Standing, limits: QuorumLimits) -> Standing:
    """Still cut off, or joined again after a steady time."""
    now = replace(now, steady=now.steady + 1 if now.missed < limits.gap else 0)
    if now.missed or now.steady < hold(now.cuts, limits):
        return now
    return replace(now, cut=False, joined=now.asked, steady=0)
