"""Histories written by hand: times in seconds, one line an operation."""

from __future__ import annotations

from itertools import count
from typing import Any

from outlast.drill.check.check import check
from outlast.record.history import Kind, Operation, Outcome
from outlast.record.run import View

ROWS = {"service": "galera", "workload": "sql-rows"}
PROJECTS = {"service": "keystone", "workload": "keystone-projects"}
NOTICES = {"service": "rabbitmq", "workload": "mq-notices"}
CONSUMED = {"service": "rabbitmq", "workload": "mq-notices-consume"}

_ids = count(1)


def op(kind: Kind, key: str, at: tuple[float | None, float | None], outcome: Outcome = "ok", **rest: Any) -> Operation:
    """An operation on a row, unless `rest` names another collection. at: sent and ended."""
    sent, ended = at
    scheduled = rest.pop("scheduled", 0.0 if sent is None else sent)
    fields = {**ROWS, **rest}
    return Operation(
        id=next(_ids), kind=kind, key=key, scheduled=scheduled, sent=sent, ended=ended, outcome=outcome, **fields
    )


def view(node: str, *entries: str | tuple[str, str], complete: bool = True, of: dict[str, str] = ROWS) -> View:
    """What one node lists; an entry without a value is a key alone."""
    pairs = tuple((entry, "") if isinstance(entry, str) else entry for entry in entries)
    return View(node=node, service=of["service"], collection=of["workload"], entries=pairs, complete=complete)


def classes(operations: list[Operation], views: list[View]) -> list[tuple[str, str]]:
    """Class and key of all findings."""
    return [(finding.what, finding.key) for finding in check(tuple(operations), tuple(views))]
