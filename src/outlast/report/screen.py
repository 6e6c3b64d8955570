"""One verdict on one screen: plain lines of at most 100 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from outlast.record.verdict import Level, ServiceLoss, StreamLoss, Verdict
from outlast.report.pool import LEVELS
from outlast.report.wording import NO_REASON, RESULT, SIGN, budget, finding, instrument, of, seconds, times

WIDTH = 100
MOST = 8  # findings and reasons each
MEANING = {"L1": "works again", "L2": "no new request fails", "L3": "no request fails"}
COUNTED = ("ok", "failed", "unknown", "lost", "duplicated")
APART = ("new-failed", "in-flight-failed", "pooled-failed", "failed-but-applied", "stale", "resurrected")


def screen(verdict: Verdict, title: str = "", width: int = WIDTH) -> list[str]:
    """Lines without colour or markup. title: the scenario's, in words; width: 60 or more, in characters."""
    head = f"{verdict.scenario} under {verdict.profile}: {RESULT[verdict.result].upper()}"
    lines = [head, *([title] if title else []), ""]
    lines += [
        *_levels(verdict.levels),
        "",
        _pair("times", times(verdict)),
        *_requests(verdict),
        *_services(verdict.services),
    ]
    lines += [*_streams(verdict.streams), *_budgets(verdict)]
    lines += _listed("findings", [finding(one) for one in verdict.findings])
    reasons = verdict.reasons or ((NO_REASON,) if verdict.result == "unknown" else ())
    lines += _listed("reasons", reasons)
    lines += ["", _pair("instrument", instrument(verdict.instrument))]
    return [part for line in lines for part in _folded(line, width)]


def _levels(levels: Sequence[Level]) -> Iterator[str]:
    by_name = {level.name: level for level in levels}
    for name in LEVELS:
        level = by_name.get(name)
        held = None if level is None or (level.held and not level.n) else level.held
        found = of(level.failed, level.n) if level and level.n else "nothing was measured"
        yield f"  {SIGN[held]} {name}  {MEANING[name]:<22} {found}"


def _requests(verdict: Verdict) -> Iterator[str]:
    counts = verdict.counts
    said = [f"{counts[name]:,} {name}" if name in counts else f"? {name}" for name in COUNTED]
    yield _pair("requests", " · ".join(said))
    apart = [f"{counts[name]:,} {name}" for name in APART if counts.get(name)]
    if apart:
        yield _pair("", " · ".join(apart))


def _services(services: Sequence[ServiceLoss]) -> Iterator[str]:
    """Only those that somebody noticed something of."""
    hit = [one for one in services if one.failed or one.unknown or one.out > 0]
    for number, one in enumerate(sorted(hit, key=lambda one: -one.out)):
        bad = f"{one.failed:,} failed, {one.unknown:,} unknown of {one.n:,}"
        out = f"out {seconds(one.out)} ± {seconds(one.resolution)}, stall {seconds(one.stall)}"
        yield _pair("services hit" if number == 0 else "", f"{one.service}: {bad}; {out}")


def _streams(streams: Sequence[StreamLoss]) -> Iterator[str]:
    if not streams:
        yield _pair("tenants", "no stream was measured")
    for number, one in enumerate(streams):
        lost = f"{one.lost:,} of {one.sent:,} packets lost, longest gap {seconds(one.gap)}"
        yield _pair("tenants" if number == 0 else "", f"{one.stream}: {lost}")


def _budgets(verdict: Verdict) -> Iterator[str]:
    for number, one in enumerate(verdict.budgets):
        yield _pair("budgets" if number == 0 else "", f"{SIGN[one.held]} {budget(one)}")


def _listed(name: str, said: Sequence[str]) -> Iterator[str]:
    for number, sentence in enumerate(said[:MOST]):
        yield _pair(name if number == 0 else "", sentence)
    if len(said) > MOST:
        yield _pair("", f"and {len(said) - MOST} more")


def _pair(name: str, text: str) -> str:
    return f"  {name:<13} {text}"


def _folded(line: str, width: int) -> list[str]:
    """Long lines go on below the text of their first one."""
    clean = "".join(letter if letter.isprintable() else " " for letter in line)
    if len(clean) <= width:
        return [clean.rstrip()]
    whole = re.sub(r"(?<=\d) (?=(s|ms|%|×)(\W|$))", "\N{NO-BREAK SPACE}", clean)
    parts = wrap(whole, width, subsequent_indent=" " * 16, break_on_hyphens=False)
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts]
