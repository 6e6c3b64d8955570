"""When what was broken runs again: asked of the kernel, not of those who repair it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from outlast.drill.faults.hands import Hands
from outlast.errors import OutlastError
from outlast.lab.processes import Process

POLL = 0.05
_STOPPED = "TtZX"


def runs_again(hands: Hands, record: Mapping[str, Any]) -> bool:
    """Whether every program that a fault of processes hit has a main process that is not stopped.

    After a kill it must be another one than before. A node without power has none.
    """
    for entry in record.get("processes", ()):
        before = Process(*entry["all"][0])
        try:
            now = hands.process(entry["node"], entry["program"])
        except (OutlastError, OSError):
            return False
        if now.state() in _STOPPED or (record["verb"] in ("kill", "stop") and now == before):
            return False
    return True


class Watch:
    """Waits in the background for the moment when all faults of processes are repaired."""

    def __init__(self, hands: Hands, records: list[Mapping[str, Any]]) -> None:
        self._hands = hands
        self._records = [record for record in records if record.get("processes")]
        self._end = threading.Event()
        self.at: float | None = None
        self._thread = threading.Thread(target=self._wait, name="repaired", daemon=True)
        if self._records:
            self._thread.start()

    def stop(self) -> float | None:
        """The moment, None for never, or where nothing of the kind was broken."""
        self._end.set()
        if self._records:
            self._thread.join(10)
        return self.at

    def _wait(self) -> None:
        while not self._end.is_set():
            if all(runs_again(self._hands, record) for record in self._records):
                self.at = time.monotonic()
                return
            self._end.wait(POLL)
