"""Figures of one drill from what was seen. Pure; all times are seconds of the run's monotonic clock.

A request *starts* when it was sent, or when it was scheduled where nothing was ever sent. It is *bad* when it failed,
when nobody knows how it ended, or when its good answer came later than the deadline, counted from its schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from outlast.drill.judge_stalls import beyond_doubt, stalled, worth
from outlast.record.event import Event
from outlast.record.history import Operation, Stall
from outlast.record.run import Mark
from outlast.record.verdict import Instrument, ServiceLoss

EVENT_SLACK = 0.05
"""Events carry wall time; converted to the run's clock they may seem this much too early."""

ROUTINE = frozenset({
    "agent.bundle", "agent.paused", "agent.resumed", "guard-adopted", "guard-boots", "guard-fit", "guard-heard",
    "guard-joined", "guard-reload", "guard-serving", "guard-stopped", "guard-unheard",
    "member.busy", "member.ok", "member.settled", "server-back", "step.done", "step.run",
})  # fmt: skip
"""Codes of events that only inform: whoever says them has not noticed any fault."""

LEAST_SECONDS = 10.0

BASELINE_REQUESTS = 20
"""Fewer requests before the fault are no baseline for a 99th percentile."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The fault's own clock.

    first, last: when the first and the last fault of the scenario took effect. undo: when the drill began to take the
    faults back, undone: when it had. repaired: when what broke ran again, as somebody saw it, all faults included.
    redundant: when every member was back. gave_up: when the drill stopped waiting for that. broken: what did not work
    although all was taken back, "" where nothing is known of the kind. end: when the load stopped.
    """

    first: float
    last: float
    end: float
    undo: float | None = None
    undone: float | None = None
    repaired: float | None = None
    redundant: float | None = None
    gave_up: float | None = None
    broken: str = ""

    @property
    def until(self) -> float:
        """End of the fault's time: full redundancy, or the end of the load.

        At least 10 s after the last effect, if the load lasted so long: where agents call a cluster well that was never
        taken for sick, they may only not have noticed.
        """
        if self.redundant is None:
            return self.end
        return max(self.redundant, min(self.end, self.last + LEAST_SECONDS))

    @property
    def healing(self) -> float:
        """Until when the fault was surely there: the undo, otherwise as `until`."""
        return self.until if self.undo is None else min(self.undo, self.until)


def clock(marks: Iterable[Mark], due_last: float | None) -> Clock | None:
    """None where no fault is proven to have taken effect.

    due_last: when the last request or packet was due; the mark "load-stopped" comes only after all have ended.
    """
    marks = sorted(marks, key=lambda mark: mark.at)
    effects = [mark for mark in marks if mark.what == "took-effect"]
    if not effects:
        return None
    first, last = effects[0].at, effects[-1].at
    later = [mark for mark in marks if mark.at >= last]
    stopped = _first(later, "load-stopped")
    ends = [at for at in (due_last, stopped) if at is not None] or [marks[-1].at]
    return Clock(
        first=first,
        last=last,
        end=max(last, min(ends)),
        undo=_first(later, "undo"),
        undone=max((mark.at for mark in later if mark.what == "undone"), default=None),
        repaired=_repaired(marks, {mark.fault for mark in effects}, last),
        redundant=_first(later, "redundant"),
        gave_up=_first(later, "timeout"),
        broken=next((mark.detail or "something" for mark in later if mark.what == "broken"), ""),
    )


def unproven(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """Faults that were injected and of which nobody saw an effect, in order of their injection."""
    marks = sorted(marks, key=lambda mark: (mark.at, mark.fault))
    proven = {mark.fault for mark in marks if mark.what == "took-effect"}
    return tuple(mark for mark in marks if mark.what == "inject" and mark.fault not in proven)


def _first(marks: Sequence[Mark], what: str) -> float | None:
    return next((mark.at for mark in marks if mark.what == what), None)


def _repaired(marks: Sequence[Mark], faults: set[int], last: float) -> float | None:
    """The last "repaired", once every fault has one, or one is there for all of them (fault −1)."""
    found = [mark for mark in marks if mark.what == "repaired"]
    whole = faults <= {mark.fault for mark in found} or any(mark.fault < 0 and mark.at >= last for mark in found)
    return max(last, max(mark.at for mark in found)) if found and whole else None


# --- requests ---------------------------------------------------------------------------------------------------------


def start(request: Operation) -> float:
    """When it was sent; when it was scheduled, if nothing was ever sent."""
    return request.scheduled if request.sent is None else request.sent


def is_bad(request: Operation, deadline: float) -> bool:
    """Failed, unknown, or answered later than `deadline` seconds after its schedule; exactly in time is good."""
    latency = request.latency
    return request.outcome != "ok" or latency is None or latency > deadline


def bad_ones(requests: Iterable[Operation], deadline: float) -> tuple[Operation, ...]:
    return tuple(request for request in requests if is_bad(request, deadline))


def waited(request: Operation, deadline: float) -> float:
    """Seconds that a client waited: to the answer, or to the deadline where there was none."""
    return deadline if request.latency is None else request.latency


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The requests of a run, each group in order of start.

    before: ended before the first fault took effect. in_flight: started before it and not ended before it, on whatever
    connection. fresh: started at that moment or later, on connections of their own, up to the end. new: those of
    `fresh` that started before `until` (L2 is about these). pooled: as `new`, but on kept connections, which only the
    client's own deadline can save. after: started at full redundancy or later (L1 is about these).
    """

    before: tuple[Operation, ...] = ()
    in_flight: tuple[Operation, ...] = ()
    fresh: tuple[Operation, ...] = ()
    new: tuple[Operation, ...] = ()
    pooled: tuple[Operation, ...] = ()
    after: tuple[Operation, ...] = ()


def group(operations: Iterable[Operation], times: Clock) -> Requests:
    ordered = sorted(operations, key=lambda request: (start(request), request.id))
    before = [request for request in ordered if start(request) < times.first]
    since = ordered[len(before) :]
    during = [request for request in since if start(request) < times.until]
    return Requests(
        before=tuple(request for request in before if request.ended is not None and request.ended < times.first),
        in_flight=tuple(request for request in before if request.ended is None or request.ended >= times.first),
        fresh=tuple(request for request in since if request.fresh),
        new=tuple(request for request in during if request.fresh),
        pooled=tuple(request for request in during if not request.fresh),
        after=tuple(request for request in since if times.redundant is not None and start(request) >= times.redundant),
    )


def by_service(requests: Iterable[Operation]) -> Mapping[str, tuple[Operation, ...]]:
    """Service -> its requests in the order given; services by name."""
    found: dict[str, list[Operation]] = {}
    for request in requests:
        found.setdefault(request.service, []).append(request)
    return {name: tuple(found[name]) for name in sorted(found)}


# --- outages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outage:
    """Consecutive bad requests: from the start of the first to the start of the next good one (or the load's end).

    resolution: the largest distance between two neighbouring requests from the one before to the one after (±).
    """

    begin: float
    seconds: float
    resolution: float


def outages(requests: Sequence[Operation], deadline: float, end: float) -> tuple[Outage, ...]:
    """All outages of one service; `requests` in order of start."""
    found: list[Outage] = []
    run: list[float] = []
    before: list[float] = []
    for request in requests:
        moment = start(request)
        if is_bad(request, deadline):
            run.append(moment)
            continue
        if run:
            found.append(_outage(before, run, moment))
        run, before = [], [moment]
    if run:
        found.append(_outage(before, run, max(end, run[-1])))
    return tuple(found)


def _outage(before: list[float], run: list[float], after: float) -> Outage:
    return Outage(begin=run[0], seconds=after - run[0], resolution=spacing([*before, *run, after]))


def spacing(moments: Sequence[float]) -> float:
    """Largest distance between neighbours, seconds; 0 for fewer than two."""
    return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)


def service_losses(requests: Requests, times: Clock, deadline: float) -> tuple[ServiceLoss, ...]:
    """Every service's requests on connections of their own, from the first effect to the end of the load.

    failed: refused, or answered after the deadline; unknown: nobody knows. out: all outages together, with the largest
    resolution of one; without any outage, the largest distance between two requests, as a shorter one may have gone
    unseen. stall: longest wait of one request. p99: of the waits while the fault was there (until the undo; of all
    where no request fell into that), a bad request counting as the deadline at least: a quick refusal is no good time.
    """
    return tuple(_loss(name, mine, times, deadline) for name, mine in by_service(requests.fresh).items())


def _loss(name: str, requests: Sequence[Operation], times: Clock, deadline: float) -> ServiceLoss:
    bad = bad_ones(requests, deadline)
    unknown = sum(request.outcome == "unknown" for request in bad)
    gaps = outages(requests, deadline, times.end)
    widest = spacing([start(request) for request in requests])
    return ServiceLoss(
        service=name,
        n=len(requests),
        failed=len(bad) - unknown,
        unknown=unknown,
        out=sum(gap.seconds for gap in gaps),
        resolution=max((gap.resolution for gap in gaps), default=widest),
        stall=max(waited(request, deadline) for request in requests),
        p99=percentile(_waits(requests, times.healing, deadline) or _waits(requests, inf, deadline), 99) or 0.0,
    )


def _waits(requests: Iterable[Operation], until: float, deadline: float) -> list[float]:
    return [_wait(request, deadline) for request in requests if start(request) < until]


def _wait(request: Operation, deadline: float) -> float:
    seconds = waited(request, deadline)
    return max(seconds, deadline) if is_bad(request, deadline) else seconds


def slowdown(requests: Requests, times: Clock, deadline: float) -> float | None:
    """99th percentile while the fault was there, over that of the good answers before it: the worst service.

    Services with fewer than 20 good answers before the fault have no baseline; None where no service has one.
    """
    before = by_service(request for request in requests.before if request.fresh and not is_bad(request, deadline))
    found = []
    for name, mine in by_service(requests.fresh).items():
        base = [waited(request, deadline) for request in before.get(name, ())]
        usual, now = percentile(base, 99), percentile(_waits(mine, times.healing, deadline), 99)
        if len(base) >= BASELINE_REQUESTS and usual and now is not None:
            found.append(now / usual)
    return max(found, default=None)


def percentile(values: Iterable[float], percent: int) -> float | None:
    """By nearest rank: the smallest value that at least `percent` in 100 do not exceed. None without values."""
    ordered = sorted(values)
    return ordered[max(1, -(-percent * len(ordered) // 100)) - 1] if ordered else None


# --- the fault's clock, seen from outside -----------------------------------------------------------------------------


def detected(events: Iterable[Event], last: float) -> float | None:
    """When an agent or guard first said something after the last effect that is not routine, on the run's clock."""
    found = [event.at for event in events if event.at >= last - EVENT_SLACK and event.code not in ROUTINE]
    return max(last, min(found)) if found else None


@dataclass(frozen=True)
class Mask:
    """at: when the fault was masked. never: a service still had no good answer when the load ended. sure: until when it
    was certainly not masked, leaving out bad requests and waits for a good answer that a stall touched."""

    at: float | None
    never: bool = False
    sure: float | None = None


def masked(requests: Requests, times: Clock, deadline: float, stalls: Sequence[Stall] = ()) -> Mask:
    """The first good answer after the last bad request, both started at the last effect or later.

    The service hit worst is the one for which this comes last. Where no request was bad: the first good answer of all.
    """
    since = [request for request in requests.fresh if start(request) >= times.last]
    bad: list[Operation] = []
    answered: list[float | None] = []
    sure: list[float] = []
    for mine in by_service(since).values():
        wrong = bad_ones(mine, deadline)
        good = _next_good(wrong, mine, deadline)
        bad += wrong
        answered += good[-1:]
        sure += [
            _certain(request, times.end if then is None else then, stalls)
            for request, then in zip(wrong, good, strict=True)
            if beyond_doubt([request], stalls, deadline)
        ]
    if None in answered:
        return Mask(None, never=True, sure=max(sure, default=None))
    if bad:
        return Mask(max(each for each in answered if each is not None), sure=max(sure, default=None))
    first = min((request.ended for request in since if request.ended is not None), default=None)
    untouched = first is not None and not stalled(stalls, (times.last, first))
    return Mask(first, sure=first if untouched else None)


def _next_good(bad: Sequence[Operation], requests: Sequence[Operation], deadline: float) -> list[float | None]:
    """For each bad request the first end of all good ones that started after it; both in order of start."""
    found: list[float | None] = []
    pending = list(requests)
    best: float | None = None
    for request in reversed(bad):
        while pending and start(pending[-1]) > start(request):
            other = pending.pop()
            if other.ended is not None and not is_bad(other, deadline):
                best = other.ended if best is None else min(best, other.ended)
        found.append(best)
    return found[::-1]


def _certain(request: Operation, answered: float, stalls: Sequence[Stall]) -> float:
    """Until when the service was certainly not well: the next good answer, if no stall held that up."""
    return start(request) if stalled(stalls, (start(request), answered)) else answered


# --- the instrument ---------------------------------------------------------------------------------------------------


def instrument(
    operations: Sequence[Operation], stalls: Sequence[Stall], meter: Mapping[str, float]
) -> Instrument | None:
    """How good the measuring was; None without requests. Stalls are those longer than 50 ms; the worst is of all.

    Lateness is what the meter says, where it does (`lateness_p50`, `lateness_p99`); otherwise it is taken from the
    first bytes, so that it holds the time for connecting too.
    """
    if not operations:
        return None
    late = [request.sent - request.scheduled for request in operations if request.sent is not None]
    scheduled = [request.scheduled for request in operations]
    seconds = meter.get("seconds", 0.0) or max(scheduled) - min(scheduled)
    return Instrument(
        requests=len(operations),
        rate=len(operations) / seconds if seconds > 0 else 0.0,
        lateness_p50=meter.get("lateness_p50", percentile(late, 50) or 0.0),
        lateness_p99=meter.get("lateness_p99", percentile(late, 99) or 0.0),
        cpu=meter.get("cpu_seconds", 0.0) / seconds if seconds > 0 else 0.0,
        stalls=len(worth(stalls)),
        worst_stall=max((stall.seconds for stall in stalls), default=0.0),
    )


def blind(moments: Iterable[float], begin: float, end: float, usual: float) -> bool:
    """Whether nothing was due for long between begin and end: more than 1 s and more than ten usual distances.

    A load that died has seen no failure; that is not the same as none.
    """
    inside = sorted(moment for moment in moments if begin <= moment <= end)
    return spacing([begin, *inside, end]) > max(1.0, 10 * usual)


def usual_spacing(moments: Sequence[float]) -> float:
    """Mean distance between neighbours, seconds."""
    return (max(moments) - min(moments)) / (len(moments) - 1) if len(moments) > 1 else 0.0
