"""A scenario's budgets against what was measured. Pure.

A budget is broken when the part of the figure that no stall of the machine can explain is above the limit (PROVING 13).
It is held when the whole figure is within the limit and was measured well enough. Otherwise it is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from outlast.drill.judge_stalls import beyond_doubt, lost_beyond_doubt, stalled, undisturbed
from outlast.drill.judge_streams import Owners, Stream, longest_doubled
from outlast.drill.measure import Clock, Mask, Requests, bad_ones, is_bad, waited
from outlast.record.history import Operation, Stall
from outlast.record.verdict import Budget, Finding

MESSAGES = "rabbitmq"
"""The service of what goes through the brokers."""

ROUNDING = 1e-9
"""Differences of clock readings carry rounding; a figure this little above its limit is within it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that a budget can be about. slowdown: p99 as a multiple of that before the fault. detected: on the
    run's clock. heard: any event was read. unproven: collections of which nobody could say whether something is lost.
    blind: for a while no request was due, although the fault was not over."""

    times: Clock
    requests: Requests
    deadline: float
    stalls: tuple[Stall, ...]
    detected: float | None
    heard: bool
    mask: Mask
    slowdown: float | None
    streams: tuple[Stream, ...]
    owners: tuple[Owners, ...]
    findings: Mapping[str, tuple[Finding, ...]]
    unproven: tuple[str, ...]
    blind: bool


@dataclass(frozen=True, kw_only=True)
class Figure:
    """found: the figure. sure: what of it no stall can explain (None: nothing). doubt: why it may not be called held,
    "" if it may."""

    found: float | None
    sure: float | None = None
    doubt: str = ""


STALLED = "the machine itself stood still meanwhile"
NEVER = "it did not happen before the end of the load"
UNCHECKED = "nothing was measured"
BLIND = "for a while no request was due, so that none could fail"
BY_THE_DRILL = "nobody saw it running again before the drill itself took the fault back"


def judged(name: str, limit: float, figure: Figure) -> Budget:
    """held False beats None: what is proven to be broken stays broken."""
    held = None
    if figure.sure is not None and figure.sure > limit + ROUNDING:
        held = False
    elif figure.found is not None and figure.found <= limit + ROUNDING and not figure.doubt:
        held = True
    return Budget(name=name, limit=limit, found=figure.found, held=held)


def why_unknown(limit: float, figure: Figure) -> str:
    """One clause on a budget that is neither held nor broken."""
    if figure.found is not None and figure.found > limit + ROUNDING:
        return figure.doubt or STALLED
    return figure.doubt or UNCHECKED


# --- counts -----------------------------------------------------------------------------------------------------------


def _bad(requests: Sequence[Operation], seen: Measured) -> Figure:
    """Bad requests; 0 of 0 is no result, and neither is 0 from a load that was not there."""
    bad = bad_ones(requests, seen.deadline)
    doubt = BLIND if seen.blind else "" if len(bad) < len(requests) else "no request was answered well"
    found = float(len(bad)) if requests else None
    doubt = doubt if requests else "there was no such request"
    return Figure(found=found, sure=float(beyond_doubt(bad, seen.stalls, seen.deadline)), doubt=doubt)


def _kind(kind: str) -> Callable[[Measured], Figure]:
    def count(seen: Measured) -> Figure:
        found = float(len(seen.findings.get(kind, ())))
        return Figure(found=found, sure=found)

    return count


def _lost(seen: Measured) -> Figure:
    found = float(len(seen.findings.get("lost", ())))
    doubt = f"nobody could list {', '.join(seen.unproven)} whole" if seen.unproven else ""
    return Figure(found=found, sure=found, doubt=doubt)


def _unsafe(seen: Measured) -> Figure:
    found = float(sum(not finding.safe for mine in seen.findings.values() for finding in mine))
    return Figure(found=found, sure=found)


def _stream_lost(seen: Measured) -> Figure:
    if not seen.streams:
        return Figure(found=None, doubt="no stream was measured")
    return Figure(
        found=float(sum(stream.loss.lost for stream in seen.streams)),
        sure=float(sum(lost_beyond_doubt(stream.lost, seen.stalls) for stream in seen.streams)),
        doubt=_silent(seen),
    )


def _silent(seen: Measured) -> str:
    silent = ", ".join(stream.loss.stream for stream in seen.streams if stream.blind)
    return f"for a while nothing was sent on {silent}" if silent else ""


# --- times ------------------------------------------------------------------------------------------------------------


def _since(at: float | None, seen: Measured) -> Figure:
    """Seconds from the last effect to `at`; what has not come by the end of the load took at least that long.

    It is certain that it had not come before the first stall began: a limit that had run out by then stays broken.
    """
    last, end = seen.times.last, seen.times.end if at is None else at
    sure = undisturbed(seen.stalls, (last, end))
    return Figure(found=None, sure=sure, doubt=NEVER) if at is None else Figure(found=at - last, sure=sure)


def _detect(seen: Measured) -> Figure:
    return _since(seen.detected, seen) if seen.heard else Figure(found=None, doubt="no event was read")


def _mask(seen: Measured) -> Figure:
    if seen.mask.at is None and not seen.mask.never:
        return Figure(found=None, doubt="no request was sent")
    at, sure = seen.mask.at, seen.mask.sure
    return Figure(
        found=None if at is None else at - seen.times.last,
        sure=None if sure is None else sure - seen.times.last,
        doubt=NEVER if at is None else "",
    )


def _repair(seen: Measured) -> Figure:
    """Only what somebody saw counts. The drill's own undo says nothing about the product, so it decides nothing."""
    if seen.times.repaired is not None:
        return _since(seen.times.repaired, seen)
    if seen.times.undone is not None:
        return Figure(found=seen.times.undone - seen.times.last, doubt=BY_THE_DRILL)
    return Figure(found=None, doubt="nobody watched for it")


def _redundancy(seen: Measured) -> Figure:
    times = seen.times
    if times.redundant is None and times.gave_up is None:
        return Figure(found=None, doubt="the drill ended before it")
    if times.redundant is None:
        return Figure(found=None, sure=_since(times.gave_up, seen).sure, doubt="it was not reached")
    return _since(times.redundant, seen)


def _stall(seen: Measured, messages: bool = False) -> Figure:
    """Longest wait of a request on a connection of its own, sent when or after the first fault took effect.

    Messages are counted apart (docs/decisions/0033): they go through no VIP, and their figure is another one.
    """
    mine = [request for request in seen.requests.fresh if (request.service == MESSAGES) == messages]
    if messages and not mine and not any(request.service == MESSAGES for request in seen.requests.before):
        return Figure(found=0.0, sure=0.0)  # a cluster without a broker, or a load without messages
    waits = [(waited(request, seen.deadline), request) for request in mine]
    sure = [seconds for seconds, request in waits if beyond_doubt([request], seen.stalls, seen.deadline)]
    answered = any(not is_bad(request, seen.deadline) for _, request in waits)
    doubt = BLIND if seen.blind else "" if answered else "no request was answered well"
    found = max((seconds for seconds, _ in waits), default=None)
    return Figure(found=found, sure=max(sure, default=None), doubt=doubt)


def _slowdown(seen: Measured) -> Figure:
    if seen.slowdown is None:
        return Figure(found=None, doubt="no service had enough requests before the fault and one after it")
    window = (seen.times.first, seen.times.healing)
    sure = None if stalled(seen.stalls, window) else seen.slowdown
    return Figure(found=seen.slowdown, sure=sure, doubt=BLIND if seen.blind else "")


def _stream_gap(seen: Measured) -> Figure:
    if not seen.streams:
        return Figure(found=None, doubt="no stream was measured")
    sure = [gap.seconds for stream in seen.streams for gap in stream.gaps if not stalled(seen.stalls, gap.window)]
    found = max(stream.loss.gap for stream in seen.streams)
    return Figure(found=found, sure=max(sure, default=0.0), doubt=_silent(seen))


def _owners(seen: Measured) -> Figure:
    """A question of safety: no stall excuses two owners."""
    found = longest_doubled(seen.owners)
    return Figure(found=found, sure=found, doubt=_unwatched(seen))


def _unwatched(seen: Measured) -> str:
    if not seen.owners:
        return "no VIP was watched"
    return "for a while nobody looked who held it" if any(owner.blind for owner in seen.owners) else ""


def _no_owner(seen: Measured) -> Figure:
    if not seen.owners:
        return Figure(found=None, doubt=_unwatched(seen))
    sure = [
        sum(end - begin for begin, end in owner.empty if not stalled(seen.stalls, (begin, end)))
        for owner in seen.owners
    ]
    return Figure(found=max(owner.without for owner in seen.owners), sure=max(sure), doubt=_unwatched(seen))


FIGURES: Mapping[str, Callable[[Measured], Figure]] = {
    "new-failed": lambda seen: _bad(seen.requests.new, seen),
    "in-flight-failed": lambda seen: _bad(seen.requests.in_flight, seen),
    "failed": lambda seen: _bad([*seen.requests.in_flight, *seen.requests.new], seen),
    "lost": _lost,
    "duplicated": _kind("duplicated"),
    "resurrected": _kind("resurrected"),
    "diverged": _kind("diverged"),
    "unsafe": _unsafe,
    "stall": _stall,
    "message-stall": partial(_stall, messages=True),
    "detect": _detect,
    "mask": _mask,
    "repair": _repair,
    "redundancy": _redundancy,
    "stream-lost": _stream_lost,
    "stream-gap": _stream_gap,
    "p99-ratio": _slowdown,
    "owners": _owners,
    "no-owner": _no_owner,
}
"""Every figure that may have a budget. new-failed, failed (in flight or new; pooled connections apart) and
in-flight-failed count requests; lost, duplicated, resurrected, diverged and unsafe count findings; stream-lost counts
packets; p99-ratio is a multiple; all others are seconds."""


def figure(name: str, seen: Measured) -> Figure:
    measure = FIGURES.get(name)
    return measure(seen) if measure else Figure(found=None, doubt="nothing measures this")
