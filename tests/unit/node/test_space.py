"""Who is short of space is stopped while the others can do without it; of two that are short both stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from member_views import MEMBER, NOW, SETTLED, STOPPED, states, view

from outlast.node import free_space
from outlast.node.decide import member_action
from outlast.node.free_space import Spaces, free_mib
from outlast.node.space import BACK, ORDERLY, STEADY, judge, spared
from outlast.node.view import MemberView, Others, Shortage
from outlast.spec.program import Space

NEED = Space("/data", 100)
SHORT = Shortage(NOW - STEADY, "3 MiB are free on the file system of /data, 100 are needed")
BROKER = replace(MEMBER, quorum=True, space=NEED)
MOST = Others(2, 2)
STOPPING = replace(SETTLED, programs=states(one="STOPPING", two="STOPPED"))


def test_enough_again_means_clearly_enough() -> None:
    assert judge(NEED, 100, None, 1.0) is None
    first = judge(NEED, 99, None, 1.0)
    assert first is not None
    later = judge(NEED, 100 * BACK - 1, first, 2.0)
    assert later is not None
    assert later.since == 1.0
    assert judge(NEED, 100 * BACK, later, 3.0) is None


@given(st.lists(st.floats(0, 400), min_size=2, max_size=40))
def test_it_never_flaps_within_the_band(free: list[float]) -> None:
    """Between what is needed and BACK times that, what was said before goes on being said."""
    before: Shortage | None = None
    for now, mib in enumerate(free):
        after = judge(NEED, mib, before, float(now))
        if NEED.mib <= mib < BACK * NEED.mib:
            assert (after is None) == (before is None)
        before = after


@pytest.mark.parametrize(
    ("base", "others", "since", "kind", "code"),
    [
        (SETTLED, MOST, STEADY, "stop", "member.short"),
        (SETTLED, MOST, STEADY - 0.1, "none", "member.settled"),
        (SETTLED, Others(1, 2), 999.0, "none", "member.settled"),
        (SETTLED, Others(0, 0), 999.0, "none", "member.settled"),
        (SETTLED, Others(3, 4), STEADY, "stop", "member.short"),
        (SETTLED, Others(2, 4), STEADY, "none", "member.settled"),
        (STOPPED, MOST, STEADY, "none", "member.short"),
        (STOPPED, Others(1, 2), STEADY, "start", "member.start"),
        (STOPPING, MOST, STEADY, "none", "member.stopping"),
        (STOPPING, MOST, STEADY + ORDERLY, "repair", "member.short"),
        (STOPPING, Others(1, 2), STEADY + ORDERLY, "none", "member.stopping"),
    ],
    ids=["the others do", "not for long yet", "one other is well", "alone", "three of four", "two of four",
         "stopped, and stays so", "stopped, and needed again", "it stops",
         "it does not end", "it does not end, and is needed"],
)  # fmt: skip
def test_what_is_done(base: MemberView, others: Others, since: float, kind: str, code: str) -> None:
    seen = replace(base, member=BROKER, shortage=replace(SHORT, since=NOW - since), others=others)
    action = member_action(seen, NOW)
    assert (action.kind, action.code) == (kind, code)


def test_it_is_said_why() -> None:
    action = member_action(view(member=BROKER, shortage=SHORT, others=MOST), NOW)
    assert action.sentence == f"stopping thing: {SHORT.sentence}; the others can do without it"


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 100))
def test_never_below_a_majority(well: int, of: int, waited: float) -> None:
    if spared(Others(min(well, of), of), replace(SHORT, since=0.0), waited):
        assert 2 * min(well, of) > of + 1


def test_looking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free: dict[str, float | None] = {"/data": 5.0, "/gone": None}
    monkeypatch.setattr(free_space, "free_mib", free.get)
    spaces = Spaces()
    members = [BROKER, replace(MEMBER, service="other"), replace(BROKER, service="new", space=Space("/gone", 100))]
    spaces.look(members, 1.0)
    assert {name: one.since for name, one in spaces.short.items()} == {"thing": 1.0}
    spaces.look(members, 2.0)
    assert spaces.short["thing"].since == 1.0
    free["/data"] = 500.0
    spaces.look(members, 3.0)
    assert spaces.short == {}
    monkeypatch.undo()
    assert (free_mib(str(tmp_path)) or 0) > 0
    assert free_mib(str(tmp_path / "none")) is None
