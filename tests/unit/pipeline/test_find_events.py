"""Which events are shown, and how times are said."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from example_clusters import opened

from outlast.errors import InputError
from outlast.pipeline import events
from outlast.pipeline.events import Wanted, moment, select
from outlast.record.events import Event

NOW = 1_000_000.0
ALL = (
    Event(2, 20.0, "c2", "haproxy", "server-left", "galera/c1 leaves"),
    Event(1, 10.0, "c1", "galera", "galera.join", "joining"),
    Event(1, 30.0, "c1", "", "agent.bundle", "took bundle"),
    Event(2, 30.0, "c1", "galera", "galera.primary", "there"),
)


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        (Wanted(), ["galera.join", "server-left", "agent.bundle", "galera.primary"]),
        (Wanted(node="c1"), ["galera.join", "agent.bundle", "galera.primary"]),
        (Wanted(service="galera"), ["galera.join", "galera.primary"]),
        (Wanted(service="agent"), ["agent.bundle"]),
        (Wanted(code="server-"), ["server-left"]),
        (Wanted(code="galera.p"), ["galera.primary"]),
        (Wanted(since=20.0), ["server-left", "agent.bundle", "galera.primary"]),
        (Wanted(until=20.0), ["galera.join", "server-left"]),
        (Wanted(node="c1", service="galera", since=11.0, until=30.0), ["galera.primary"]),
        (Wanted(node="c3"), []),
    ],
)
def test_filters(wanted: Wanted, codes: list[str]) -> None:
    assert [event.code for event in select(ALL, wanted)] == codes


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0.0),
        ("90s", NOW - 90),
        ("10m", NOW - 600),
        ("1.5h", NOW - 5400),
        ("1d", NOW - 86400),
        ("1970-01-02T00:00:00+00:00", 86400.0),
    ],
)
def test_moments(text: str, at: float) -> None:
    assert moment(text, NOW) == at


def test_a_time_without_zone_is_local() -> None:
    assert moment("2026-02-03T12:30", NOW) == datetime(2026, 2, 3, 12, 30).astimezone(UTC).timestamp()


@pytest.mark.parametrize("text", ["10", "m", "10 minutes", "yesterday", "-5m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InputError, match=r"events\.time"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("wanted", "code"), [(Wanted(node="c9"), "node.unknown"), (Wanted(service="x"), "events.service")]
)
def test_names_that_are_not_there(wanted: Wanted, code: str) -> None:
    with pytest.raises(InputError) as caught:
        asyncio.run(events.find(opened("lab"), wanted))
    assert caught.value.code == code


def test_nodes_that_do_not_answer_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from fake_nodes import Nodes, node

    class Target(Nodes):
        plan = opened("lab").plan

    async def said(connector: Any, since: float = 0.0) -> list[Event]:
        if connector.trouble:
            raise connector.trouble
        return [event for event in ALL if event.at >= since]

    monkeypatch.setattr(events, "events", said)
    target: Any = Target({"c1": node("c1"), "c2": node("c2", off=True)})
    found = asyncio.run(events.find(target, Wanted(since=15.0)))
    assert found.silent == ("c2",)
    assert len(found.events) == 3
