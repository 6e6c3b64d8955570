"""How `outlast recover` looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from outlast.pipeline.recover import Database, Outlook, Row


def lines(seen: Outlook, now: float) -> Iterator[str]:
    """`now`: wall time in seconds, for how long something is so."""
    if seen.well:
        yield "every member is well: there is nothing to do"
        return
    for node, reason in (seen.paused or {}).items():
        yield f"{node} is paused: {reason}; to let its agent go on: outlast resume {node}"
    for row in seen.rows:
        yield from _row(row, now)
    if seen.database:
        yield from _database(seen.database)


def _row(row: Row, now: float) -> Iterator[str]:
    what = f"{row.service} on {row.node}" if row.service else row.node
    since = f"  (for {_span(now - row.since)}, {row.code})" if row.since else ""
    yield f"{what}: {row.next}{since}"
    if row.evidence:
        yield f"    {row.evidence}"


def _database(seen: Database) -> Iterator[str]:
    yield ""
    yield f"database: {seen.sentence}"
    for one in seen.members:
        view = f"; last in {', '.join(one.last_view)}" if one.last_view else ""
        given = f"; told to do without {', '.join(one.given_up)}" if one.given_up else ""
        permit = f"; holds the permit {one.permit}" if one.permit else ""
        yield f"    {one.node:8} {one.state:12} {one.position}{view}{given}{permit}"
    for choice in seen.choices:
        yield f"  - {choice}"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
