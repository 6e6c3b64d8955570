"""Faults of too much work: processors or disk kept busy inside a node, for a bounded time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from outlast.drill.faults.hands import FOLDER, Hands
from outlast.drill.faults.verb import Order, Record, nodes_of
from outlast.errors import InputError
from outlast.lab import processes
from outlast.lab.processes import Process

LONGEST = 600.0
"""Seconds after which everything that a fault started ends by itself."""

_SCRIPT = (Path(__file__).parent / "burner.py").read_text(encoding="utf-8")
_BUSY_TICKS = 10
_BUSY_BYTES = 1024 * 1024


class OverloadCpu:
    """Busy processes."""

    options: Mapping[str, str] = {"workers": "how many per node (2)", "seconds": "until they end by themselves (60)"}
    kind = "cpu"

    def prepare(self, hands: Hands, order: Order) -> Record:
        workers, seconds = int(order.number("workers", 2)), order.number("seconds", 60)
        if not (1 <= workers <= 64 and 0 < seconds <= LONGEST):
            raise InputError("drill.option", f"1 to 64 workers for up to {LONGEST:g} s, not {workers} for {seconds:g}")
        return {"workers": workers, "seconds": seconds, "path": f"{FOLDER}/.drill-{order.id}"}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for node in nodes_of(record):
            words = (self.kind, record["workers"], record["seconds"], record["path"])
            hands.launch(node, record["id"], _SCRIPT, *words)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return all(sum(map(self._work, hands.launched(node, record["id"]))) > 0 for node in nodes_of(record))

    def undo(self, hands: Hands, record: Record) -> None:
        for node in nodes_of(record):
            processes.kill(hands.launched(node, record["id"]))

    def _work(self, one: Process) -> int:
        """Above 0 when a process has been busy for a tenth of a second."""
        return one.cpu_ticks() // _BUSY_TICKS


class OverloadDisk(OverloadCpu):
    """Writers that sync every piece, each in a file of its own of bounded size."""

    kind = "disk"

    def undo(self, hands: Hands, record: Record) -> None:
        super().undo(hands, record)
        for node in nodes_of(record):
            if hands.lab.pid1(node):
                hands.run(node, ["/bin/sh", "-c", 'rm -f -- "$0".*', record["path"]])

    def _work(self, one: Process) -> int:
        try:
            lines = Path(f"/proc/{one.pid}/io").read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes")), 0) // _BUSY_BYTES
