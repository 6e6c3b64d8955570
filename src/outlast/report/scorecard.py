"""The scorecard: every scenario's figures, grouped by the class of its fault, beside other profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from outlast.report.pool import Origin, Pool, pool
from outlast.report.row import Row, inputs_key

PROFILE = "outlast"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A scenario under one profile.

    stale: why the figures are not those of today, "" where they are. replaced: unknown runs that a later run stands
    for. older: runs of other inputs, left out. beside: some run is of a session that the line's first entry has too.
    """

    pool: Pool
    stale: str = ""
    replaced: tuple[Origin, ...] = ()
    replaced_reasons: tuple[str, ...] = ()
    older: int = 0
    beside: bool = True


@dataclass(frozen=True, kw_only=True)
class Line:
    """One scenario: `main` is the profile that the scorecard is about, `others` stand beside it."""

    scenario: str
    title: str
    fault_class: str
    covers: tuple[str, ...]
    main: Entry
    others: tuple[Entry, ...] = ()

    @property
    def state(self) -> str:
        """pass, fail, unknown, or stale: a figure of yesterday is neither good nor bad today."""
        return "stale" if self.main.stale else self.main.pool.result


@dataclass(frozen=True, kw_only=True)
class Group:
    """All scenarios of a fault class; title: the class in words."""

    fault_class: str
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the figures were measured on. started: seconds since the epoch, of the first and the last run shown.

    runs: those that the figures are made of. checked: whether present inputs were known, so that staleness was judged.
    """

    machines: tuple[tuple[tuple[str, str], ...], ...]
    versions: tuple[tuple[str, str], ...]
    clusters: tuple[str, ...]
    commits: tuple[str, ...]
    first: float | None
    last: float | None
    runs: int
    left_out: int
    checked: bool


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    head: Head
    groups: tuple[Group, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for group in self.groups for line in group.lines)

    @property
    def summary(self) -> Mapping[str, int]:
        """scenarios, pass, fail, unknown, stale; the last four add up to the first."""
        states = [line.state for line in self.lines]
        return {"scenarios": len(states), **{name: states.count(name) for name in ("pass", "fail", "unknown", "stale")}}


def scorecard(
    runs: Sequence[Row],
    now_inputs: Mapping[str, str],
    profile: str = PROFILE,
    classes: Mapping[str, str] = MappingProxyType({}),
) -> Scorecard:
    """A scorecard of all runs.

    now_inputs: `inputs_key(scenario, profile)` -> digest of what the row depends on today. Empty: nothing is called
    stale, and the head says so. Runs are pooled only with runs of the same inputs: today's where there are some, those
    of the newest run otherwise. An unknown run is replaced by a later judged one of the same inputs (PROVING 13).
    classes: fault class -> words for it; groups come in its order.
    """
    by_scenario = groupby(sorted(runs, key=lambda row: (row.record.scenario, row.record.profile)), _scenario)
    lines = [_line(list(rows), now_inputs, profile) for _, rows in by_scenario]
    order = {name: number for number, name in enumerate(classes)}
    lines.sort(key=lambda line: (order.get(line.fault_class, len(order)), line.fault_class, line.scenario))
    groups = tuple(
        Group(fault_class=name, title=classes.get(name, name), lines=tuple(found))
        for name, found in groupby(lines, lambda line: line.fault_class)
    )
    return Scorecard(head=_head(runs, groups, bool(now_inputs)), groups=groups)


def _scenario(row: Row) -> str:
    return row.record.scenario


def _line(rows: Sequence[Row], now_inputs: Mapping[str, str], profile: str) -> Line:
    entries = [_entry(list(found), now_inputs) for _, found in groupby(rows, lambda row: row.record.profile)]
    main = next((entry for entry in entries if entry.pool.profile == profile), entries[0])
    newest = main.pool.newest
    return Line(
        scenario=main.pool.scenario,
        title=newest.title or main.pool.scenario,
        fault_class=newest.fault_class or "other",
        covers=newest.covers,
        main=main,
        others=tuple(_beside(entry, main) for entry in entries if entry is not main),
    )


def _beside(entry: Entry, main: Entry) -> Entry:
    return Entry(**{**vars(entry), "beside": bool(entry.pool.sessions & main.pool.sessions)})


def _entry(rows: Sequence[Row], now_inputs: Mapping[str, str]) -> Entry:
    ordered = sorted(rows, key=_age)
    now = now_inputs.get(inputs_key(rows[0].record.scenario, rows[0].record.profile))
    digests = {row.record.inputs for row in ordered}
    digest = now if now in digests else ordered[-1].record.inputs
    same = [row for row in ordered if row.record.inputs == digest]
    kept = [row for row in same if not _is_replaced(row, same)]
    gone = [row for row in same if _is_replaced(row, same)]
    return Entry(
        pool=pool(kept),
        stale=_stale(digest, now, bool(now_inputs)),
        replaced=tuple(pool(gone).origins) if gone else (),
        replaced_reasons=pool(gone).reasons if gone else (),
        older=len(ordered) - len(same),
    )


def _age(row: Row) -> tuple[float, str]:
    return row.record.started, row.record.id


def _is_replaced(row: Row, same: Sequence[Row]) -> bool:
    """Nothing could be said of this run, and it was made again. What may never happen stands all the same."""
    if row.verdict.result != "unknown" or any(not finding.safe for finding in row.verdict.findings):
        return False
    return any(later.verdict.result != "unknown" and _age(later) > _age(row) for later in same)


def _stale(digest: str, now: str | None, checked: bool) -> str:
    if not checked or digest == now:
        return ""
    return "no such scenario and profile today" if now is None else "code, cluster, scenario or profile changed since"


def _head(runs: Sequence[Row], groups: Sequence[Group], checked: bool) -> Head:
    entries = [entry for group in groups for line in group.lines for entry in (line.main, *line.others)]
    shown = {origin.id for entry in entries for origin in entry.pool.origins}
    records = [row.record for row in sorted(runs, key=_age) if row.record.id in shown]
    return Head(
        machines=tuple(dict.fromkeys(tuple(sorted(record.machine.items())) for record in records)),
        versions=tuple(sorted(records[-1].versions.items())) if records else (),
        clusters=tuple(sorted({record.cluster for record in records})),
        commits=tuple(dict.fromkeys(record.commit for record in records)),
        first=records[0].started if records else None,
        last=records[-1].started if records else None,
        runs=len(records),
        left_out=len(runs) - len(records),
        checked=checked,
    )
