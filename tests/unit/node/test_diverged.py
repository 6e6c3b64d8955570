"""Which replicas the broker's log proves to be lost, and what is done about them. The log's lines are real ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from member_views import MEMBER

from outlast.node import disk, diverged
from outlast.node.diverged import Diverged, Replicas, Tail, proofs

AT = "2026-11-28 04:01:01.401512+00:00 [info]"
LOST = (
    f"{AT} <0.468.0> queue 'compute-alt.k2' in vhost '/': term mismatch - follower had entry at 619 with term 17 but "
    "not with term 18",
    f"{AT} <0.468.0> Asking leader {{'%2F_compute-alt.k2',rabbit@c3}} to resend from 621",
)
DAILY = (
    f"{AT} <0.471.0> queue 'scheduler.c3' in vhost '/': term mismatch - follower had entry at 617 with term 16 but not "
    "with term 17",
    f"{AT} <0.471.0> Asking leader {{'%2F_scheduler.c3',rabbit@c2}} to resend from 615",
)
STORE = (
    f"{AT} <0.315.0> RabbitMQ metadata store: term mismatch - follower had entry at 9 with term 2 but not with term 3",
    f"{AT} <0.315.0> Asking leader {{rabbitmq_metadata,rabbit@c3}} to resend from 12",
)
PROOF = Diverged("/", "compute-alt.k2", 619, 620)
OTHER = replace(MEMBER, service="memcached", facts=())


def test_an_entry_that_was_carried_out_is_a_proof_and_others_are_not() -> None:
    assert proofs(LOST) == [PROOF]
    assert proofs(DAILY) == []
    assert proofs(STORE) == [Diverged("", "", 9, 11)]
    assert proofs([*DAILY, *LOST, "anything", *LOST]) == [PROOF], "each once"


def test_the_very_entry_it_carried_out_last_is_a_proof_too() -> None:
    assert proofs([LOST[0], LOST[1].replace("621", "620")]) == [Diverged("/", "compute-alt.k2", 619, 619)]
    assert proofs([LOST[0], LOST[1].replace("621", "619")]) == []


def test_lines_of_several_replicas_may_mix() -> None:
    assert proofs([DAILY[0], LOST[0], DAILY[1], LOST[1]]) == [PROOF]
    assert proofs([LOST[0], DAILY[1]]) == []
    assert proofs([LOST[1]]) == []


def test_names_with_quotes_and_colons() -> None:
    first = LOST[0].replace("compute-alt.k2", "reply_c1:it's in vhost 'x': y")
    assert proofs([first, LOST[1]]) == [Diverged("/", "reply_c1:it's in vhost 'x': y", 619, 620)]


def test_a_log_is_read_from_its_end_and_in_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    tail = Tail(log)
    assert tail.lines() == []
    with log.open("a") as more:
        more.write("one\ntw")
    assert tail.lines() == ["one"]
    with log.open("a") as more:
        more.write("o\n")
    assert tail.lines() == ["two"]
    log.rename(tmp_path / "log.1")
    assert tail.lines() == []
    log.write_text("new\n")
    assert tail.lines() == ["new"]
    log.write_text("")
    log.write_text("n\n")
    assert tail.lines() == ["n"], "cut, and shorter than before"


class World:
    """A broker's log, and a script in the place of the broker's tool that notes its words."""

    def __init__(self, folder: Path) -> None:
        self.log, self.script, self.calls = folder / "log", folder / "replace", folder / "calls"
        self.log.touch()
        self.works()
        self.told: list[tuple[str, str, str]] = []
        self.one = Replicas(lambda *words: self.told.append(words))
        facts = ((diverged.LOG, str(self.log)), (diverged.REPLACE, str(self.script)))
        self.one.adopt([OTHER, replace(MEMBER, service="rabbitmq", facts=facts)])

    def works(self, end: str = "exit 0") -> None:
        self.script.write_text(f'#!/bin/sh\necho "$1 $2" >>{self.calls}\n{end}\n')
        self.script.chmod(0o755)

    def says(self, *lines: str) -> list[str]:
        """The codes of what is told after these lines."""
        with self.log.open("a") as log:
            log.writelines(f"{line}\n" for line in lines)
        before = len(self.told)
        asyncio.run(self.one.turn())
        assert {service for service, _, _ in self.told[before:]} <= {"rabbitmq"}
        return [code for _, code, _ in self.told[before:]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(disk, "PAUSE", tmp_path / "pause")
    return World(tmp_path)


def test_a_lost_replica_is_replaced_once_for_each_proof(world: World) -> None:
    assert world.says(*DAILY, "") == []
    assert world.says(*LOST) == ["replica.diverged", "replica.replaced"]
    assert world.calls.read_text() == "/ compute-alt.k2\n"
    assert world.says("something else") == []
    assert world.says(*LOST) == ["replica.diverged", "replica.replaced"]
    assert "carried out entry 620" in world.told[0][2]


def test_what_could_not_be_done_is_said_with_the_brokers_words(world: World) -> None:
    world.works("echo first; echo 'it is not taken away: timeout'; exit 1")
    assert world.says(*LOST) == ["replica.diverged", "replica.kept"]
    assert world.told[-1][2].endswith(": it is not taken away: timeout")
    world.script.unlink()
    assert world.says(*LOST) == ["replica.diverged", "replica.kept"]


def test_one_that_does_not_end_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diverged, "PATIENCE", 0.2)
    world.works("exec sleep 60")
    assert world.says(*LOST) == ["replica.diverged", "replica.kept"]
    assert "no end within 0.2 s" in world.told[-1][2]


def test_a_pause_is_kept(world: World) -> None:
    disk.PAUSE.write_text("maintenance")
    assert world.says(*LOST) == ["replica.diverged"]
    assert "paused (maintenance)" in world.told[0][2]
    assert not world.calls.exists()


def test_with_its_own_records_the_whole_broker_is_a_new_one(world: World) -> None:
    assert world.says(*STORE) == ["replica.diverged", "replica.replaced"]
    assert world.calls.read_text().split() == [], "no queue is named"
    world.works("echo the other brokers are no majority; exit 1")
    assert world.says(*STORE) == ["replica.diverged", "replica.kept"]


def test_a_node_without_a_broker_reads_nothing(world: World) -> None:
    world.one.adopt([OTHER])
    assert world.says(*LOST) == []
