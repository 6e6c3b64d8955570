"""One key's writes as intervals, and what follows from them for certain.

A write takes effect at one moment that nobody saw. All that is known is an interval that holds it:

    ok        [sent, ended]       acknowledged, so it happened before the answer came
    unknown   [sent, for ever)    it may happen long after the client gave up, or never
    failed    none; but who refuses a request may be wrong about it (a 500 after the commit), so where it would explain
              what was found, it is taken to have happened in [sent, ended], which is a finding of its own

A request that was written down and has no end at all counts as unknown from its scheduled time on; one that is known
never to have been sent does not count. Of two intervals that touch or overlap either may have come first, so an order
is concluded only where one ends before the other begins. Creates insert, they do not replace: a key that is there
refuses another create, or (where names may repeat) the key is there twice.

Everything here is asked with a reader's own interval [sent, ended]. A reader after the end of everything, such as a
listing after the drill, is (END, END).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Literal

from outlast.record.history import Operation

END = inf
NEVER = -inf

NOT_THERE = "404"
"""`Operation.detail` of a delete that found nothing. It did nothing either, so it explains no loss."""

Reason = Literal["created", "refused", "deleted", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Write:
    """One create or delete, reduced to the interval that holds its effect."""

    sent: float
    ended: float
    value: str
    id: int


class Latest:
    """The largest mark among pairs (at, mark) that are early enough. Sorted once, then O(log n) a question."""

    __slots__ = ("_at", "_largest")

    def __init__(self, pairs: Iterable[tuple[float, float]]) -> None:
        ordered = sorted(pairs)
        self._at = [at for at, _ in ordered]
        self._largest = list(accumulate((mark for _, mark in ordered), max))

    def before(self, time: float) -> float:
        """Of pairs with at < time; NEVER where there is none."""
        place = bisect_left(self._at, time)
        return self._largest[place - 1] if place else NEVER

    def until(self, time: float) -> float:
        """Of pairs with at <= time; NEVER where there is none."""
        place = bisect_right(self._at, time)
        return self._largest[place - 1] if place else NEVER


_NONE = Latest(())


class Timeline:
    """The writes of one key. made, gone: acknowledged creates and deletes; unsure: creates of unknown outcome;
    perhaps_gone: deletes of unknown outcome; refused: creates that failed; kept: deletes that failed, but for those
    that found nothing to delete."""

    def __init__(self, key: str, writes: Sequence[Operation]) -> None:
        self.key = key
        self.made: list[Write] = []
        self.gone: list[Write] = []
        self.unsure: list[Write] = []
        self.perhaps_gone: list[Write] = []
        self.refused: list[Write] = []
        self.kept: list[Write] = []
        self._valued: dict[str, list[Write]] | None = None
        for operation in writes:
            if not never_sent(operation):
                self._add(operation)
        self.unsure.sort(key=_by_sending)
        self.perhaps_gone.sort(key=_by_sending)
        self._made_ends = _ends_by_sending(self.made)
        self._refused_ends = _ends_by_sending(self.refused)
        self._gone_ends = _ends_by_sending(self.gone)
        self._kept_ends = _ends_by_sending(self.kept)
        self._made_starts = _starts_by_ending(self.made)
        self._gone_starts = _starts_by_ending(self.gone)

    def must_show(self, sent: float, ended: float, *, refusals_hold: bool = False) -> bool:
        """Whether the key is there, however the intervals are ordered, for a reader of [sent, ended]: a create was
        acknowledged before, and no delete can have come between. refusals_hold: a refused delete did nothing."""
        if _begun(self.perhaps_gone, ended):
            return False
        deleted = self._gone_ends.until(ended)
        if not refusals_hold:
            deleted = max(deleted, self._kept_ends.until(ended))
        return self._made_starts.before(sent) > deleted

    def why_there(self, sent: float, ended: float) -> Reason:
        """What explains that a reader of [sent, ended] found the key: a create that may stand (acknowledged or
        unknown); only a refused one; none, although a delete was acknowledged; none, and nothing of it was ever deleted
        (so it was there before the drill)."""
        deleted = self._gone_starts.before(sent)
        made = self._made_ends.until(ended)
        if (made != NEVER and made >= deleted) or _begun(self.unsure, ended):
            return "created"
        refused = self._refused_ends.until(ended)
        if refused != NEVER and refused >= deleted:
            return "refused"
        return "elsewhere" if deleted == NEVER else "deleted"

    def standing(self) -> tuple[int, int]:
        """How many of its creates may be there in the end: acknowledged or unknown ones, and refused ones."""
        deleted = self._gone_starts.before(END)
        here = [sum(write.ended >= deleted for write in writes) for writes in (self.made, self.unsure, self.refused)]
        return here[0] + here[1], here[2]

    def fits(self, value: str, sent: float, ended: float) -> Literal["fits", "old", "foreign"]:
        """Whether a reader of [sent, ended] may have found this value: that of a create that may stand (fits); that of
        one that was surely deleted before (old); or one that no create ever had (foreign). A create that noted no value
        fits everything. A refused create's value counts only where no create of the key was acknowledged."""
        if not value or value == self.key:
            return "fits"
        deleted = self._gone_starts.before(sent)
        known = self._values()
        bearers = [write for write in (*known.get(value, ()), *known.get("", ())) if write.sent <= ended]
        if not known or any(write.ended >= deleted for write in bearers):
            return "fits"
        return "old" if bearers else "foreign"

    def acknowledged(self, sent: float) -> float:
        """When the last create or delete that was acknowledged before `sent` was; NEVER where there is none."""
        ends = (write.ended for write in (*self.made, *self.gone) if write.ended < sent)
        return max(ends, default=NEVER)

    def _values(self) -> dict[str, list[Write]]:
        if self._valued is None:
            self._valued = {}
            for write in (*self.made, *self.unsure, *(() if self.made else self.refused)):
                self._valued.setdefault(write.value, []).append(write)
        return self._valued

    def _add(self, operation: Operation) -> None:
        write = interval(operation)
        outcome = "unknown" if operation.ended is None else operation.outcome
        if operation.kind == "create":
            {"ok": self.made, "unknown": self.unsure, "failed": self.refused}[outcome].append(write)
        elif outcome == "ok":
            self.gone.append(write)
        elif outcome == "unknown":
            self.perhaps_gone.append(write)
        elif operation.detail != NOT_THERE:
            self.kept.append(write)


def never_sent(operation: Operation) -> bool:
    """Whether it ended without a byte having left."""
    return operation.sent is None and operation.ended is not None and operation.outcome != "ok"


def interval(operation: Operation) -> Write:
    """The interval that holds the effect of a create or delete."""
    sent = operation.scheduled if operation.sent is None else operation.sent
    open_ended = operation.ended is None or operation.outcome == "unknown"
    ended = END if open_ended or operation.ended is None else operation.ended
    return Write(sent, ended, operation.value, operation.id)


def timelines(writes: Iterable[Operation]) -> dict[str, Timeline]:
    """A timeline for every key that creates and deletes name, in the order of their first appearance."""
    by_key: dict[str, list[Operation]] = {}
    for operation in writes:
        by_key.setdefault(operation.key, []).append(operation)
    return {key: Timeline(key, found) for key, found in by_key.items()}


def _by_sending(write: Write) -> float:
    return write.sent


def _begun(by_sending: Sequence[Write], time: float) -> bool:
    return bool(by_sending) and by_sending[0].sent <= time


def _ends_by_sending(writes: Sequence[Write]) -> Latest:
    return Latest((write.sent, write.ended) for write in writes) if writes else _NONE


def _starts_by_ending(writes: Sequence[Write]) -> Latest:
    return Latest((write.ended, write.sent) for write in writes) if writes else _NONE
