"""A member whose network comes and goes is kept out of the database's group until it stays, and never a majority."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.node import disk, kept_out
from outlast.node.kept_out import FORGET, LONGEST, STEADY, KeptOut, Losses, advance, held, pause
from outlast.spec.bundle import Watch

OTHERS = ("c2", "c3")


def after(looks: Iterable[tuple[float, str]]) -> dict[str, Losses]:
    """`looks`: when, and who was gone then."""
    known: dict[str, Losses] = {}
    for now, gone in looks:
        known = advance(known, frozenset(gone.split()), now)
    return known


def test_who_was_lost_is_let_in_when_it_has_answered_for_a_moment() -> None:
    """Until then the others are still busy with its loss."""
    known = after([(1.0, "c2"), (5.0, "c2")])
    assert held(known, OTHERS, 5.0) == {"c2"}
    known = after([(1.0, "c2"), (5.0, "c2"), (9.0, "")])
    assert known == {"c2": Losses(1, 1.0, 9.0)}
    assert held(known, OTHERS, 9.0 + STEADY - 0.1) == {"c2"}
    assert held(known, OTHERS, 9.0 + STEADY) == frozenset()


def test_every_further_loss_asks_for_twice_as_long() -> None:
    assert [pause(count) for count in (1, 2, 3, 4, 5, 6, 20)] == [1.5, 3.0, 6.0, 12.0, 24.0, LONGEST, LONGEST]
    known = after([(1.0, "c2"), (2.0, ""), (3.0, "c2"), (4.0, "")])
    assert held(known, OTHERS, 4.0 + 2 * STEADY - 0.1) == {"c2"}
    assert held(known, OTHERS, 4.0 + 2 * STEADY) == frozenset()


def test_losses_are_forgotten() -> None:
    known = after([(1.0, "c2"), (2.0, ""), (2.0 + FORGET, "")])
    assert known == {}
    assert after([(1.0, "c2"), (2.0, ""), (1.0 + FORGET, "c2")])["c2"].count == 1


def test_who_is_away_for_long_is_not_forgotten_meanwhile() -> None:
    known = after([(1.0, "c2"), (2.0, ""), (3.0, "c2"), (3.0 + 2 * FORGET, "c2")])
    assert known["c2"].count == 2
    assert held(known, OTHERS, 3.0 + 2 * FORGET) == {"c2"}


def test_members_that_are_needed_are_not_kept_out() -> None:
    looks = [(1.0, "c2 c3"), (2.0, ""), (3.0, "c2 c3")]
    assert held(after(looks), OTHERS, 3.0) == frozenset()
    assert held(after(looks), ("c2", "c3", "c4", "c5"), 3.0) == {"c2", "c3"}
    assert held(after(looks), ("c4", "c5"), 3.0) == frozenset(), "they have no database"


def test_where_the_kernel_refuses_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    asked: list[list[str]] = []

    async def refused(addresses: list[str], port: int) -> str:
        asked.append(addresses)
        return "nft: not found"

    async def run() -> None:
        one = KeptOut(lambda service, code, sentence: told.append(code), lambda: True)
        one.adopt(Watch("eth1", "10.0.0.1", (("c2", "10.0.0.12"), ("c3", "10.0.0.13")), group=4567, grouped=OTHERS))
        task = asyncio.create_task(one.watch())
        for gone in ("c2", "", "c2", "c2", "c2"):
            one.turn(frozenset(gone.split()))
            await asyncio.sleep(0.03)
        task.cancel()

    monkeypatch.setattr(kept_out, "keep_out", refused)
    monkeypatch.setattr(kept_out, "RENEWED", 0.01)
    monkeypatch.setattr(disk, "paused", lambda: "")
    asyncio.run(run())
    assert asked[0] == ["10.0.0.12"]
    assert len(asked) > 1, "it is tried again"
    assert told == ["member.kept-out", "member.heard"]


def test_outside_a_primary_component_nobody_is_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two that are left may need the third one to know what was decided last."""
    told: list[tuple[str, str]] = []
    primary = True

    async def run() -> None:
        nonlocal primary
        one = KeptOut(lambda service, code, sentence: told.append((code, sentence)), lambda: primary)
        one.adopt(Watch("eth1", "10.0.0.1", (("c2", "10.0.0.12"), ("c3", "10.0.0.13")), group=4567, grouped=OTHERS))
        one.turn(frozenset({"c2"}))
        primary = False
        one.turn(frozenset({"c2"}))
        one.turn(frozenset({"c2"}))

    monkeypatch.setattr(disk, "paused", lambda: "")
    asyncio.run(run())
    assert [code for code, _ in told] == ["member.kept-out", "member.let-in"]
    assert "no primary component" in told[1][1]


@given(st.lists(st.tuples(st.floats(0.1, 20.0), st.sampled_from(["", "c2", "c3", "c2 c3"])), max_size=60))
def test_never_a_majority_and_never_after_a_long_steady_while(looks: list[tuple[float, str]]) -> None:
    now, known = 0.0, dict[str, Losses]()
    for seconds, gone in looks:
        now += seconds
        known = advance(known, frozenset(gone.split()), now)
        assert len(held(known, OTHERS, now)) < 2
    assert held(advance(known, frozenset(), now + 0.1), OTHERS, now + 1.0 + LONGEST) == frozenset()
