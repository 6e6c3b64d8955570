"""The judge: everything seen in a drill → one Verdict. Pure, so that saved runs can be judged again.

What is judged, and when a drill passes, fails or says nothing:

- No mark "took-effect", or a fault that was injected and of which none is there: unknown, whatever else was seen.
- fail: a finding that may never happen; L1 not held; a budget broken beyond what the machine's own stalls explain.
- unknown: L1 or a budget could not be measured, or only requests and times that a stall touched speak against it.
- pass: everything else.

Figures are defined where they are made: `measure` (requests and the fault's clock), `judge_streams` (tenants, VIPs),
`judge_budgets`, `judge_stalls`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from outlast.drill import judge_reasons, measure
from outlast.drill.judge_budgets import Figure, Measured, figure, judged
from outlast.drill.judge_stalls import beyond_doubt
from outlast.drill.judge_streams import TWO_OWNERS_SECONDS, findings_by_kind, owner_findings, owners, streams
from outlast.drill.measure import Clock, Requests, bad_ones, is_bad, start
from outlast.record.bound import upper_bound
from outlast.record.event import Event
from outlast.record.history import Operation, Packet, Stall
from outlast.record.run import Mark, Sample
from outlast.record.verdict import Budget, Finding, Level, Result, Verdict

PERMANENT = frozenset({"lost", "diverged", "resurrected"})
"""Findings after which nothing is as before (L1), where the checker calls them unsafe."""

Name = Literal["L1", "L2", "L3"]
NAMES: tuple[Name, ...] = ("L1", "L2", "L3")

FOUND = ("lost", "duplicated", "failed-but-applied", "stale", "resurrected")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that a drill saw. Times are seconds of the run's monotonic clock, `at` of events included.

    unproven: collections (service, name) of which no view proves that nothing was lost. meter: the instrument's own
    cpu_seconds, seconds and requests. deadline: seconds after which an answer comes too late for L2 and L3, patience:
    the same for L1. The order of what is in the tuples means nothing.
    """

    scenario: str
    fault_class: str = ""
    profile: str = ""
    budgets: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    operations: tuple[Operation, ...] = ()
    packets: tuple[Packet, ...] = ()
    stalls: tuple[Stall, ...] = ()
    samples: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    findings: tuple[Finding, ...] = ()
    unproven: tuple[tuple[str, str], ...] = ()
    meter: Mapping[str, float] = field(default_factory=dict)
    deadline: float = 5.0
    patience: float = 30.0


def judge(seen: Seen) -> Verdict:
    """The verdict; its times count from the moment the last fault took effect. Never raises."""
    unproven = measure.unproven(seen.marks)
    times = measure.clock(seen.marks, _due_last(seen))
    if times is None:
        return _nothing_proven(seen, unproven)
    known = _measured(seen, times)
    levels = (_first_level(seen, known), *_other_levels(seen, known.requests))
    figures = {name: figure(name, known) for name in seen.budgets}
    budgets = tuple(judged(name, seen.budgets[name], figures[name]) for name in seen.budgets)
    findings = tuple(finding for mine in known.findings.values() for finding in mine)
    services = measure.service_losses(known.requests, times, seen.deadline)
    return Verdict(
        scenario=seen.scenario,
        profile=seen.profile,
        result="unknown" if unproven else _result(levels[0], budgets, findings),
        levels=levels,
        detect=_after(known.detected, times),
        mask=_after(known.mask.at, times),
        repair=_after(times.undone if times.repaired is None else times.repaired, times),
        redundancy=_after(times.redundant, times),
        stall=max((service.stall for service in services), default=None),
        counts=_counts(seen, known.requests, times, known.findings),
        services=services,
        streams=tuple(stream.loss for stream in known.streams),
        findings=findings,
        budgets=budgets,
        instrument=measure.instrument(seen.operations, seen.stalls, seen.meter),
        reasons=(
            *judge_reasons.unproven(unproven),
            *judge_reasons.unsafe(known.findings),
            *_about_first_level(levels[0], known),
            *judge_reasons.budgets(budgets, figures, known, services),
            *judge_reasons.left_out(seen.marks),
        ),
    )


def _measured(seen: Seen, times: Clock) -> Measured:
    requests = measure.group(seen.operations, times)
    held = owners(seen.samples, times.first, times.until)
    scheduled = [request.scheduled for request in seen.operations]
    return Measured(
        times=times,
        requests=requests,
        deadline=seen.deadline,
        stalls=seen.stalls,
        detected=measure.detected(seen.events, times.last),
        heard=bool(seen.events),
        mask=measure.masked(requests, times, seen.deadline, seen.stalls),
        slowdown=measure.slowdown(requests, times, seen.deadline),
        streams=streams(seen.packets, times),
        owners=held,
        findings=findings_by_kind((*seen.findings, *owner_findings(held, _allowed(seen)))),
        unproven=tuple(sorted(" ".join(each) for each in seen.unproven)),
        blind=measure.blind(scheduled, times.first, times.until, measure.usual_spacing(scheduled)),
    )


def _due_last(seen: Seen) -> float | None:
    moments = [request.scheduled for request in seen.operations] + [packet.sent for packet in seen.packets]
    return max(moments, default=None)


def _allowed(seen: Seen) -> float:
    """Seconds for which a VIP may have two owners: in a partition, nobody can do better at once."""
    return max(TWO_OWNERS_SECONDS, seen.budgets.get("owners", 0.0))


def _after(at: float | None, times: Clock) -> float | None:
    return None if at is None else at - times.last


# --- levels -----------------------------------------------------------------------------------------------------------


def _first_level(seen: Seen, known: Measured) -> Level:
    """L1: full redundancy came back, something new worked then (no mark "broken"), no request that started since on a
    connection of its own failed within the patience (30 s), and nothing is lost, diverged or resurrected. A pooled
    connection may still lead to a peer that vanished with the fault; its first use shows that, once. None where
    requests or the wait for redundancy are missing, or where a stall touched every request that failed."""
    requests = tuple(request for request in known.requests.after if request.fresh)
    bad = bad_ones(requests, seen.patience)
    times = known.times
    gave_up = times.redundant is None and times.gave_up is not None
    held: bool | None = None
    if _permanent(known) or gave_up or times.broken or beyond_doubt(bad, seen.stalls, seen.patience):
        held = False
    elif times.redundant is not None and requests and not bad:
        held = True
    return _level("L1", held, requests, bad)


def _permanent(known: Measured) -> bool:
    return any(not finding.safe for what in PERMANENT for finding in known.findings.get(what, ()))


def _other_levels(seen: Seen, requests: Requests) -> tuple[Level, Level]:
    """L2: requests sent on connections of their own from the first effect to full redundancy. L3: these and all that
    were in flight. Requests sent on pooled connections are counted apart (`pooled-failed`)."""
    everything = (*requests.in_flight, *requests.new)
    return _level_of("L2", requests.new, seen), _level_of("L3", everything, seen)


def _level_of(name: Name, requests: Sequence[Operation], seen: Seen) -> Level:
    bad = bad_ones(requests, seen.deadline)
    held = None
    if beyond_doubt(bad, seen.stalls, seen.deadline):
        held = False
    elif requests and not bad:
        held = True
    return _level(name, held, requests, bad)


def _level(name: Name, held: bool | None, requests: Sequence[Operation], bad: Sequence[Operation]) -> Level:
    n, failed = len(requests), len(bad)
    return Level(name=name, held=held, n=n, failed=failed, bound=upper_bound(failed, n))


def _about_first_level(level: Level, known: Measured) -> tuple[str, ...]:
    times = known.times
    return judge_reasons.first_level(level, times)


# --- result -----------------------------------------------------------------------------------------------------------


def _result(level: Level, budgets: Iterable[Budget], findings: Iterable[Finding]) -> Result:
    verdicts = [level.held, *(budget.held for budget in budgets)]
    if False in verdicts or any(not finding.safe for finding in findings):
        return "fail"
    return "unknown" if None in verdicts else "pass"


def _counts(
    seen: Seen, requests: Requests, times: Clock, findings: Mapping[str, Sequence[Finding]]
) -> Mapping[str, int]:
    """ok, failed (refused, or answered too late) and unknown: all requests in flight at the first effect or started
    since, to the end of the load and on whatever connection. new-, in-flight- and pooled-failed: bad ones of these
    groups, up to full redundancy. The others count findings."""
    since = [request for request in seen.operations if start(request) >= times.first]
    touched = [*requests.in_flight, *since]
    bad = bad_ones(touched, seen.deadline)
    unknown = sum(request.outcome == "unknown" for request in bad)
    return {
        "ok": len(touched) - len(bad),
        "failed": len(bad) - unknown,
        "unknown": unknown,
        "new-failed": sum(is_bad(request, seen.deadline) for request in requests.new),
        "in-flight-failed": sum(is_bad(request, seen.deadline) for request in requests.in_flight),
        "pooled-failed": sum(is_bad(request, seen.deadline) for request in requests.pooled),
        **_finding_counts(findings),
    }


def _finding_counts(findings: Mapping[str, Sequence[Finding]]) -> Mapping[str, int]:
    return {what: len(findings.get(what, ())) for what in FOUND}


def _nothing_proven(seen: Seen, unproven: Sequence[Mark]) -> Verdict:
    """Without a fault there is nothing to measure; what the checkers found is told all the same."""
    held = owners(seen.samples, float("inf"), float("inf"))
    kinds = findings_by_kind((*seen.findings, *owner_findings(held, _allowed(seen))))
    missing = Figure(found=None)
    return Verdict(
        scenario=seen.scenario,
        profile=seen.profile,
        result="unknown",
        levels=tuple(_level(name, None, (), ()) for name in NAMES),
        counts=_finding_counts(kinds),
        findings=tuple(finding for mine in kinds.values() for finding in mine),
        budgets=tuple(judged(name, limit, missing) for name, limit in seen.budgets.items()),
        instrument=measure.instrument(seen.operations, seen.stalls, seen.meter),
        reasons=(*judge_reasons.unproven(unproven or None), *judge_reasons.unsafe(kinds)),
    )
