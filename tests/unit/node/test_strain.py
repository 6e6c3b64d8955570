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
from outlast.node.strain import Strain

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
        if watch.busy({"it": pid}):
            return True
    return False


def busy_a_second_later(pid: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    watch, now = Strain(), time.monotonic()
    assert not watch.busy({"it": pid}), "nothing is known at the first look"
    monkeypatch.setattr(strain.time, "monotonic", lambda: now + 1.0)
    return bool(watch.busy({"it": pid}))


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
        assert not busy_a_second_later(pid, monkeypatch)


def test_who_is_gone_is_not_busy() -> None:
    assert strain.work(2**22 + 1) == 0
    assert Strain().busy({"it": 0}) == frozenset()
