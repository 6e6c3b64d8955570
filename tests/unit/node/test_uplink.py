"""A gateway without its external link gives its place to others, and takes it back when the link can be relied on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.node import uplink
from outlast.node.answers import Bad
from outlast.node.uplink import AGAIN, FORGET, LONGEST, STEADY, Standing, Uplink, advance, first, pause
from outlast.spec.bundle import BundleMember
from outlast.spec.probe import Probe

GATEWAY = BundleMember(
    service="openvswitch", index=0, files=(), directories=(), programs=(), prepare=(), setup=(), needs=(), probes=(),
    start="plain", reload=(), restart_digest="", reload_digest="", facts=(("uplink", "eth3"), ("offer", "gateway")),
)  # fmt: skip
LOOKS = st.lists(st.tuples(st.floats(0.1, 40.0), st.booleans()), min_size=1, max_size=60)


def test_out_at_once_and_back_after_a_steady_while() -> None:
    standing = first(True, 0.0)
    assert not standing.out
    standing = advance(standing, False, 10.0)
    assert standing.out
    standing = advance(standing, True, 20.0)
    assert advance(standing, True, 20.0 + STEADY - 0.1).out
    assert not advance(standing, True, 20.0 + STEADY).out


def test_who_boots_without_a_carrier_offers_nothing() -> None:
    assert first(False, 0.0).out


def test_every_loss_doubles_the_wait_until_they_are_forgotten() -> None:
    assert [pause(losses) for losses in (1, 2, 3, 9)] == [STEADY, 2 * STEADY, 4 * STEADY, LONGEST]
    standing = Standing(carrier=True, since=0.0, out=False, losses=4)
    assert advance(standing, True, FORGET - 1).losses == 4
    assert advance(standing, True, FORGET).losses == 0


@given(LOOKS)
def test_never_a_gateway_without_a_carrier(looks: list[tuple[float, bool]]) -> None:
    """And one move back at most in STEADY seconds, however the link flaps."""
    now, standing, returned = 0.0, first(True, 0.0), []
    for seconds, seen in looks:
        now += seconds
        before, standing = standing, advance(standing, seen, now)
        assert standing.out or seen
        if before.out and not standing.out:
            returned.append(now)
    assert all(later - earlier >= STEADY for earlier, later in zip(returned, returned[1:], strict=False))


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.carrier: bool | None = True
        self.takes = True
        self.told: list[str] = []
        self.declared: list[str] = []
        monkeypatch.setattr(uplink, "carrier", lambda interface: self.carrier)
        monkeypatch.setattr(uplink, "declare", self.declare)
        self.uplink = Uplink(lambda service, code, sentence: self.told.append(code))
        self.uplink.adopt([GATEWAY])

    async def declare(self, offer: str) -> bool:
        self.declared.append(offer)
        return self.takes

    def look(self, now: float, carrier: bool | None) -> None:
        self.carrier = carrier
        asyncio.run(self.uplink.turn(now))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_each_change_is_declared_and_told_once(world: World) -> None:
    for now, carrier in ((1.0, True), (2.0, True), (3.0, False), (4.0, False), (5.0, True), (9.0, True), (10.0, True)):
        world.look(now, carrier)
    assert world.declared == ["gateway", "", "gateway"]
    assert world.told == ["uplink.lost", "uplink.back"]


def test_what_was_not_taken_is_declared_again(world: World) -> None:
    world.takes = False
    world.look(1.0, True)
    world.look(2.0, True)
    world.takes = True
    world.look(3.0, True)
    world.look(4.0, True)
    assert world.declared == ["gateway"] * 3


def test_a_withdrawal_is_repeated(world: World) -> None:
    """The switch that is restarted meanwhile declares the node as the cluster file says."""
    world.look(1.0, False)
    world.look(1.0 + AGAIN / 2, False)
    world.look(1.0 + AGAIN, False)
    assert world.declared == ["", ""]
    assert world.told == ["uplink.lost"]


def test_nothing_where_there_is_no_such_interface_or_no_gateway(world: World) -> None:
    world.look(1.0, None)
    world.uplink.adopt([])
    world.look(2.0, False)
    assert world.declared == world.told == []


def test_a_node_that_is_shut_down_withdraws(world: World) -> None:
    asyncio.run(world.uplink.leave())
    world.look(1.0, False)
    asyncio.run(world.uplink.leave())
    world.uplink.adopt([])
    asyncio.run(world.uplink.leave())
    assert world.declared == ["", ""], "once by leaving, once by the look; not without a link, nor where there is none"


def test_a_new_bundle_with_the_same_link_changes_nothing(world: World) -> None:
    world.look(1.0, False)
    world.uplink.adopt([GATEWAY])
    world.look(2.0, False)
    assert world.declared == [""]


def test_the_kernels_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "NETWORK", tmp_path)
    (tmp_path / "eth3").mkdir()
    (tmp_path / "eth3/carrier").write_text("1\n")
    assert uplink.carrier("eth3") is True
    (tmp_path / "eth3/carrier").write_text("0\n")
    assert uplink.carrier("eth3") is False
    assert uplink.carrier("eth4") is None
    with pytest.raises(Bad, match="eth3 has no carrier"):
        asyncio.run(uplink.lit(Probe("carrier", path="eth3")))
    (tmp_path / "eth5/carrier").mkdir(parents=True)
    assert uplink.carrier("eth5") is False, "the kernel refuses the question while an interface is set down"
