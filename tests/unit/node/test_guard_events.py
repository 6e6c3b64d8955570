"""The agent's reading of what guards wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.node.guard import journal as journals
from outlast.node.guard.journal import Journal
from outlast.node.guard_events import GuardEvents


@pytest.fixture
def guards(tmp_path: Path) -> tuple[Journal, Journal]:
    return Journal(tmp_path / "guard", "haproxy"), Journal(tmp_path / "guard", "keepalived")


def reader(folder: Path) -> GuardEvents:
    return GuardEvents(folder / "guard", folder / "seen.json")


def sentences(events: GuardEvents) -> list[str]:
    return [told.sentence for told in events.news()]


def test_each_event_once_also_for_an_agent_that_starts_again(tmp_path: Path, guards: tuple[Journal, Journal]) -> None:
    assert reader(tmp_path).news() == []
    guards[0].event("guard-died", "one")
    guards[1].event("guard-cut-off", "two", network="management", silent={"c2": 1.2})
    events = reader(tmp_path)
    first, second = events.news()
    assert (first.service, first.code, first.evidence) == ("haproxy", "guard-died", "")
    assert second.evidence == "network management, silent {'c2': 1.2}" and second.at > 1e9
    guards[1].event("guard-joined", "three")
    assert sentences(reader(tmp_path)) == ["three"]
    assert sentences(reader(tmp_path)) == []


def test_a_file_that_was_turned_over_loses_nothing(
    tmp_path: Path, guards: tuple[Journal, Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    guards[0].event("guard-died", "one")
    events = reader(tmp_path)
    assert sentences(events) == ["one"]
    guards[0].event("guard-died", "two")
    monkeypatch.setattr(journals, "EVENTS_LIMIT", 10)
    guards[0].event("guard-died", "three")
    assert sentences(events) == ["two", "three"]


def test_half_a_line_waits_and_nonsense_is_left_out(tmp_path: Path, guards: tuple[Journal, Journal]) -> None:
    path, events = guards[0].events, reader(tmp_path)
    path.write_text('nonsense\n{"guard": "haproxy", "at": 5, "code": "c", "sent')
    assert events.news() == []
    with path.open("a") as stream:
        stream.write('ence": "whole"}\n')
    assert sentences(events) == ["whole"]
    (tmp_path / "seen.json").write_text("[1]")
    assert sentences(reader(tmp_path)) == ["whole"]
