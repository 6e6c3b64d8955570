"""What clients saw: one record per request, written before it is sent and after it ended.

All times are seconds of one monotonic clock, that of the machine on which the drill runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "failed", "unknown"]
Kind = Literal["read", "create", "delete", "list"]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A request that is about to be sent. Writes are on disk before their first byte leaves.

    workload: which stream of requests it belongs to ("nova-read"); service: who answers ("nova", "galera",
    "rabbitmq"). key: the thing that it is about (name of a resource, row or message), "" where there is none.
    fresh: sent on a connection of its own; otherwise on a pooled one.
    """

    id: int
    workload: str
    service: str
    kind: Kind
    scheduled: float
    key: str = ""
    fresh: bool = True


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a request ended.

    outcome: ok (acknowledged), failed (refused by somebody who can know that nothing was done), unknown (time-out,
    reset, cut answer, a balancer's 502 or 504: it may have happened). detail: status or error, a few words.
    value: what was read, or the id that the server gave to what was made. sent: when the first byte left, None when
    nothing was ever sent. accepted: when the answer came, where that only began the work (a server that is to be made);
    `ended` is then the end of the work.
    """

    id: int
    sent: float | None
    ended: float
    outcome: Outcome
    detail: str = ""
    value: str = ""
    accepted: float | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An intent with its end. Without an end it is unknown, and `ended` is None."""

    id: int
    workload: str
    service: str
    kind: Kind
    scheduled: float
    key: str = ""
    fresh: bool = True
    sent: float | None = None
    ended: float | None = None
    outcome: Outcome = "unknown"
    detail: str = ""
    value: str = ""
    accepted: float | None = None

    @property
    def latency(self) -> float | None:
        """Seconds from the scheduled time to the answer, so that waiting for a late start counts too (open loop).

        To the end of the work where that did not end well: then it is what the client waited for.
        """
        answered = self.accepted if self.outcome == "ok" and self.accepted is not None else self.ended
        return None if answered is None else answered - self.scheduled


@dataclass(frozen=True, kw_only=True)
class Packet:
    """One packet of a tenant stream. received None: it never came back."""

    stream: str
    seq: int
    sent: float
    received: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stall:
    """The machine itself stood still: a probe that sleeps a few milliseconds woke `seconds` late."""

    at: float
    seconds: float


def merge(intents: Iterable[Intent], ends: Iterable[Done]) -> tuple[Operation, ...]:
    """Operations in the order of their schedule."""
    by_id = {end.id: end for end in ends}
    found = [_operation(intent, by_id.get(intent.id)) for intent in intents]
    return tuple(sorted(found, key=lambda operation: (operation.scheduled, operation.id)))


def _operation(intent: Intent, end: Done | None) -> Operation:
    known = vars(intent)
    if end is None:
        return Operation(**known)
    return Operation(**known, **{key: value for key, value in vars(end).items() if key != "id"})
