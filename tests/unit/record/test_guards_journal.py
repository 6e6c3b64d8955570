"""The guards' journals as events, beside what an agent writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.node.guard import journal
from outlast.node.guard.journal import Journal
from outlast.record import guards


def test_what_guards_write_is_read_in_time_order(tmp_path: Path) -> None:
    balancer, router = Journal(tmp_path, "haproxy"), Journal(tmp_path, "keepalived")
    balancer.event("server-left", "galera/c2 takes no more requests", server="c2", evidence="DOWN, L4CON")
    router.event("vrrp-state", "instance internal is MASTER", instance="internal", state="MASTER")
    balancer.event("guard-fit", "may hold VIPs")
    found = guards.read(tmp_path, "c1")
    assert [(one.node, one.service, one.code) for one in sorted(found, key=lambda one: (one.service, one.seq))] == [
        ("c1", "haproxy", "server-left"),
        ("c1", "haproxy", "guard-fit"),
        ("c1", "keepalived", "vrrp-state"),
    ]
    assert found == sorted(found, key=lambda one: one.at)
    evidence = {one.code: one.evidence for one in found}
    assert evidence == {
        "server-left": "DOWN, L4CON",
        "vrrp-state": "instance internal, state MASTER",
        "guard-fit": "",
    }


def test_a_journal_that_was_turned_over_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "EVENTS_LIMIT", 10)
    written = Journal(tmp_path, "haproxy")
    written.event("first", "one")
    written.event("second", "two")
    assert [one.code for one in guards.read(tmp_path, "c1")] == ["first", "second"]


def test_damage_costs_a_line_and_no_more(tmp_path: Path) -> None:
    written = Journal(tmp_path, "haproxy")
    written.event("first", "one")
    with written.events.open("a") as file:
        file.write('{"at": 1}\n[]\n{"at": "x", "code": "c", "sentence": "s"}\n{"guard": "hap')
    assert [one.code for one in guards.read(tmp_path, "c1")] == ["first"]
    assert guards.read(tmp_path / "absent", "c1") == []
