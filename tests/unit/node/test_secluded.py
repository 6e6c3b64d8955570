"""When a member turns its clients away: cut off from a majority that it once heard, until it has heard one steadily."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.node import secluded
from outlast.node.secluded import LEASE, STEADY, Secluded, Seclusion, judge
from outlast.node.standing import SILENT, Standing, advance
from outlast.spec.bundle import Watch

TWO, FOUR = ("c2", "c3"), ("c2", "c3", "c4", "c5")


def after(voters: tuple[str, ...], *answers: str) -> Seclusion:
    """One round for each word: who answers it."""
    standing, seclusion = Standing(), Seclusion()
    for number, names in enumerate(answers, start=1):
        standing = advance(Standing(number, standing.heard, standing.gone), dict.fromkeys(names.split(), number))
        seclusion = judge(seclusion, standing, voters)
    return seclusion


@pytest.mark.parametrize(
    ("voters", "answers", "cut"),
    [
        (TWO, [""] * 20, False),  # nobody was ever heard: ICMP may be filtered
        (TWO, ["c2 c3"], False),
        (TWO, ["c2 c3", *[""] * (SILENT - 1)], False),
        (TWO, ["c2 c3", *[""] * SILENT], True),
        (TWO, ["c2 c3", *["c3"] * 40], False),  # two of three are a majority
        (TWO, ["c2", *[""] * SILENT], True),
        (TWO, ["c2 c3", *["n1"] * SILENT], True),  # another node is no voter
        (FOUR, ["c2", *[""] * 20], False),  # two of five never were a majority
        (FOUR, ["c2 c3 c4 c5", *["c2 c3"] * 20], False),
        (FOUR, ["c2 c3 c4 c5", *["c2"] * SILENT], True),
    ],
)
def test_cut_off_without_a_majority(voters: tuple[str, ...], answers: list[str], cut: bool) -> None:
    assert after(voters, *answers).cut is cut


def test_clients_are_taken_again_after_a_steady_majority() -> None:
    away = ["c2 c3", *[""] * SILENT]
    assert after(TWO, *away, *["c2"] * (STEADY - 1)).cut
    assert not after(TWO, *away, *["c2"] * STEADY).cut
    back_and_forth = [*["c2"] * (STEADY - 1), *[""] * SILENT, *["c2"] * (STEADY - 1)]
    assert after(TWO, *away, *back_and_forth).cut


@given(st.lists(st.sampled_from(["", "c2", "c3", "c2 c3", "n1"]), max_size=80))
def test_never_with_a_steady_majority_and_never_before_one(answers: list[str]) -> None:
    found = after(TWO, *answers)
    heard = [bool({"c2", "c3"} & set(names.split())) for names in answers]
    if not any(heard) or (len(heard) >= STEADY and all(heard[-STEADY:])):
        assert not found.cut
    if any(heard) and len(heard) > SILENT and not any(heard[-SILENT:]):
        assert found.cut


class World:
    """One that turns clients away, with its ears and its hands exchanged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told, self.calls = list[str](), list[tuple[str, tuple[int, ...]]]()
        self.trouble: OSError | None = None
        self.deaf, self.hears = list[float](), ""
        monkeypatch.setattr(secluded, "turn_away", self.turn_away)
        monkeypatch.setattr(secluded, "deafen", self.deafen)
        for name in ("PACE", "PACE_HEARING"):
            monkeypatch.setattr(secluded, name, 0.001)
        self.one = Secluded(lambda service, code, sentence: self.told.append(f"{code}: {sentence}"))
        self.standing = Standing()

    def turn_away(self, address: str, ports: tuple[int, ...]) -> int:
        self.calls.append((address, ports))
        if self.trouble:
            raise self.trouble
        return 7

    def deafen(self, address: str, port: int, seconds: float) -> int:
        assert (address, port) == ("10.0.0.1", 5672)
        if self.hears:
            raise OSError(1, self.hears)
        self.deaf.append(seconds)
        return 1

    async def rounds(self, count: int, names: str) -> None:
        for _ in range(count):
            asked = self.standing.asked + 1
            found = dict.fromkeys(names.split(), asked)
            self.standing = advance(Standing(asked, self.standing.heard, self.standing.gone), found)
            self.one.turn(self.standing)
            await asyncio.sleep(0)

    async def further_calls(self) -> int:
        """How often clients are turned away from now on, while no round is judged."""
        before = len(self.calls)
        await asyncio.sleep(0.05)
        return len(self.calls) - before


def played(monkeypatch: pytest.MonkeyPatch, play: Callable[[World], Awaitable[None]]) -> None:
    """A play with the watcher at work beside it."""

    async def run() -> None:
        world = World(monkeypatch)
        task = asyncio.create_task(world.one.watch())
        await play(world)
        task.cancel()

    asyncio.run(run())


WATCH = Watch("eth1", "10.0.0.1", (("c2", "10.0.0.2"), ("c3", "10.0.0.3")), (5672,), TWO, (5672,))


def test_again_and_again_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.one.adopt(WATCH)
        await world.rounds(3, "c2 c3")
        assert not await world.further_calls()
        await world.rounds(SILENT + 4, "")
        assert await world.further_calls() > 1
        assert set(world.calls) == {("10.0.0.1", (5672,))}
        assert len(world.told) == 1
        assert world.told[0].startswith(
            "member.secluded: no majority of the members of port 5672 answers (c2, c3 silent"
        )
        assert "are turned away (7)" in world.told[0]
        await world.rounds(STEADY - 1, "c2 c3")
        assert await world.further_calls() > 1, "a majority that has just come back is no steady one"
        await world.rounds(1, "c2 c3")
        assert world.told[1:] == ["member.joined: a majority answers for 3 s: clients are taken again"]
        await asyncio.sleep(0.02)
        assert not await world.further_calls()
        # Deaf from the first moment, said again before the end of it, and hearing at once when it is over.
        assert world.deaf[0] == LEASE
        assert world.deaf[-1] == 0.0

    played(monkeypatch, play)


def test_one_that_cannot_be_made_deaf_turns_away_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.one.adopt(WATCH)
        world.hears = "no such filters"
        await world.rounds(1, "c2 c3")
        await world.rounds(SILENT, "")
        assert await world.further_calls() > 1
        await world.rounds(STEADY, "c2 c3")
        await asyncio.sleep(0.02)
        assert [line for line in world.told if line.startswith("member.hearing")] == [world.told[-1]]
        assert "no such filters" in world.told[-1]

    played(monkeypatch, play)


def test_what_cannot_be_done_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.one.adopt(WATCH)
        world.trouble = PermissionError(1, "not permitted")
        await world.rounds(1, "c2 c3")
        await world.rounds(SILENT + 2, "")
        assert [line for line in world.told if "cannot be turned away" in line] == world.told
        assert len(world.told) == 1
        assert await world.further_calls() > 1

    played(monkeypatch, play)


def test_a_node_without_such_a_member_turns_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.one.adopt(Watch("eth1", "10.0.0.9", WATCH.peers, (5672,)))
        await world.rounds(3, "c2 c3")
        await world.rounds(20, "")
        world.one.adopt(None)
        await world.rounds(20, "")
        assert world.told == world.calls == []

    played(monkeypatch, play)


def test_a_member_that_leaves_the_node_turns_nobody_away_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.one.adopt(WATCH)
        await world.rounds(1, "c2 c3")
        await world.rounds(SILENT, "")
        assert await world.further_calls() > 1
        world.one.adopt(None)
        await asyncio.sleep(0.01)
        assert not await world.further_calls()

    played(monkeypatch, play)
