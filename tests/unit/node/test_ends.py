"""Who ended without being told to is spoken of, once; who was told is not."""

from __future__ import annotations

from member_views import MEMBER

from outlast.node.ends import Ends
from outlast.spec.snapshot import ProgramState


def look(ends: Ends, one: int, state: str = "") -> list[str]:
    found = {"one": ProgramState("one", state or ("RUNNING" if one else "EXITED"), one)}
    return [sentence for _, _, sentence in ends.seen([MEMBER], found)]


def test_the_first_look_says_nothing() -> None:
    assert look(Ends(), 7) == []
    assert look(Ends(), 0) == []


def test_ended_and_back_between_two_looks() -> None:
    ends = Ends()
    look(ends, 7)
    assert look(ends, 9) == ["one (process 7) ended and runs again as process 9"]
    assert look(ends, 9) == []


def test_ended_and_back_later() -> None:
    ends = Ends()
    look(ends, 7)
    assert look(ends, 0) == ["one (process 7) ended"]
    assert look(ends, 0) == []
    assert look(ends, 9) == []
    assert look(ends, 0) == ["one (process 9) ended"]


def test_told_to() -> None:
    ends = Ends()
    look(ends, 7)
    ends.expect(["one"])
    assert look(ends, 7, "STOPPING") == []
    assert look(ends, 0, "STOPPED") == []
    assert look(ends, 9) == []
    assert look(ends, 11) != [], "what was expected once is not expected for ever"


def test_killed_by_us_and_back_at_once() -> None:
    ends = Ends()
    look(ends, 7)
    ends.expect(["one"])
    assert look(ends, 9) == []
    assert look(ends, 0) == ["one (process 9) ended"]
