"""Which servers leave the balancer and come back: one event a change, none for those that never were there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.node.guard import departed, servers
from outlast.node.guard.departed import Server
from outlast.node.guard.journal import Journal
from outlast.node.guard.servers import AT_ONCE, STATISTICS, Servers, changes, read, results
from outlast.node.guard.settings import Single

from test_guard_parts import SETTINGS  # isort: skip

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight …\n"
C1, C2 = ("galera", "c1"), ("galera", "c2")
STAT = b"""# pxname,svname,qcur,status,check_status,check_code,check_duration,last_chk,check_desc,
galera,c1,0,UP,L7OK,200,3,,Layer7 check passed,
galera,c2,0,DOWN,L4CON,,0,"Connection refused, by c2",Layer4 connection problem,
keystone,c1,0,no check,,,,,,
"""


def row(server: Server, state: int, result: int, admin: int = 0, check: int = 6) -> str:
    return (
        f"2 {server[0]} 1 {server[1]} 10.0.0.1 {state} {admin} 1 1 35 6 {result} 4 {check} 0 0 0 - 7001 - 0 0 - - 0\n"
    )


@pytest.mark.parametrize(
    ("line", "used"),
    [
        (row(C1, 2, 3), True),
        (row(C1, 2, 4), True),
        (row(C1, 1, 3), True),
        (row(C1, 2, 0), None),
        (row(C1, 2, 2), None),
        (row(C1, 2, 0, check=0), True),
        (row(C1, 0, 2), False),
        (row(C1, 3, 3), False),
        (row(C1, 2, 3, admin=1), False),
    ],
    ids=["up", "passed with conditions", "starting", "not checked yet", "failed once", "no checks", "down", "stopping",
         "taken out"],
)  # fmt: skip
def test_rows(line: str, used: bool | None) -> None:
    assert read((HEAD + line).encode()) == {C1: used}


def test_torn_answers_name_nobody() -> None:
    assert read(b"") == read(b"1\n") == read(b"2 galera 1 c1 10.0") == {}
    assert results(b"") == {}


def test_what_the_check_said() -> None:
    assert results(STAT) == {
        C1: "UP, L7OK/200 in 3 ms: Layer7 check passed",
        C2: "DOWN, L4CON in 0 ms: Connection refused, by c2",
        ("keystone", "c1"): "no check, no check",
    }


@pytest.mark.parametrize(
    ("known", "used", "left", "back"),
    [
        ({}, False, (), ()),
        ({}, None, (), ()),
        ({}, True, (), ()),
        ({C1: True}, False, (C1,), ()),
        ({C1: True}, None, (), ()),
        ({C1: False}, False, (), ()),
        ({C1: False}, None, (), ()),
        ({C1: False}, True, (), (C1,)),
    ],
)
def test_changes(
    known: Mapping[Server, bool], used: bool | None, left: tuple[Server, ...], back: tuple[Server, ...]
) -> None:
    assert changes(known, {C1: used})[1:] == (left, back)


def test_a_server_that_is_gone_from_the_configuration_is_forgotten() -> None:
    assert changes({C1: True, C2: False}, {C2: False}) == ({C2: False}, (), ())


@given(st.lists(st.dictionaries(st.sampled_from([C1, C2]), st.sampled_from([True, False, None])), max_size=30))
def test_leaving_and_coming_back_take_turns(looks: list[dict[Server, bool | None]]) -> None:
    known: dict[Server, bool] = {}
    told: dict[Server, str] = {}
    for seen in looks:
        told = {server: word for server, word in told.items() if server in seen}
        known, left, back = changes(known, seen)
        for server in left:
            assert told.get(server) != "left"
            told[server] = "left"
        for server in back:
            assert told.get(server) == "left"
            told[server] = "back"


def test_a_guard_tells_once_and_the_next_one_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {C1: (2, 3), C2: (2, 3)}
    asked: list[str] = []

    def ask(path: str, command: str) -> bytes:
        asked.append(command)
        text = HEAD + "".join(row(server, *state) for server, state in states.items())
        return STAT if command == STATISTICS else text.encode()

    monkeypatch.setattr(servers, "ask", ask)
    journal = Journal(tmp_path, "haproxy")
    guard = Servers(journal)
    guard.look(SETTINGS, 1.0)
    guard.look(SETTINGS, 2.0)
    assert asked == [departed.COMMAND] * 2, "one question a look while nothing changes"
    assert not journal.events.exists()
    states[C2] = (0, 2)
    guard.look(SETTINGS, 3.0)
    guard.look(SETTINGS, 4.0)
    assert guard.out() == ["galera/c2"]
    after = Servers(journal, guard.out())
    states[C2] = (2, 0)
    after.look(SETTINGS, 5.0)
    states[C2] = (2, 3)
    after.look(SETTINGS, 6.0)
    events = [json.loads(line) for line in journal.events.read_text().splitlines()]
    assert [(one["code"], one["backend"], one["server"]) for one in events] == [
        ("server-left", "galera", "c2"),
        ("server-back", "galera", "c2"),
    ]
    assert events[0]["evidence"] == "DOWN, L4CON in 0 ms: Connection refused, by c2"


def test_what_is_connected_to_a_lost_database_is_cut_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once and in few questions; what was connecting then gets its time to be somewhere else."""
    states = {C1: (2, 3), C2: (2, 3), ("keystone", "c1"): (2, 3)}
    asked: list[str] = []
    line = "0x7f{:02}: proto=tcpv4 src=10.0.0.9:1 fe=f be={} srv=c1 ts=00 scf=[8,0h,fd=7] scb=[8,0h,fd=74,rex=,wex=]\n"

    def ask(path: str, command: str) -> bytes:
        asked.append(command)
        if command == departed.SESSIONS:
            return "".join(line.format(number % 90, "galera") for number in range(AT_ONCE + 1)).encode()
        return (HEAD + "".join(row(server, *state) for server, state in states.items())).encode()

    monkeypatch.setattr(servers, "ask", ask)
    settings = replace(SETTINGS, shut_after=0.7, singles=(Single("galera", ("c1", "c2")),))
    guard = Servers(Journal(tmp_path, "haproxy"))
    guard.look(settings, 1.0)
    states[C1] = states["keystone", "c1"] = (0, 2)
    for now in (2.0, 2.3, 2.8, 3.1):
        asked.append(f"at {now}")
        guard.look(settings, now)
    said = [words for words in asked if words.startswith(("at", "show sess", "shutdown"))]
    first, second = (words.count("shutdown session 0x") for words in said[2:4])
    assert (first, second) == (AT_ONCE, 1)
    assert len(said[2]) < 16_000
    assert said[:2] + said[4:] == [
        "at 2.0", "show sess", "at 2.3", "at 2.8", "shutdown sessions server galera/c1", "at 3.1",
    ]  # fmt: skip
