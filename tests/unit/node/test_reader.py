"""What the agent knows of a member's programs, in particular while one of them is down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from member_views import DONE, MEMBER

from outlast.node import disk, leaving, prober
from outlast.node.answers import Answer
from outlast.node.prober import Prober
from outlast.node.reader import Kept, Reader
from outlast.node.view import MemberView, Shortage
from outlast.spec.bundle import Bundle
from outlast.spec.probe import Probe
from outlast.spec.snapshot import ProgramState

PROBES = tuple(Probe("tcp", "10.0.0.1", number, program=name) for number, name in ((1, "one"), (2, "two")))
PAIR = replace(MEMBER, probes=PROBES, needs=(), quorum=True)


class Node:
    """A node with one member of two programs; answers by program, told beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.now = 100.0
        self.good = {"one": True, "two": True}
        monkeypatch.setattr(prober, "ask", self.ask)
        monkeypatch.setattr(prober.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(disk, "paused", lambda: "")
        monkeypatch.setattr(leaving, "announced", lambda member: False)
        kept = Kept(disk.Memory(started={"thing": "new"}, steps=DONE), disk.Memory(), stale_sections={"thing": False})
        bundle = Bundle(
            cluster="lab", node="c1", digest="", code="", agent_address="10.0.0.1", agent_port=1, recovery="",
            members=(PAIR,), peers=(), zookeeper=(), repair_after=2.5,
        )  # fmt: skip
        self.kept = kept
        self.reader = Reader(bundle, Prober(lambda: None), {}, kept)

    async def ask(self, probe: Probe, programs: Mapping[str, ProgramState]) -> Answer:
        good = self.good[probe.program]
        return Answer(good, "fine" if good else "no answer", self.now, 0.0 if good else probe.timeout)

    async def look(self, one: str = "RUNNING", two: str = "RUNNING") -> MemberView:
        """A look, and the answers to it."""
        self.now += 5.0
        states = {name: ProgramState(name, state, pid) for name, state, pid in (("one", one, 11), ("two", two, 12))}
        (view,) = self.reader.read(states).members
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return view


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Node:
    return Node(monkeypatch, tmp_path)


def test_a_hang_is_not_forgotten_while_another_program_is_down(node: Node) -> None:
    """Else it would count as one that is still coming up, and in a cluster nothing is done about that, ever."""

    async def go() -> MemberView:
        await node.look()
        node.good["one"] = False
        for _ in range(2):
            await node.look()
        for _ in range(3):
            await node.look(two="EXITED")
        return await node.look()

    view = asyncio.run(go())
    (sick,) = view.sick
    assert (sick.program, sick.was_well) == ("one", True)
    assert sick.answers >= 5


def test_who_starts_anew_is_known_by_nothing_it_said_before(node: Node) -> None:
    async def go() -> MemberView:
        await node.look()
        await node.look(one="STOPPED", two="STOPPED")
        return await node.look()

    assert asyncio.run(go()).health.status == "starting"


def test_one_that_is_short_of_space_is_not_well(node: Node) -> None:
    async def go() -> tuple[str, str]:
        await node.look()
        await node.look()
        well = (await node.look()).health.status
        shortage = Shortage(1.0, "3 MiB are free")
        look = lambda members, now: node.kept.spaces.short.update(thing=shortage)  # noqa: E731
        node.kept.spaces.look = look  # type: ignore[method-assign]
        view = await node.look()
        assert view.shortage == shortage
        return well, view.health.status

    assert asyncio.run(go()) == ("ok", "failed")
