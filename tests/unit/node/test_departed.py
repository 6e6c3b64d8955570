"""Sessions of a server that is down are closed once, and not before those still connecting have gone elsewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.node.guard.departed import Server, advance, connected, parse

ANSWER = b"""1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
23 galera 1 c1 10.21.0.11 0 0 1 1 395 8 2 0 6 0 0 0 - 3306 - 0 9200 - - 9200
23 galera 2 c2 10.21.0.12 2 0 1 1 522 15 3 3 6 0 0 0 - 3306 - 0 9200 - - 9200
24 keystone 1 c1 10.21.0.11 1 0 1 1 395 8 2 0 6 0 0 0 - 5000 - 0 0 - - 0
25 glance 1 c1 10.21.0.11 0 1 1 1 395 8 2 0 6 0 0 0 - 9292 - 0 0 - - 0

"""
C1, C2 = ("galera", "c1"), ("galera", "c2")


def test_only_servers_that_are_down_by_their_checks() -> None:
    """Not one that is starting (1), and not one that an operator took out (its sessions are his)."""
    assert parse(ANSWER) == {C1}


def test_torn_and_empty_answers_name_nobody() -> None:
    assert parse(b"") == parse(b"1\n") == parse(b"23 galera 1 c1 10.21") == frozenset()


def test_closed_once_when_the_time_has_come() -> None:
    known, due = advance({}, frozenset({C1}), 10.0, 0.7)
    assert due == ()
    known, due = advance(known, frozenset({C1}), 10.6, 0.7)
    assert due == ()
    known, due = advance(known, frozenset({C1}), 10.8, 0.7)
    assert due == (C1,)
    known, due = advance(known, frozenset({C1}), 99.0, 0.7)
    assert due == ()


def test_a_server_that_came_back_is_forgotten() -> None:
    known, _ = advance({C1: None}, frozenset(), 20.0, 0.7)
    assert known == {}
    known, due = advance(known, frozenset({C1}), 21.0, 0.7)
    assert due == () and known == {C1: 21.0}


@given(st.lists(st.tuples(st.floats(0, 5), st.sets(st.sampled_from([C1, C2]))), max_size=30))
def test_never_early_and_once_per_absence(steps: list[tuple[float, set[Server]]]) -> None:
    now = 0.0
    known: dict[Server, float | None] = {}
    since: dict[Server, float] = {}
    shut: set[Server] = set()
    for wait, down in steps:
        now += wait
        since = {server: since.get(server, now) for server in down}
        shut &= down
        known, due = advance(known, frozenset(down), now, 0.7)
        for server in due:
            assert server not in shut and now - since[server] >= 0.7
        shut |= set(due)


SESSION = (
    "{name}: proto=tcpv4 src=10.21.0.12:44252 fe=galera.internal be=galera srv={srv} ts=00 epoch=0 age=2m39s calls=4 "
    "rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] rp[f=80048000h,i=0,an=00h,ax=] scf=[8,0h,fd=73,rex=,wex=] "
    "scb=[{state},40003h,fd=74,rex=,wex=] exp=57m20s rc=0 c_exp="
)


def test_sessions_that_have_got_through() -> None:
    """One that is still connecting (5) is HAProxy's to send elsewhere; one of another server stays."""
    rows = [("0x7fa3cb2c0c00", "c1", 8), ("0x7fa3cb2ce000", "c1", 5), ("0x7fa3cb2ce800", "c2", 8)]
    lines = [SESSION.format(name=name, srv=srv, state=state) for name, srv, state in rows]
    lines.append("0x7fa3cb2c0000: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 scb=[8,0h,fd=-1]")
    assert connected("\n".join(lines).encode(), {C1}) == ("0x7fa3cb2c0c00",)
    assert connected(b"0x7fa3cb2c0c00: proto=tcpv4 be=galera sr", {C1}) == connected(b"", {C1}) == ()
