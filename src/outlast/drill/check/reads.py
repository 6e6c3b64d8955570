"""What the reads and lists during the drill say. Only answered ones count, and they say nothing about other keys.

stale
    A read or list that does not show a key, although a create was acknowledged before the read was sent, and no delete
    can have come between. Also one that shows a value whose deletion was acknowledged, when a later create may stand;
    and one that shows a deleted key as in resurrected, when the views prove that it did not come back. Its age: from
    the key's last acknowledgement before the read to the sending of the read, in seconds. One finding a key, with the
    greatest age. Silent: a create that overlaps the read, any delete sent before the read ended (refused ones too, but
    for those that found nothing), a list that was cut or filtered by another prefix; a key that turns out lost is
    reported as lost and not as stale too.
resurrected
    A read or list that shows a key, although a deletion was acknowledged before it was sent, and every create that may
    stand ended before that deletion was sent; and no complete view says that it is gone after all. Silent: a create of
    unknown outcome or one that can have come between.
failed-but-applied
    A read or list that shows a key that only a refused create explains.
wrong
    A read of a key with a value that none of its creates has, when all of them noted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outlast.drill.check.classes import FAILED_BUT_APPLIED, RESURRECTED, STALE, WRONG, finding
from outlast.drill.check.collection import CUT, Collection, prefix
from outlast.drill.check.order import NEVER, Timeline, interval
from outlast.record.history import Operation
from outlast.record.verdict import Finding

# What happens at the same moment is taken as concurrent: writes are taken away before they are added, reads come last.
_BEGIN, _ACKNOWLEDGE, _READ = range(3)


@dataclass(frozen=True, slots=True)
class Answer:
    """A read's or list's interval and request."""

    sent: float
    ended: float
    id: int


@dataclass
class Tally:
    """Why one key is reported: how many reads, and the one that is furthest off, by age in seconds."""

    reads: int = 0
    age: float = -1.0
    id: int = -1
    shown: str = ""

    def add(self, age: float, answer: Answer, shown: str = "") -> None:
        self.reads += 1
        if age > self.age:
            self.age, self.id, self.shown = age, answer.id, shown


Tallies = dict[tuple[str, str], Tally]


def read(collection: Collection, lost: Iterable[str]) -> list[Finding]:
    """Findings from the reads and lists of one collection, one a class and key. lost: keys known to be lost."""
    tallies: Tallies = {}
    gone = frozenset(lost)
    for operation in collection.reads:
        line = collection.lines.get(operation.key)
        if line:
            _one(line, _answer(operation), operation.value, tallies)
    if collection.lists:
        _Sweep(collection, gone, tallies).run()
    found = {}
    for (what, key), tally in sorted(tallies.items(), key=lambda entry: entry[0]):
        passed = what == RESURRECTED and collection.is_gone(key)
        said = STALE if passed else what
        if not (said == STALE and key in gone):
            found[said, key] = finding(collection, said, key, _sentence(what, key, tally))
    return list(found.values())


def _one(line: Timeline, answer: Answer, value: str, tallies: Tallies) -> None:
    """Judges a read of one key."""
    if not value:
        _absent(line, answer, tallies)
        return
    why = line.why_there(answer.sent, answer.ended)
    _there(line, answer, tallies)
    fit = line.fits(value, answer.sent, answer.ended) if why == "created" else "fits"
    if fit == "foreign":
        _note(tallies, WRONG, line.key).add(_age(line, answer), answer, value)
    elif fit == "old":
        _note(tallies, STALE, line.key).add(_age(line, answer), answer, value)


def _absent(line: Timeline, answer: Answer, tallies: Tallies) -> None:
    if line.must_show(answer.sent, answer.ended):
        _note(tallies, STALE, line.key).add(_age(line, answer), answer)


def _there(line: Timeline, answer: Answer, tallies: Tallies) -> None:
    why = line.why_there(answer.sent, answer.ended)
    if why == "deleted":
        _note(tallies, RESURRECTED, line.key).add(_age(line, answer), answer)
    elif why == "refused":
        _note(tallies, FAILED_BUT_APPLIED, line.key).add(_age(line, answer), answer)


class _Sweep:
    """Walks through writes and lists in the order of time with two sets, so that a list costs what it is long.

    expected: keys that a list sent now has to show, by prefix ("" for all); gone: keys that it must not show. Both
    may hold too much, where intervals overlap, and never too little: what stands out is asked of the key's timeline.
    """

    def __init__(self, collection: Collection, lost: frozenset[str], tallies: Tallies) -> None:
        self._lines = collection.lines
        self._lists = collection.lists
        self._lost = lost
        self._tallies = tallies
        self._expected: dict[str, set[str]] = {"": set()}
        self._gone: set[str] = set()
        self._refused = {key for key, line in self._lines.items() if line.refused}

    def run(self) -> None:
        for _, step, place, key in sorted(self._moments()):
            if step == _READ:
                self._list(self._lists[place])
            elif step == _BEGIN:
                self._begin(key, place)
            else:
                self._acknowledge(key, place)

    def _moments(self) -> Iterator[tuple[float, int, int, str]]:
        """Time, step, and for a write whether it is a delete (1) or a create (0)."""
        for key, line in self._lines.items():
            for write in line.made:
                yield write.sent, _BEGIN, 0, key
                yield write.ended, _ACKNOWLEDGE, 0, key
            for write in line.unsure:
                yield write.sent, _BEGIN, 0, key
            for write in line.gone:
                yield write.sent, _BEGIN, 1, key
                yield write.ended, _ACKNOWLEDGE, 1, key
            for write in (*line.perhaps_gone, *line.kept):
                yield write.sent, _BEGIN, 1, key
        for place, operation in enumerate(self._lists):
            yield _answer(operation).sent, _READ, place, ""

    def _begin(self, key: str, is_delete: int) -> None:
        if is_delete:
            self._expected[""].discard(key)
            self._expected.get(prefix(key), set()).discard(key)
        else:
            self._gone.discard(key)

    def _acknowledge(self, key: str, is_delete: int) -> None:
        if is_delete:
            self._gone.add(key)
        elif key not in self._lost:
            self._expected[""].add(key)
            self._expected.setdefault(prefix(key), set()).add(key)

    def _list(self, operation: Operation) -> None:
        answer = _answer(operation)
        words = operation.value.split()
        cut = words[-1:] == [CUT]
        seen = set(words)
        for key in seen & self._gone | seen & self._refused:
            _there(self._lines[key], answer, self._tallies)
        if not cut:
            wanted = self._expected.get(prefix(operation.key), set())
            for key in wanted - seen:
                _absent(self._lines[key], answer, self._tallies)


def _note(tallies: Tallies, what: str, key: str) -> Tally:
    return tallies.setdefault((what, key), Tally())


def _answer(operation: Operation) -> Answer:
    times = interval(operation)
    return Answer(times.sent, times.ended, operation.id)


def _age(line: Timeline, answer: Answer) -> float:
    """Seconds from the last acknowledgement of the key's writes to the sending of the read; 0 where there was none."""
    since = line.acknowledged(answer.sent)
    return 0.0 if since == NEVER else answer.sent - since


def _sentence(what: str, key: str, tally: Tally) -> str:
    times = "one read" if tally.reads == 1 else f"{tally.reads} reads"
    where = f"{times}, request {tally.id} sent {tally.age:.3f} s after"
    if what == STALE:
        shown = f"old value {tally.shown!r} of {key}" if tally.shown else f"{key} missing"
        return f"{shown} in {where} its acknowledgement"
    if what == RESURRECTED:
        return f"{key} shown by {where} its deletion was acknowledged"
    if what == WRONG:
        return f"{key} has the value {tally.shown!r}, which nobody wrote, in {times}, request {tally.id}"
    return f"{key} shown by {times}, request {tally.id}, though its creation was refused"
