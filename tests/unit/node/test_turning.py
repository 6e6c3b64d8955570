"""Who turns in a loop without a database goes last in line: real processes, and a control socket of our own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from member_views import MEMBER

from outlast.node import turning
from outlast.node.turning import LAST, Look, Turning, connected, renice, suspicious
from outlast.spec.program import Program

NICE = 3


class Controller:
    """A process that turns in a loop, and what its control socket says of its connection ("": nothing)."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        os.setpriority(os.PRIO_PROCESS, self.process.pid, NICE)
        self.stem = folder / "controller"
        self.stem.with_suffix(".pid").write_text(f"{self.process.pid}\n")
        self.says = "not connected"

    @property
    def nice(self) -> int:
        return os.getpriority(os.PRIO_PROCESS, self.process.pid)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.read(1000))
        assert asked["method"] == "connection-status"
        if self.says:
            writer.write(json.dumps({"id": asked["id"], "result": self.says, "error": None}).encode())
            await writer.drain()
        writer.close()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    made = Controller(tmp_path)
    yield made
    made.process.kill()
    made.process.wait()


def watcher(controller: Controller, told: list[str]) -> Turning:
    found = Turning(lambda service, code, sentence: told.append(code))
    program = replace(Program("controller", ("it",)), nice=NICE)
    found.adopt([replace(MEMBER, programs=(program,), facts=(("turns", str(controller.stem)),))])
    return found


def looks(controller: Controller, found: Turning, says: list[str]) -> None:
    """One look after another, a second apart and a fifth of one in truth; what it says changes before each."""

    async def run() -> None:
        async with await asyncio.start_unix_server(controller.answer, controller.stem.with_suffix(".ctl")):
            for number, words in enumerate(says):
                controller.says = words
                await found.turn(number * 0.2)
                await asyncio.sleep(0.2)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "now", "is_it"),
    [
        (None, Look(7, 1.0, 9.0), False),
        (Look(7, 1.0, 9.0), Look(7, 2.0, 9.3), False),
        (Look(7, 1.0, 9.0), Look(7, 2.0, 9.5), True),
        (Look(7, 1.0, 9.0), Look(8, 2.0, 99.0), False),
        (Look(7, 1.0, 9.0), Look(7, 1.0, 9.0), False),
    ],
)
def test_who_uses_much(before: Look | None, now: Look, is_it: bool) -> None:
    assert suspicious(before, now) is is_it


def test_last_while_it_has_no_database_and_as_before_afterwards(controller: Controller) -> None:
    told: list[str] = []
    found = watcher(controller, told)
    looks(controller, found, ["not connected", "not connected"])
    assert controller.nice == LAST and told == ["program.turns"]
    looks(controller, found, ["not connected", "connected"])
    assert controller.nice == NICE and told == ["program.turns", "program.turned"]


def test_who_computes_with_its_database_is_left_alone(controller: Controller) -> None:
    told: list[str] = []
    looks(controller, watcher(controller, told), ["connected"] * 3)
    assert controller.nice == NICE and not told


@pytest.mark.parametrize("low", [True, False])
def test_who_says_nothing_stays_as_it_is(controller: Controller, low: bool) -> None:
    told: list[str] = []
    if low:
        renice(controller.process.pid, LAST)
    looks(controller, watcher(controller, told), [""] * 3)
    assert controller.nice == (LAST if low else NICE) and not told


def test_a_new_agent_takes_back_what_the_one_before_did(controller: Controller) -> None:
    renice(controller.process.pid, LAST)
    told: list[str] = []
    looks(controller, watcher(controller, told), ["connected"])
    assert controller.nice == NICE and told == ["program.turned"]


def test_nothing_runs(tmp_path: Path) -> None:
    assert turning.look(str(tmp_path / "absent"), 1.0) is None
    assert asyncio.run(connected(str(tmp_path / "absent.ctl"))) is None
