"""Busy or hung: on processes of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outlast.node import strain
from outlast.node.strain import BUSY, IDLE, STARVED, Strain

LOOP = "while True: pass"


@contextmanager
def running(code: str) -> Iterator[int]:
    """A program with a process group of its own, as supervisord makes them."""
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def becomes_busy(pid: int) -> bool:
    watch, end = Strain(), time.monotonic() + 20
    while time.monotonic() < end:
        if watch.look({"it": pid})["it"] in (BUSY, STARVED):
            return True
    return False


def a_second_later(pid: int, monkeypatch: pytest.MonkeyPatch) -> str:
    watch, now = Strain(), time.monotonic()
    assert watch.look({"it": pid}) == {"it": IDLE}, "nothing is known at the first look"
    monkeypatch.setattr(strain.time, "monotonic", lambda: now + 1.0)
    return watch.look({"it": pid})["it"]


@pytest.mark.parametrize(
    ("ran", "waited", "found"), [(0.1, 0.05, IDLE), (0.3, 0.1, BUSY), (0.1, 0.2, STARVED), (0.5, 0.6, STARVED)]
)
def test_at_work_or_kept_from_it(monkeypatch: pytest.MonkeyPatch, ran: float, waited: float, found: str) -> None:
    seen = iter([(5.0, 7.0), (5.0 + ran, 7.0 + waited)])
    monkeypatch.setattr(strain, "work", lambda leader: next(seen))
    assert a_second_later(2**22 + 1, monkeypatch) == found


def test_who_wants_a_processor_is_not_hung_from_the_first_look_on() -> None:
    """A cache that was kept from its processor for 0.7 s was killed once, and the other one too."""
    with running(LOOP) as pid:
        assert becomes_busy(pid)
        assert strain.runnable(pid)
        assert Strain().look({"it": pid}) == {"it": STARVED}
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        assert Strain().look({"it": pid}) == {"it": IDLE}


def test_one_that_computes_is_busy() -> None:
    with running(LOOP) as pid:
        assert becomes_busy(pid)


def test_children_count() -> None:
    with running(f"import os, time\nif os.fork() == 0:\n    {LOOP}\ntime.sleep(600)") as pid:
        assert becomes_busy(pid)


def test_one_that_is_stopped_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(LOOP) as pid:
        os.kill(pid, signal.SIGSTOP)
        # Until the kernel has it: a process that still runs for a moment would be measured.
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
        assert a_second_later(pid, monkeypatch) == IDLE


def test_who_is_gone_is_not_busy() -> None:
    assert strain.work(2**22 + 1) == (0, 0)
    assert Strain().look({"it": 0}) == {}
