"""The guards' event loop: signals, descriptors and a tick, nothing else. No asyncio: a guard stays small."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Loop:
    """Calls back when a descriptor is readable; collects signals; tells how late it was itself."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.signals: list[int] = []
        self._last = time.monotonic()
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._wakeup = reader, writer
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._note)
        self.watch(reader.fileno(), self._drain)

    def _note(self, number: int, _frame: Any) -> None:
        self.signals.append(number)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._wakeup[0].recv(4096)

    def watch(self, number: int, then: Callable[[], None]) -> None:
        """Call `then` whenever the descriptor is readable."""
        self._selector.register(number, selectors.EVENT_READ, then)

    def forget(self, number: int) -> None:
        """Watch it no longer; one that was never watched is no error."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(number)

    def turn(self, seconds: float) -> float:
        """Wait for at most `seconds`, call back, and return by how many seconds this turn came late.

        A guard that was itself kept from running (a paused machine) must not blame its child for that time.
        """
        for key, _ in self._selector.select(max(0.0, seconds)):
            key.data()
        now = time.monotonic()
        late, self._last = now - self._last - seconds, now
        return max(0.0, late)


def favour() -> None:
    """Ask the kernel to run this small process soon and never to sacrifice it; where that is refused, go on without."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:
        stream.write("-900")
