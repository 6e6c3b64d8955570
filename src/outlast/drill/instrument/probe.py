"""Was the machine itself away? A thread that sleeps a few milliseconds and notes when it woke much too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from outlast.record.history import Stall

PAUSE = 0.005
LIMIT = 0.05
"""Seconds of lateness from which on times cannot be trusted (PROVING, the instrument)."""


class Probe:
    def __init__(self, note: Callable[[Stall], None]) -> None:
        self._note = note
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._end.is_set():
            due = time.monotonic() + PAUSE
            time.sleep(PAUSE)
            stall = stalled(due, time.monotonic())
            if stall is not None:
                self._note(stall)


def stalled(due: float, woke: float) -> Stall | None:
    """`at` is the time at which it should have woken: the stall lasted from there on."""
    return Stall(at=due, seconds=woke - due) if woke - due > LIMIT else None
