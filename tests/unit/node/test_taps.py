"""A server's network device that was left down is set up again; whatever else is down is left alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from outlast.node import disk, taps
from outlast.node.taps import Taps
from outlast.services.nova_compute.service import DEVICES
from outlast.spec.bundle import BundleMember

TAP, METADATA, OTHER = "tap0123abcd-4e", "tap89abcdef-01", "tap0"
COMPUTE = BundleMember(
    service="nova-compute", index=0, files=(), directories=(), programs=(), prepare=(), setup=(), needs=(), probes=(),
    start="plain", reload=(), restart_digest="", reload_digest="", facts=(("taps", DEVICES),),
)  # fmt: skip


class World:
    """The kernel's devices as files; `left` says what `ip` answers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.left, self.paused = folder, "", ""
        self.asked: list[str] = []
        self.told: list[str] = []
        monkeypatch.setattr(taps, "NETWORK", folder)
        monkeypatch.setattr(taps, "SETTLE", 0.01)
        monkeypatch.setattr(taps, "raised", self.raised)
        monkeypatch.setattr(disk, "paused", lambda: self.paused)
        self.taps = Taps(lambda service, code, sentence: self.told.append(code))
        self.taps.adopt([COMPUTE])

    def device(self, name: str, *, up: bool, tun: bool = True) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "flags").write_text(f"{0x1102 | up:#x}\n")
        if tun:
            (self.folder / name / "tun_flags").write_text("0x1002\n")

    def remove(self, name: str) -> None:
        for file in (self.folder / name).iterdir():
            file.unlink()
        (self.folder / name).rmdir()

    async def raised(self, name: str) -> str:
        self.asked.append(name)
        if not self.left:
            self.device(name, up=True)
        return self.left

    def look(self) -> None:
        asyncio.run(self.taps.turn())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_device_left_down_is_set_up_and_told_once(world: World) -> None:
    world.device(TAP, up=False)
    world.look()
    world.look()
    assert (world.asked, world.told) == ([TAP], ["tap.raised"])


def test_only_servers_devices_are_touched(world: World) -> None:
    world.device(METADATA, up=False, tun=False)
    world.device(OTHER, up=False)
    world.device(TAP, up=True)
    world.look()
    assert world.asked == world.told == []


def test_a_device_that_is_being_made_or_removed_is_left_alone(world: World) -> None:
    """Both are down for some milliseconds."""

    async def meanwhile(change: bool) -> None:
        look = asyncio.create_task(world.taps.turn())
        await asyncio.sleep(0)
        if change:
            world.device(TAP, up=True)
        else:
            world.remove(TAP)
        await look

    for change in (True, False):
        world.device(TAP, up=False)
        asyncio.run(meanwhile(change))
    assert world.asked == world.told == []


def test_what_could_not_be_set_up_is_tried_again_and_said_once_a_minute(world: World) -> None:
    world.device(TAP, up=False)
    world.left = "not permitted"
    for _ in range(3):
        world.look()
    assert (len(world.asked), world.told) == (3, ["tap.down"])
    world.left = ""
    world.look()
    assert world.told == ["tap.down", "tap.raised"]


def test_while_paused_it_is_only_said(world: World) -> None:
    world.device(TAP, up=False)
    world.paused = "maintenance"
    world.look()
    assert (world.asked, world.told) == ([], ["tap.down"])


def test_nothing_where_there_are_no_servers(world: World) -> None:
    world.taps.adopt([replace(COMPUTE, facts=())])
    world.device(TAP, up=False)
    world.look()
    assert world.asked == world.told == []
