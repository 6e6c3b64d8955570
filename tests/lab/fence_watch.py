"""Who has an address, read from the kernel's tables of several nodes by one thread: nothing is started on a node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.005


class Owners:
    """Changes of ownership as (moment, node, has it now); moments are of the monotonic clock."""

    def __init__(self, address: str, pids: Mapping[str, int]) -> None:
        self.address, self.pids = address, pids
        self.changes: list[tuple[float, str, bool]] = []
        self.now: dict[str, bool] = dict.fromkeys(pids, False)
        self._stop = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self._look()

    def _look(self) -> None:
        for node, pid in self.pids.items():
            has = f" {self.address}\n" in Path(f"/proc/{pid}/net/fib_trie").read_text()
            if has != self.now[node]:
                self.now[node] = has
                self.changes.append((time.monotonic(), node, has))

    def holders(self) -> list[str]:
        return [node for node, has in self.now.items() if has]

    def left(self, node: str, after: float) -> float:
        """Seconds from a moment until the address left a node for the last time; -1 when it has it."""
        at = [moment - after for moment, who, has in self.changes if who == node and not has and moment > after]
        return -1.0 if self.now[node] or not at else at[-1]

    def moves(self, after: float) -> int:
        """How often some node got the address after a moment."""
        return sum(1 for moment, _, has in self.changes if has and moment > after)


@contextmanager
def owners(address: str, pids: Mapping[str, int]) -> Iterator[Owners]:
    """Watch while the block lasts; `pids` names a process in each node's network."""
    seen = Owners(address, pids)
    try:
        yield seen
    finally:
        seen.close()
