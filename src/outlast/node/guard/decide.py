"""What a guard does next, as pure functions of what it sees. Times are seconds of the monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

RETRY_WHILE_STARTING = 0.02
STARVED_FACTOR = 5.0
BACKOFF_FIRST, BACKOFF_MOST = 0.1, 2.0


@dataclass(frozen=True)
class Action:
    """One thing to do: wait, start, ask, kill or resume, with the sentence that goes into the events."""

    kind: str
    reason: str = ""


WAIT = Action("wait")


@dataclass(frozen=True)
class Limits:
    """Heartbeat of a balancer: how often it is asked, how long it may stay silent, and how long it may take to start.

    `fault_after`: how long nobody may serve before the node declares itself unfit to hold a VIP.
    """

    interval: float = 0.2
    limit: float = 0.6
    start_limit: float = 3.0
    fault_after: float = 0.6


@dataclass(frozen=True)
class BalancerView:
    """What the guard of a balancer knows.

    `alive`: a child exists. `answered`: it answered at least once. `silent_since`: first question without an answer
    since the last good one. `asking`: a question is under way. `starved`: the child wants to run, but the machine gives
    it no processor, so silence proves nothing yet. `down_since`: since when no child has served (None: it serves).
    `quick_deaths`: children in a row that died without ever answering.
    """

    now: float
    alive: bool
    answered: bool = False
    asking: bool = False
    last_asked: float = -math.inf
    silent_since: float | None = None
    starved: bool = False
    died_at: float = -math.inf
    quick_deaths: int = 0
    down_since: float | None = None


def backoff(quick_deaths: int) -> float:
    """Seconds to wait before the next start: nothing after a first death, then doubling up to a bound."""
    if quick_deaths < 2:
        return 0.0
    # The exponent is bounded too: a guard that has tried for an hour must not end by an overflow.
    return min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(quick_deaths - 2, 16))


def balancer_action(view: BalancerView, limits: Limits) -> Action:
    """Start a missing child, kill a silent one, else ask it when it is time."""
    if not view.alive:
        due = view.died_at + backoff(view.quick_deaths)
        return Action("start", "no child is running") if view.now >= due else WAIT
    if view.silent_since is not None:
        silent, allowed = view.now - view.silent_since, _allowed_silence(view, limits)
        if silent > allowed:
            return Action("kill", f"no answer to the heartbeat for {silent:.2f} s")
    if not view.asking and view.now - view.last_asked >= (limits.interval if view.answered else RETRY_WHILE_STARTING):
        return Action("ask")
    return WAIT


def _allowed_silence(view: BalancerView, limits: Limits) -> float:
    allowed = limits.limit if view.answered else limits.start_limit
    return allowed * STARVED_FACTOR if view.starved else allowed


def balancer_fault(view: BalancerView, limits: Limits) -> bool:
    """Whether this node should give up its VIPs because its balancer does not serve.

    A restart takes milliseconds and loses no waiting connection, so a VIP moves only when restarts have not helped.
    """
    return view.down_since is not None and view.now - view.down_since > limits.fault_after


@dataclass(frozen=True)
class RouterView:
    """What the guard of Keepalived knows after one tick.

    `alive`: parent and VRRP process both exist. `stopped`, `still`: how many ticks in a row the VRRP process was in
    state T, or did not once go to sleep and wake. `parent_stopped`: state T of the parent, which serves nobody.
    `sends`: some instance is MASTER, hence sends an advert in every interval. `hears`: some instance is BACKUP, which
    wakes with every advert of its master, or when it has heard none for so long that it takes over.
    `age`: seconds since the child's start.
    """

    now: float
    alive: bool
    sends: bool = True
    hears: bool = False
    stopped: int = 0
    still: int = 0
    parent_stopped: int = 0
    age: float = math.inf
    died_at: float = -math.inf
    quick_deaths: int = 0


@dataclass(frozen=True)
class RouterLimits:
    """`tick`: seconds between two looks. `still`, `quiet`: ticks without a sign of life that mean a hang of one that
    sends, and of one that only hears."""

    tick: float
    still: int
    quiet: int
    stopped: int = 2
    grace: float = 2.0


def router_limits(advert: float) -> RouterLimits:
    """Limits for an advert interval: act just before the peers do, whose master-down time is 3 adverts and a skew.

    The skew is one advert at most (RFC 5798, 6.1). Until it is over a backup whose master died sleeps, and is well.
    """
    ticks = max(1, math.ceil(advert / 0.2))
    return RouterLimits(tick=advert / ticks, still=max(3, math.ceil(2.5 * ticks)), quiet=5 * ticks)


def router_action(view: RouterView, limits: RouterLimits) -> Action:
    """Start a missing Keepalived, kill a hung one (its VIPs go first), wake a stopped parent."""
    if not view.alive:
        due = view.died_at + backoff(view.quick_deaths)
        return Action("start", "keepalived is not running") if view.now >= due else WAIT
    if view.stopped >= limits.stopped:
        return Action("kill", "the VRRP process is stopped (state T)")
    limit = limits.still if view.sends else limits.quiet
    if (view.sends or view.hears) and view.still >= limit and view.age > limits.grace:
        return Action("kill", f"the VRRP process showed no sign of life in {view.still} looks")
    if view.parent_stopped >= limits.stopped:
        return Action("resume", "the parent process is stopped (state T)")
    return WAIT
