"""The scorecard as one HTML file that needs nothing else: no script, no picture, no font from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from outlast.report.compare import Comparison
from outlast.report.drawing import Drawing, draw, seconds_after
from outlast.report.row import Row
from outlast.report.scorecard import Entry, Head, Line, Scorecard
from outlast.report.table import COLUMNS, LEGEND, Cell, cells, notes, summary
from outlast.report.timeline import Timeline
from outlast.report.wording import (
    NO_REASON,
    NONE,
    RESULT,
    SIGN,
    budget,
    days,
    finding,
    instrument,
    machine,
    moment,
    of,
    seconds,
    times,
)

TEMPLATES = Path(__file__).parent / "templates"
MOST_SAID = 60  # findings of one run in words; run.json and verdict.json have all


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A table row: a scenario under a profile. links: (text, anchor) of its runs that have a picture."""

    line: Line
    entry: Entry
    main: bool
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run's section: its picture, and what was found in words."""

    row: Row
    anchor: str
    facts: tuple[tuple[str, str], ...]
    drawings: tuple[tuple[str, Drawing], ...]
    findings: tuple[str, ...]
    more: int
    reasons: tuple[str, ...]


def page(card: Scorecard, timelines: Iterable[Timeline] = (), comparison: Comparison | None = None) -> str:
    """The whole file. Pictures are drawn for the timelines that are handed in, in the scorecard's order."""
    by_id = {seen.row.record.id: seen for seen in timelines}
    anchors = {run_id: f"run-{number}-{_slug(run_id)}" for number, run_id in enumerate(by_id, start=1)}
    ordered = [run_id for run_id in _order(card) if run_id in by_id]
    ordered += [run_id for run_id in by_id if run_id not in ordered]
    groups = [(group.title, [shown for line in group.lines for shown in _rows(line, anchors)]) for group in card.groups]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            columns=COLUMNS,
            comparison=comparison if comparison and comparison.rows else None,
            groups=groups,
            head=_head(card.head),
            legend=LEGEND,
            period=days(card.head.first, card.head.last),
            runs=[_run(by_id[run_id], anchors[run_id]) for run_id in ordered],
            several_machines=len(card.head.machines) > 1,
            strip=summary(card),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "result": RESULT.__getitem__,
        "seconds": seconds,
    }
    return found


def _slug(run_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", run_id)


def _order(card: Scorecard) -> Iterator[str]:
    for line in card.lines:
        for entry in (line.main, *line.others):
            yield from (origin.id for origin in (*entry.pool.origins, *entry.replaced))


def _rows(line: Line, anchors: dict[str, str]) -> Iterator[_Shown]:
    for entry in (line.main, *line.others):
        pictured = [origin.id for origin in entry.pool.origins if origin.id in anchors]
        yield _Shown(
            line=line,
            entry=entry,
            main=entry is line.main,
            cells=cells(entry),
            notes=notes(entry),
            links=tuple((f"run {number}", anchors[run_id]) for number, run_id in enumerate(pictured, start=1)),
        )


def _head(head: Head) -> Sequence[tuple[str, str]]:
    facts = [("machine", machine(one)) for one in head.machines] or [("machine", NONE)]
    facts += [("cluster", ", ".join(head.clusters) or NONE), ("commit", ", ".join(head.commits) or NONE)]
    facts += [("date", days(head.first, head.last))]
    left_out = f", {head.left_out} older or replaced left out" if head.left_out else ""
    facts += [("runs", f"{head.runs}{left_out}")]
    if head.versions:
        facts.append(("versions", ", ".join(f"{name} {version}" for name, version in head.versions)))
    if not head.checked:
        facts.append(("stale rows", "not looked for: present inputs were not known"))
    return facts


def _run(seen: Timeline, anchor: str) -> _Run:
    verdict = seen.row.verdict
    reasons = verdict.reasons or ((NO_REASON,) if verdict.result == "unknown" else ())
    said = tuple(finding(one) for one in verdict.findings)
    return _Run(
        row=seen.row,
        anchor=anchor,
        facts=tuple(_facts(seen.row)),
        drawings=tuple(_drawings(seen)),
        findings=said[:MOST_SAID],
        more=max(0, len(said) - MOST_SAID),
        reasons=reasons,
    )


def _drawings(seen: Timeline) -> Iterator[tuple[str, Drawing]]:
    yield "The whole run", draw(seen)
    if seen.close:
        yield "The first moments, services that were hit", draw(seen.close)


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    record, verdict = row.record, row.verdict
    yield "begun", moment(record.started)
    if record.targets:
        yield "targets", ", ".join(f"{what} = {node}" for what, node in sorted(record.targets.items()))
    yield "commit", record.commit
    levels = {level.name: f"{SIGN[level.held]} {level.name} {of(level.failed, level.n)}" for level in verdict.levels}
    yield "levels", " · ".join(levels[name] for name in sorted(levels)) or "? nothing was measured"
    yield "times", times(verdict)
    if row.held is not None:
        yield "undo", seconds_after(row.held)
    if verdict.counts:
        yield "counts", " · ".join(f"{n:,} {name}" for name, n in verdict.counts.items())
    if verdict.budgets:
        yield "budgets", " · ".join(f"{SIGN[one.held]} {budget(one)}" for one in verdict.budgets)
    if verdict.instrument:
        yield "instrument", instrument(verdict.instrument)
