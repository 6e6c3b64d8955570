"""Whose connections are ended: those of a node that was heard and is silent while another one answers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.node import vanished
from outlast.node.standing import NEAR, SILENT, Standing, advance
from outlast.node.vanished import Vanished
from outlast.spec.bundle import Watch

WATCH = Watch("eth1", "10.0.0.1", (("c1", "10.0.0.11"), ("c2", "10.0.0.12"), ("c3", "10.0.0.13")), (5672,))


def rounds(standing: Standing, *answers: str) -> Standing:
    """One round for each word: the nodes that answer it."""
    for names in answers:
        asked = standing.asked + 1
        standing = advance(Standing(asked, standing.heard, standing.gone), dict.fromkeys(names.split(), asked))
    return standing


def test_gone_after_a_second_of_silence_and_back_with_an_answer() -> None:
    standing = rounds(Standing(), "c1 c2", *["c2"] * (SILENT - 1))
    assert not standing.gone
    standing = rounds(standing, "c2")
    assert standing.gone == {"c1"}
    assert rounds(standing, "c1 c2").gone == frozenset()


def test_who_was_never_heard_has_not_vanished() -> None:
    assert not rounds(Standing(), *["c2"] * 20).gone


def test_nobody_vanishes_for_a_node_that_hears_nobody() -> None:
    standing = rounds(Standing(), "c1 c2", *[""] * 20)
    assert not standing.gone
    assert rounds(standing, "c2").gone == {"c1"}, "it hears one again, and the other one not"


def test_one_that_is_gone_stays_so_while_nobody_is_heard() -> None:
    standing = rounds(Standing(), "c1 c2", *["c2"] * SILENT)
    assert rounds(standing, *[""] * 20).gone == {"c1"}


@given(st.lists(st.sampled_from(["", "c1", "c2", "c1 c2", "c1 c2 c3", "c3"]), max_size=60))
def test_never_all_of_them_and_never_one_that_just_answered(answers: list[str]) -> None:
    standing = Standing()
    for number, names in enumerate(answers):
        before, standing = standing, rounds(standing, names)
        assert not standing.gone & set(names.split())
        fresh = standing.gone - before.gone
        if fresh:
            assert any(answers[max(0, number - NEAR + 1) : number + 1]), "somebody was heard just now"
            assert set(standing.heard) - standing.gone


class FakeEcho:
    """Answers told beforehand, in the place of the network's."""

    def __init__(self) -> None:
        self.trouble = ""
        self.asked = 0
        self.up = {"c1", "c2", "c3"}

    def ask(self, number: int) -> None:
        self.asked = number

    def answers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.up, self.asked) if self.asked else {}

    def close(self) -> None: ...


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> tuple[Vanished, FakeEcho, list[str], list[str]]:
    echo, told, ended = FakeEcho(), list[str](), list[str]()
    monkeypatch.setattr(vanished, "Echo", lambda interface, address, peers: echo)
    monkeypatch.setattr(vanished, "end", lambda address, ports: ended.append(address) or 3)
    found = Vanished(
        lambda service, code, sentence: told.append(f"{code}: {sentence}"),
        lambda name, address: told.append(f"also {name} {address}"),
        lambda: True,
    )
    found.adopt(WATCH)
    return found, echo, told, ended


def test_told_once_and_ended_for_as_long_as_it_is_away(
    world: tuple[Vanished, FakeEcho, list[str], list[str]],
) -> None:
    found, echo, told, ended = world
    for _ in range(3):
        found.turn()
    echo.up = {"c2", "c3"}
    for _ in range(10):
        found.turn()
    assert set(ended) == {"10.0.0.11"}
    assert len(ended) > 3
    words = "connections with its members are ended (3), and new ones, until it answers"
    assert told == ["also c1 10.0.0.11", f"peer.vanished: c1 has not answered for 0.6 s, others do: {words}"]
    echo.up = {"c1", "c2", "c3"}
    found.turn()
    count = len(ended)
    found.turn()
    assert len(ended) == count


def test_what_could_not_be_asked_says_nothing(world: tuple[Vanished, FakeEcho, list[str], list[str]]) -> None:
    found, echo, told, ended = world
    for _ in range(3):
        found.turn()
    echo.up, echo.trouble = {"c2"}, "too many open files"
    for _ in range(10):
        found.turn()
    assert told == ended == []


def test_without_a_watch_nothing_is_asked(world: tuple[Vanished, FakeEcho, list[str], list[str]]) -> None:
    found, echo, _, _ = world
    found.adopt(None)
    found.turn()
    assert echo.asked == 0


def test_a_new_bundle_with_the_same_watch_forgets_nothing(
    world: tuple[Vanished, FakeEcho, list[str], list[str]],
) -> None:
    found, _, _, _ = world
    for _ in range(3):
        found.turn()
    known = found.standing
    found.adopt(WATCH)
    assert found.standing == known
