"""No fault: what clients of this machine see anyway. Without it a late answer is put down to the fault of a drill."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.verb import Order, Record


class Nothing:
    """Takes effect at once, and changes nothing."""

    options: Mapping[str, str] = {}

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        return

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return True

    def undo(self, hands: Hands, record: Record) -> None:
        return
