"""Why a drill did not pass, in sentences, the most important first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from outlast.drill.judge_budgets import FIGURES, MESSAGES, Figure, Measured, why_unknown
from outlast.drill.measure import Clock, bad_ones, by_service, outages
from outlast.record.run import Mark
from outlast.record.verdict import Budget, Finding, Level, ServiceLoss

REQUESTS = frozenset({"new-failed", "failed", "in-flight-failed"})
COUNTS = REQUESTS | {"lost", "duplicated", "resurrected", "diverged", "unsafe", "stream-lost"}


def unproven(marks: Sequence[Mark] | None) -> tuple[str, ...]:
    """None: no fault at all took effect, or was even injected."""
    if marks is None:
        return ("it could not be proven that the fault took effect: no fault was injected",)
    return tuple(f"it could not be proven that the fault took effect: {mark.detail or 'fault'}" for mark in marks)


def unsafe(findings: Mapping[str, Sequence[Finding]]) -> tuple[str, ...]:
    """One sentence per kind that may never happen, with the first finding in full."""
    found = []
    for what, mine in findings.items():
        wrong = [finding for finding in mine if not finding.safe]
        if wrong:
            found.append(f"{what} ({len(wrong)}): {wrong[0].sentence}")
    return tuple(found)


def first_level(level: Level, times: Clock) -> tuple[str, ...]:
    """What speaks against L1, findings apart."""
    if level.held:
        return ()
    found = [f"it does not work again: {times.broken}"] if times.broken else []
    if times.redundant is None and times.gave_up is not None:
        found.append(f"full redundancy was not back {times.gave_up - times.last:.1f} s after the fault")
    elif times.redundant is None:
        found.append("the drill ended before full redundancy was back")
    elif not level.n:
        found.append("no request was sent after full redundancy was back: nothing shows that the cluster works again")
    if level.failed:
        doubt = " (the machine itself stood still meanwhile)" if level.held is None else ""
        found.append(f"{level.failed} of {level.n} requests failed after full redundancy was back{doubt}")
    return tuple(found)


def left_out(marks: Iterable[Mark]) -> tuple[str, ...]:
    """What was not measured; the verdict says nothing about it."""
    return tuple(mark.detail for mark in marks if mark.what == "left-out")


def budgets(
    known: Iterable[Budget], figures: Mapping[str, Figure], seen: Measured, services: Sequence[ServiceLoss]
) -> tuple[str, ...]:
    """Broken ones first, then those about which nothing can be said."""
    known = tuple(known)
    broken = [_broken(budget, seen, services) for budget in known if budget.held is False]
    unsure = [_unsure(budget, figures[budget.name]) for budget in known if budget.held is None]
    return (*broken, *unsure)


def _broken(budget: Budget, seen: Measured, services: Sequence[ServiceLoss]) -> str:
    if budget.found is None:
        return f"{budget.name}: not within {_amount(budget.name, budget.limit)}, nor by the end of the drill"
    sentence = f"{budget.name}: {_amount(budget.name, budget.found)}, allowed {_amount(budget.name, budget.limit)}"
    return sentence + _detail(budget.name, seen, services)


def _detail(name: str, seen: Measured, services: Sequence[ServiceLoss]) -> str:
    if name in REQUESTS:
        return _by_service(name, seen)
    if name == "stall" and (through := [one for one in services if one.service != MESSAGES]):
        slowest = max(through, key=lambda service: (service.stall, service.service))
        return f" ({slowest.service})"
    if name in ("stream-lost", "stream-gap"):
        hit = [stream.loss for stream in seen.streams if stream.loss.lost]
        return f" ({', '.join(f'{loss.stream} {loss.lost} of {loss.sent}' for loss in hit)})"
    return ""


def _by_service(name: str, seen: Measured) -> str:
    """Whose requests failed, how long the longest outage was, and how many pooled ones failed beside them."""
    requests = seen.requests
    fresh = () if name == "in-flight-failed" else requests.new
    flying = () if name == "new-failed" else requests.in_flight
    parts = []
    for service, mine in by_service((*flying, *fresh)).items():
        bad = bad_ones(mine, seen.deadline)
        if bad:
            parts.append(f"{service} {len(bad)} of {len(mine)}{_longest(service, seen) if fresh else ''}")
    pooled = len(bad_ones(requests.pooled, seen.deadline))
    apart = f"; {pooled} on pooled connections counted apart" if pooled else ""
    return f" ({', '.join(parts)}{apart})"


def _longest(service: str, seen: Measured) -> str:
    mine = by_service(seen.requests.fresh).get(service, ())
    longest = max(outages(mine, seen.deadline, seen.times.end), key=lambda gap: gap.seconds, default=None)
    return f", out for up to {longest.seconds:.2f} ± {longest.resolution:.2f} s" if longest else ""


def _unsure(budget: Budget, figure: Figure) -> str:
    found = "" if budget.found is None else f"{_amount(budget.name, budget.found)} found, "
    limit = _amount(budget.name, budget.limit)
    return f"{budget.name} is unknown: {found}{limit} allowed, but {why_unknown(budget.limit, figure)}"


def _amount(name: str, value: float) -> str:
    if name in COUNTS:
        return f"{value:.0f}"
    if name == "p99-ratio":
        return f"{value:.1f} ×"
    return f"{value:.2f} s" if name in FIGURES else f"{value:g}"
