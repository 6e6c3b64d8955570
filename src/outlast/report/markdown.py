"""The scorecard and the comparison as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from outlast.report.compare import Comparison
from outlast.report.scorecard import Entry, Group, Head, Line, Scorecard
from outlast.report.table import COLUMNS, LEGEND, cells, entries, notes, summary
from outlast.report.wording import NONE, days, machine, runs

MOST_NOTES = 6


def scorecard_markdown(card: Scorecard, comparison: Comparison | None = None) -> str:
    """A whole page: head, a table for each fault class, notes, the comparison, the legend."""
    parts = ["# Scorecard", "\n".join(_head(card.head)), _summary(card)]
    parts += [part for group in card.groups for part in _group(group)]
    if not card.groups:
        parts.append("No run is recorded.")
    if comparison and comparison.rows:
        parts += ["## Comparison", comparison_markdown(comparison).rstrip("\n")]
    parts += ["## Legend", _table(("word", "meaning"), [[word, meaning] for word, meaning in LEGEND])]
    return "\n\n".join(parts) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The ratio table with a sentence on how to read it."""
    how = (
        f"Ratios to `{comparison.base}` within one session; in brackets both values, theirs first. "
        f"≥: it did not end before the drill undid the fault, or ours was shorter than the instrument can tell. "
        f"{NONE}: not measurable."
    )
    return f"{how}\n\n{_table(comparison.header, comparison.table())}\n"


def escape(text: str) -> str:
    """Text that means nothing to Markdown and stays on its line."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", plain)


def _head(head: Head) -> Iterator[str]:
    for facts in head.machines:
        yield f"- machine: {escape(machine(facts))}"
    if len(head.machines) > 1:
        yield "- **runs of several machines: times are not comparable between rows**"
    yield f"- cluster: {escape(', '.join(head.clusters)) or NONE}"
    if head.versions:
        yield f"- versions: {escape(', '.join(f'{name} {version}' for name, version in head.versions))}"
    yield f"- commit: {escape(', '.join(head.commits)) or NONE}"
    yield f"- date: {days(head.first, head.last)}"
    older = f", {head.left_out} older or replaced left out" if head.left_out else ""
    yield f"- {runs(head.runs)}{older}"
    if not head.checked:
        yield "- present inputs were not known: nothing is called stale"


def _summary(card: Scorecard) -> str:
    return " · ".join(f"**{n}** {word}" for word, n in summary(card))


def _group(group: Group) -> Iterator[str]:
    yield f"## {escape(group.title)}"
    rows = [_row(line, entry) for line in group.lines for entry in entries(line)]
    yield _table(("scenario", "profile", *COLUMNS), rows)
    said = [note for line in group.lines for entry in entries(line) for note in _notes(line, entry)]
    if said:
        yield "\n".join(said)


def _row(line: Line, entry: Entry) -> list[str]:
    # A row of its own profile carries the title; those beside it need only say whose they are.
    name = f"**{escape(line.title)}** {escape(line.scenario)}" if entry is line.main else escape(line.scenario)
    return [name, escape(entry.pool.profile), *(escape(cell.flat) for cell in cells(entry))]


def _notes(line: Line, entry: Entry) -> Iterator[str]:
    said = notes(entry)
    if said:
        more = f"; and {len(said) - MOST_NOTES} more" if len(said) > MOST_NOTES else ""
        shown = escape("; ".join(said[:MOST_NOTES]))
        yield f"- {escape(line.scenario)} ({escape(entry.pool.profile)}): {shown}{more}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)
