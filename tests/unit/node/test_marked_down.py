"""Servers of a node that has vanished are marked down: those in use that have a check, and no others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from outlast.node import marked_down
from outlast.node.guard.departed import COMMAND
from outlast.node.marked_down import MarkedDown, used
from outlast.spec.bundle import BundleMember

ANSWER = b"""1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
23 galera 1 c1 10.21.0.11 2 0 1 1 395 15 3 3 6 0 0 0 - 3306 - 0 9200 - - 9200
23 galera 2 c2 10.21.0.12 2 0 1 1 522 15 3 3 6 0 0 0 - 3306 - 0 9200 - - 9200
24 keystone 1 c1 10.21.0.11 1 0 1 1 395 15 3 3 6 0 0 0 - 5000 - 0 0 - - 0
24 keystone 4 c1-unchecked 10.21.0.11 2 0 1 1 1960 1 0 2 0 0 0 0 - 5000 - 0 0 - - 0
25 glance 1 c1 10.21.0.11 0 0 1 1 395 8 2 0 6 0 0 0 - 9292 - 0 0 - - 0
26 nova 1 c1 10.21.0.11 2 1 1 1 395 15 3 3 6 0 0 0 - 8774 - 0 0 - - 0
27 neutron 1 c1 10.21.0.11 3 0 1 1 395 15 3 3 6 0 0 0 - 9696 - 0 0 - - 0

"""
BALANCER = BundleMember(
    service="haproxy", index=0, files=(), directories=(), programs=(), prepare=(), setup=(), needs=(), probes=(),
    start="plain", reload=(), restart_digest="", reload_digest="", facts=(("admin", "/run/admin.sock"),),
)  # fmt: skip


class World:
    """A balancer that gives ANSWER, or no answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.told: list[str] = []
        self.hangs = False
        monkeypatch.setattr(marked_down, "ask", self.ask)
        self.marked = MarkedDown(lambda service, code, sentence: self.told.append(f"{service} {code}: {sentence}"))
        self.marked.adopt([BALANCER])

    def ask(self, path: str, command: str) -> bytes:
        self.asked.append(f"{path} {command}")
        if self.hangs:
            raise TimeoutError("timed out")
        return ANSWER if command == COMMAND else b""

    def vanish(self, address: str) -> None:
        async def until_done() -> None:
            self.marked.vanished("c1", address)
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

        asyncio.run(until_done())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_servers_in_use_with_a_check() -> None:
    """Starting (1) and up (2); not one that is down, that leaves, that an operator took out or that has no check."""
    assert used(ANSWER, "10.21.0.11") == (("galera", "c1"), ("keystone", "c1"))
    assert used(ANSWER, "10.21.0.1") == used(b"1\n23 galera 1 c1 10.21.0.11", "10.21.0.11") == ()


def test_marked_in_one_question_and_told(world: World) -> None:
    world.vanish("10.21.0.11")
    orders = "set server galera/c1 health down; set server keystone/c1 health down"
    assert world.asked == [f"/run/admin.sock {COMMAND}", f"/run/admin.sock {orders}"]
    (said,) = world.told
    assert said.startswith("haproxy servers.marked: c1 has vanished")
    assert said.endswith("(galera, keystone)")


def test_nothing_is_said_of_a_node_without_servers(world: World) -> None:
    world.vanish("10.21.0.99")
    assert world.asked == [f"/run/admin.sock {COMMAND}"]
    assert world.told == []


def test_a_balancer_that_does_not_answer_is_told(world: World) -> None:
    world.hangs = True
    world.vanish("10.21.0.11")
    assert world.told == ["haproxy servers.kept: servers of c1 could not be marked down: timed out"]


def test_nothing_where_there_is_no_balancer(world: World) -> None:
    world.marked.adopt([replace(BALANCER, facts=())])
    world.vanish("10.21.0.11")
    assert world.asked == world.told == []
