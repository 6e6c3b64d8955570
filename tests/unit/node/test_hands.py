"""What the agent's hands do to programs: asked to end, or killed where a question is not heard."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from member_views import MEMBER, SETTLED, view

from outlast.node import hands
from outlast.node.view import MemberView
from outlast.spec.program import Program
from outlast.spec.snapshot import ProgramState

DEAF = replace(MEMBER, programs=(replace(Program("one", ("one",)), deaf_start=True), Program("two", ("two",))))
STATES = {name: ProgramState(name, "RUNNING", pid) for name, pid in (("one", 101), ("two", 102))}


@pytest.mark.parametrize(
    ("seen", "killed"),
    [
        (view(member=DEAF), []),
        (view(member=DEAF, deaf={"one": False}), [101]),
        (view(member=DEAF, deaf={"one": True}), []),
        (view(member=DEAF, deaf={"one": None}), [101]),
        (view(SETTLED), []),
    ],
    ids=["not running", "it starts", "it has come up", "nobody knows", "one that hears"],
)
def test_who_would_not_hear_it_is_killed(monkeypatch: pytest.MonkeyPatch, seen: MemberView, killed: list[int]) -> None:
    told: list[str] = []
    found: list[int] = []
    monkeypatch.setattr(hands, "kill", found.append)
    supervisor: Any = type("Supervisor", (), {"stop": lambda self, name: told.append(name)})()
    hands.stop(replace(seen, programs=STATES), supervisor)
    assert sorted(told) == ["one", "two"], "supervisord knows in any case, so nobody starts it again"
    assert found == killed


def test_the_whole_group_is_asked_to_end() -> None:
    first = subprocess.Popen(["sleep", "60"], process_group=0)
    second = subprocess.Popen(["sleep", "60"], process_group=first.pid)
    hands.end(first.pid)
    assert second.wait(10) == first.wait(10) == -signal.SIGTERM
    hands.end(first.pid)
    hands.end(0)


HUNG = """
import faulthandler, signal, sys, threading
faulthandler.register(signal.SIGWINCH, all_threads=True)
lock = threading.Lock()

def waits_for_the_lock():
    lock.acquire()

lock.acquire()
threading.Thread(target=waits_for_the_lock, daemon=True).start()
print("hung", flush=True)
lock.acquire()
"""


@pytest.mark.parametrize("stacks", [True, False])
def test_one_that_hangs_says_first_what_its_threads_do(stacks: bool) -> None:
    argv = [sys.executable, "-c", HUNG]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as hung:
        assert hung.stdout
        assert hung.stdout.readline() == "hung\n"
        hands.kill(hung.pid, stacks)
        said = hung.communicate(timeout=10)[1]
    assert hung.returncode == -signal.SIGKILL
    assert ("in waits_for_the_lock" in said) is stacks
