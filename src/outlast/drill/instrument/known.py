"""Which things of ours are there as far as we were told, and what the next step of a workload is about."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from outlast.drill.instrument.mix import MIX
from outlast.record.history import Kind


@dataclass(frozen=True, slots=True)
class Thing:
    key: str
    ref: str


@dataclass(frozen=True, slots=True)
class Next:
    """A request's kind, and the thing it is about (None: a new one, or none)."""

    kind: Kind
    thing: Thing | None = None


class Known:
    """Things that were acknowledged and that nobody was told to delete, oldest first."""

    MOST = 10_000

    def __init__(self) -> None:
        self._there: dict[str, deque[Thing]] = {}
        self._made: dict[str, int] = {}

    def next(self, workload: str, turn: int) -> Next | None:
        """The request at a workload's turn. None: there is nothing to send (one server at a time, and it is busy).

        A delete takes its thing out of the list at once: it is asked for only once, whatever becomes of it.
        """
        share = MIX[workload]
        there = self._there.setdefault(workload, deque(maxlen=self.MOST))
        kind = share.steps[turn % len(share.steps)]
        if kind == "create":
            if len(there) < share.keep:
                return self._create(workload, alone=share.keep == 1)
            kind = "delete"
        if kind == "delete":
            # The newest may be being read right now: who reads it must find it.
            if len(there) > ("read" in share.steps):
                return Next("delete", there.popleft())
            return None if share.keep == 1 else Next(_fallback(workload))
        if kind == "read" and "create" in share.steps:
            return Next("read", there[-1]) if there else Next(_fallback(workload))
        return Next(kind)

    def _create(self, workload: str, alone: bool) -> Next | None:
        if alone and self._made.get(workload):
            return None
        self._made[workload] = self._made.get(workload, 0) + 1
        return Next("create")

    def ended(self, workload: str, key: str, ref: str) -> None:
        """A create has ended; ref "": nothing is known to be there."""
        self._made[workload] -= 1
        if ref:
            self._there.setdefault(workload, deque(maxlen=self.MOST)).append(Thing(key, ref))


def _fallback(workload: str) -> Kind:
    """What needs no thing: a list, or a plain read where there is no list."""
    return "list" if "list" in MIX[workload].steps else "read"
