"""Figures in words, the same on the screen, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from outlast.record.bound import upper_bound
from outlast.record.verdict import Budget, Finding, Instrument, Verdict

NONE = "–"
SIGN: dict[bool | None, str] = {True: "✓", False: "✗", None: "?"}
RESULT = {"pass": "passed", "fail": "failed", "unknown": "unknown", "stale": "stale"}
NO_REASON = "the drill gave no reason"
_SECONDS = {"stall", "detect", "mask", "repair", "redundancy", "stream-gap", "out"}


def seconds(value: float | None) -> str:
    """Three figures at most: 34 ms, 0.34 s, 12.3 s, 134 s."""
    if value is None:
        return NONE
    if value < 0.0005:
        return "0 s"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 99.95 else f"{value:,.0f} s"


def percent(share: float) -> str:
    """Two figures, so that a small bound is not rounded to nothing."""
    value = share * 100
    if value >= 9.95:
        return f"{value:.0f} %"
    for digits in range(1, 6):
        if value >= 0.995 * 10 ** (1 - digits):
            return f"{value:.{digits}f} %"
    return f"{value:.1g} %"


def of(failed: int, n: int) -> str:
    """ "0 of 1,204, ≤ 0.25 %": never a count without its bound."""
    return f"{failed:,} of {n:,}, ≤ {percent(upper_bound(failed, n))}" if n else "0 of 0"


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def budget_value(name: str, value: float | None) -> str:
    """A figure in the unit of its budget."""
    if value is None:
        return "?"
    if name in _SECONDS:
        return seconds(value)
    return f"{number(value)} ×" if name.endswith("-ratio") else number(value)


def budget(one: Budget) -> str:
    return f"{one.name} {budget_value(one.name, one.found)} (≤ {budget_value(one.name, one.limit)})"


def finding(one: Finding) -> str:
    about = f" [{one.key}]" if one.key and one.key not in one.sentence else ""
    return f"{one.what}: {one.sentence}{about}"


def day(at: float | None) -> str:
    return NONE if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def moment(at: float | None) -> str:
    return NONE if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def days(first: float | None, last: float | None) -> str:
    begin, end = day(first), day(last)
    return begin if begin == end else f"{begin} to {end}"


def runs(n: int) -> str:
    return f"{n} run" if n == 1 else f"{n} runs"


def machine(facts: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in facts) or "not described"


def times(verdict: Verdict) -> str:
    named = [("detect", verdict.detect), ("mask", verdict.mask), ("repair", verdict.repair)]
    named += [("redundancy", verdict.redundancy), ("stall", verdict.stall)]
    return " · ".join(f"{name} {seconds(value)}" for name, value in named)


def instrument(seen: Instrument | None) -> str:
    """How good the measuring was, in one sentence."""
    if seen is None:
        return "nothing is known of its quality"
    late = f"late p50 {seconds(seen.lateness_p50)}, p99 {seconds(seen.lateness_p99)}"
    halts = f"{seen.stalls} machine stalls, worst {seconds(seen.worst_stall)}" if seen.stalls else "no machine stall"
    return f"{seen.requests:,} requests at {seen.rate:.0f}/s; {late}; {percent(seen.cpu)} of a core; {halts}"
