"""The scorecard as JSON. Keys are stable: programs may rely on them; new ones may be added."""

from __future__ import annotations

import json
from typing import Any

from outlast.report.pool import Pool
from outlast.report.scorecard import Entry, Head, Line, Scorecard
from outlast.report.table import notes

FORM = 1


def as_json(card: Scorecard) -> str:
    """Two spaces of indentation, one newline at the end; the same scorecard gives the same bytes."""
    return json.dumps(scorecard_value(card), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def scorecard_value(card: Scorecard) -> dict[str, Any]:
    """Numbers, strings, lists and mappings only. Seconds; null where nothing was measured."""
    return {
        "form": FORM,
        "head": _head(card.head),
        "summary": dict(card.summary),
        "classes": [
            {
                "class": group.fault_class,
                "title": group.title,
                "scenarios": [_line(line) for line in group.lines],
            }
            for group in card.groups
        ],
    }


def _head(head: Head) -> dict[str, Any]:
    return {
        "machines": [dict(machine) for machine in head.machines],
        "versions": dict(head.versions),
        "clusters": list(head.clusters),
        "commits": list(head.commits),
        "first": head.first,
        "last": head.last,
        "runs": head.runs,
        "left_out": head.left_out,
        "stale_checked": head.checked,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "scenario": line.scenario,
        "title": line.title,
        "covers": list(line.covers),
        "state": line.state,
        "profiles": [_entry(entry) for entry in (line.main, *line.others)],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    pool = entry.pool
    return {
        "profile": pool.profile,
        "result": pool.result,
        "stale": entry.stale or None,
        "same_session": entry.beside,
        "runs": [
            {"id": one.id, "started": one.started, "commit": one.commit, "inputs": one.inputs, "result": one.result}
            for one in pool.origins
        ],
        "replaced_runs": [one.id for one in entry.replaced],
        "older_runs": entry.older,
        "levels": {
            level.name: {"held": level.held, "n": level.n, "failed": level.failed, "bound": level.bound}
            for level in pool.levels
        },
        "times": {
            name: {"median": times.median, "worst": times.worst, "all": list(times.values)}
            for name, times in pool.times.items()
        },
        "counts": {name: {"total": one.total, "runs": one.known} for name, one in sorted(pool.counts.items())},
        "masked_only_by_undo": pool.helped,
        "tenants": _tenants(pool),
        "budgets": [
            {"name": one.name, "limit": one.limit, "found": one.found, "held": one.held} for one in pool.budgets
        ],
        "findings": [
            {"what": one.what, "sentence": one.sentence, "key": one.key, "safe": one.safe} for one in pool.findings
        ],
        "reasons": list(pool.reasons),
        "notes": list(notes(entry)),
    }


def _tenants(pool: Pool) -> dict[str, Any]:
    seen = pool.tenants
    if not seen.runs:
        return {"sent": None, "lost": None, "gap": None, "runs": 0}
    return {"sent": seen.sent, "lost": seen.lost, "gap": seen.gap, "runs": seen.runs}
