"""Health from answers: patience with the well, none with the new; and a cycle that never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from outlast.node import prober
from outlast.node.answers import Answer
from outlast.node.prober import HASTE, PATIENCE, Prober
from outlast.spec.probe import EAGER, Probe
from outlast.spec.snapshot import ProgramState

PROBE = Probe("tcp", "10.0.0.1", 1, interval=2.0)
KEY = ("thing", "digest", 0)


class World:
    """A clock that stands still until told, and answers told beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.good = True
        self.sure = True
        self.asked = 0
        self.limit = 0.0
        self.woken = 0
        self.hold: asyncio.Event | None = None
        monkeypatch.setattr(prober, "ask", self.ask)
        monkeypatch.setattr(prober.time, "monotonic", lambda: self.now)
        self.prober = Prober(self.wake)

    def wake(self) -> None:
        self.woken += 1

    async def ask(self, probe: Probe, programs: Mapping[str, ProgramState]) -> Answer:
        self.asked += 1
        self.limit = probe.timeout
        if self.hold:
            await self.hold.wait()
        words = "fine" if self.good else "refused"
        return Answer(self.good and self.sure, words if self.sure else "no broker", self.now, sure=self.sure)

    async def cycle(self, good: bool, seconds: float = 10.0, sure: bool = True) -> None:
        """One look of the agent after `seconds`, and the answer to it."""
        self.good, self.sure = good, sure
        self.now += seconds
        self.prober.refresh({KEY: PROBE}, {})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @property
    def health(self) -> str:
        return self.prober.health("thing", [KEY]).status


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ("", "starting"),
        ("g", "ok"),
        ("b", "starting"),
        ("b" * 50, "starting"),
        ("bbg", "ok"),
        ("g" + "b" * (PATIENCE - 1), "ok"),
        ("g" + "b" * PATIENCE, "failed"),
        ("g" + "b" * 9, "failed"),
        ("gbgbgbgb", "ok"),
        ("gbbg", "ok"),
        ("gbbgb", "ok"),
    ],
)
def test_health(world: World, answers: str, status: str) -> None:
    async def go() -> None:
        for answer in answers:
            await world.cycle(answer == "g")

    asyncio.run(go())
    assert world.health == status
    if status == "failed":
        assert world.prober.health("thing", [KEY]).sentence == "refused"


@pytest.mark.parametrize(
    ("answers", "come_up"),
    [("", None), ("b", False), ("bb", False), ("bg", True), ("gbb", True), ("u", True), ("ub", False)],
)
def test_who_has_come_up(world: World, answers: str, come_up: bool | None) -> None:
    """One whose answers taught nothing is taken as up: who waits to stop it would wait for ever."""

    async def go() -> None:
        for answer in answers:
            await world.cycle(answer == "g", sure=answer != "u")

    asyncio.run(go())
    assert world.prober.has_come_up([KEY]) is come_up


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ("?", "starting", "no broker"),
        ("???", "starting", "no broker"),
        ("?b", "starting", "refused"),
        ("?g", "ok", "thing is well"),
        ("g?", "ok", "thing is well"),
        ("g" + "?" * 9, "ok", "thing is well"),
        ("gb?b", "failed", "refused"),
        ("gbb?", "failed", "refused"),
        ("gbb?g", "ok", "thing is well"),
        ("gb???", "ok", "thing is well"),
        ("b?", "starting", "refused"),
    ],
)
def test_an_unsure_answer_changes_nothing(world: World, answers: str, status: str, words: str) -> None:
    async def go() -> None:
        for answer in answers:
            await world.cycle(answer == "g", sure=answer != "?")

    asyncio.run(go())
    health = world.prober.health("thing", [KEY])
    assert (health.status, health.sentence) == (status, words)


def test_an_unsure_answer_only_moves_the_next_question(world: World) -> None:
    async def go() -> None:
        await world.cycle(True)
        assert world.prober.asked(KEY).good
        await world.cycle(True, sure=False)
        assert world.prober.asked(KEY).good, "what was known stays known"
        assert world.woken == 1
        await world.cycle(True, EAGER + 0.1)
        assert world.asked == 2, "no hurry: it is not the program that keeps us waiting"
        await world.cycle(True, PROBE.interval)
        assert world.asked == 3

    asyncio.run(go())


def test_a_question_that_cannot_wait(world: World) -> None:
    async def go() -> None:
        world.prober.hasten(PROBE)
        assert world.asked == 0, "nobody wants to know"
        await world.cycle(True)
        for _ in range(2):
            world.prober.hasten(PROBE)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert world.asked == 3
        assert world.limit == HASTE < PROBE.timeout
        world.prober.hasten(Probe("tcp", "10.0.0.1", 2))
        world.hold = asyncio.Event()
        for _ in range(3):
            world.prober.hasten(PROBE)
            await asyncio.sleep(0)
        assert world.asked == 4, "one at a time"
        world.hold.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(go())


def test_needs_that_were_asked_in_vain_say_so(world: World) -> None:
    asyncio.run(world.cycle(True, sure=False))
    assert (world.prober.asked(KEY).good, world.prober.asked(KEY).sentence) == (False, "no broker")


def test_a_member_is_as_well_as_its_worst_probe(world: World) -> None:
    keys = [("thing", "digest", number) for number in range(3)]
    good = {keys[0]: True, keys[1]: False, keys[2]: True}
    probes = {key: Probe("tcp", "10.0.0.1", number) for number, key in enumerate(keys)}

    async def ask(probe: Probe, programs: Mapping[str, ProgramState]) -> Answer:
        return Answer(good[keys[probe.port]], f"probe {probe.port}", world.now)

    async def cycle() -> None:
        world.now += 10
        world.prober.refresh(probes, {})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def go() -> None:
        await cycle()
        assert world.prober.health("thing", keys).status == "starting"
        good[keys[1]] = True
        await cycle()
        assert world.prober.health("thing", keys).status == "ok"
        good[keys[2]] = False
        for _ in range(PATIENCE):
            await cycle()
        found = world.prober.health("thing", keys)
        assert (found.status, found.sentence) == ("failed", "probe 2")

    prober.ask = ask  # the fixture's monkeypatch puts the real one back
    asyncio.run(go())


def test_a_member_without_probes_is_well(world: World) -> None:
    assert world.prober.health("thing", []).status == "ok"


def test_questions_come_at_their_interval_and_sooner_when_it_is_bad(world: World) -> None:
    async def go() -> None:
        await world.cycle(True)
        await world.cycle(True, PROBE.interval - 0.1)
        assert world.asked == 1, "too early"
        await world.cycle(False, 0.101)
        assert world.asked == 2
        await world.cycle(False, EAGER - 0.1)
        assert world.asked == 2
        await world.cycle(False, 0.101)
        assert world.asked == 3

    asyncio.run(go())


def test_who_pays_for_the_answer_is_not_asked_sooner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        monkeypatch.setitem(globals(), "PROBE", Probe("token", "10.0.0.1", 1, interval=2.0))
        await world.cycle(False)
        await world.cycle(False, 1.9)
        assert world.asked == 1
        await world.cycle(False, 0.2)
        assert world.asked == 2

    asyncio.run(go())


def test_a_cycle_waits_for_no_answer_and_asks_once_at_a_time(world: World) -> None:
    async def go() -> None:
        world.hold = asyncio.Event()
        for _ in range(5):
            await world.cycle(True)
        assert world.asked == 1
        assert world.health == "starting"
        assert world.prober.asked(KEY).at == 0.0
        world.hold.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.health == "ok"

    asyncio.run(go())


def test_the_agent_is_woken_by_changes_only(world: World) -> None:
    async def go() -> list[int]:
        counts = []
        for good in (True, True, False, False, False, True):
            await world.cycle(good)
            counts.append(world.woken)
        return counts

    # First answer, first bad one, the one that makes it failed, and good again.
    assert asyncio.run(go()) == [1, 1, 2, 3, 3, 4]


def test_what_is_not_wanted_any_more_is_forgotten(world: World) -> None:
    """A restarted member has other keys: nothing it said before counts."""

    async def go() -> None:
        await world.cycle(True)
        world.prober.refresh({}, {})
        assert world.health == "starting"
        world.hold = asyncio.Event()
        await world.cycle(True)
        world.prober.refresh({}, {})
        world.hold.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.health == "starting", "a late answer to a cancelled question"

    asyncio.run(go())


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ("", None),
        ("g", None),
        ("b", (1, 110.0, False)),
        ("bb", (2, 110.0, False)),
        ("gb", (1, 120.0, True)),
        ("gbb", (2, 120.0, True)),
        ("gbg", None),
        ("gbgbbb", (3, 140.0, True)),
    ],
)
def test_since_when_somebody_is_sick(world: World, answers: str, found: tuple[int, float, bool] | None) -> None:
    async def go() -> None:
        for answer in answers:
            await world.cycle(answer == "g")

    asyncio.run(go())
    sick = world.prober.sick({KEY: "one"})
    assert [(one.answers, one.since, one.was_well) for one in sick] == ([found] if found else [])
    assert all((one.program, one.sentence, one.silent) == ("one", "refused", False) for one in sick)


def test_silence_is_told_from_a_bad_answer(world: World) -> None:
    async def silent(probe: Probe, processes: Mapping[str, str]) -> Answer:
        return Answer(False, "no answer", world.now, probe.timeout)

    prober.ask = silent  # the fixture's monkeypatch puts the real one back
    asyncio.run(world.cycle(False))
    assert [one.silent for one in world.prober.sick({KEY: "one"})] == [True]
