"""Galera's files and messages."""

from __future__ import annotations

from outlast.services.galera import facts

U = "6f75746c-6173-7443-a5e1-000000000099"
A, B = "3b83dd7c-e581-11f1-9ce2-abc31556c313", "3b846e02-e581-11f1-ac2c-2b91aecdc7d9"
RUNNING = f"# GALERA saved state\nversion: 2.1\nuuid:    {U}\nseqno:   -1\nsafe_to_bootstrap: 0\n"
STOPPED = RUNNING.replace("-1", "1427").replace("bootstrap: 0", "bootstrap: 1")
GVWSTATE = f"my_uuid: {A}\n#vwbeg\nview_id: 3 {A} 41\nbootstrap: 0\nmember: {A} 0\nmember: {B} 0\n#vwend\n"
NOTE = f"uuid: {U}\nmembers: c1 c2\nids: {A} {B}\n"


def test_grastate() -> None:
    assert facts.parse_grastate(STOPPED) == facts.Grastate(U, 1427, True)
    assert facts.clean_position(STOPPED) == (U, 1427)
    assert facts.clean_position(RUNNING) is None
    for damaged in ("", "garbage", STOPPED[:40], STOPPED.replace("1427", "many")):
        assert facts.parse_grastate(damaged) is None


def test_who_is_given_up_until_a_later_view_has_it() -> None:
    assert facts.given_up("", NOTE) == ()
    assert facts.given_up("c2 c3\n" + NOTE, NOTE) == ("c2", "c3"), "the view as it was when they were given up"
    later = NOTE.replace(A, A.replace("3b83", "4c94"))
    assert facts.given_up("c2 c3\n" + NOTE, later) == ("c3",)
    assert facts.given_up("c2\n", NOTE) == ()
    assert facts.given_up("c3\n", NOTE) == ("c3",)
    assert facts.given_up("c2\n" + NOTE, "") == ("c2",)


def test_positions() -> None:
    log = f"2026-11-21 8:14:06 0 [Note] WSREP: Recovered position: {U}:45\n"
    assert facts.parse_recovery(log) == (U, 45)
    assert facts.parse_recovery("[Note] WSREP: Recovered position:") is None
    assert facts.parse_position(f"{U}:45\n") == (U, 45)
    assert facts.parse_position("no") is None


def test_the_last_view_is_certain_only_where_both_notes_agree() -> None:
    assert facts.last_view(NOTE, GVWSTATE) == ("c1", "c2")
    assert facts.last_view(NOTE, "") == ("c1", "c2")
    assert facts.last_view(NOTE, GVWSTATE.replace(f"member: {B} 0\n", "")) is None
    assert facts.last_view(NOTE, GVWSTATE.replace("#vwend", "")) is None
    assert facts.last_view("", GVWSTATE) is None


def test_data_are_denied_only_where_certain() -> None:
    seeded = STOPPED.replace("1427", str(facts.SEED_SEQNO))
    assert not facts.has_data(False, "", "")
    assert not facts.has_data(True, seeded, "")
    assert facts.has_data(True, seeded, NOTE)
    assert facts.has_data(True, RUNNING, "")
    assert facts.has_data(True, "", "")
