"""All that was seen of one collection, put together: its writes by key, its reads, the views of it.

A collection is what operations with one `service` and one `workload` are about; `View.service` and `View.collection`
are exactly these two. Only messages have a second workload, "<collection>-consume", for what took them off the queue.

What `Operation.value` holds:

    create    what was acknowledged: the row's value, or the id that the server gave. "": nothing to compare.
    read      with a key: what was read, in the same words as the create's value, or the key itself where only presence
              is known, or "" where the answer was that there is no such thing (such an answer is outcome "ok").
              Without a key it says nothing here.
    read      of a "-consume" workload: the key of the message that was taken; "" where there was none. Several keys are
              separated by spaces.
    list      the keys that were seen, separated by spaces; a key has no spaces. "" where none of the drill's own was in
              it. A list that the server cut (a limit, one page) ends with CUT ("..."): what it shows counts, what it
              does not show says nothing.
              `Operation.key` is the filter that was asked for: only keys with the same text before their first "-" are
              expected in it. "" is no filter.

`View.entries`: key and value, the value in the words of the create's, or "" or the key itself where it is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from outlast.drill.check.order import Timeline, never_sent, timelines
from outlast.record.history import Operation
from outlast.record.run import View

CUT = "..."
DATABASES = frozenset({"galera"})
QUEUES = frozenset({"rabbitmq"})
EVENTUAL = frozenset({"swift"})
_CONSUME = "-consume"


@dataclass(frozen=True)
class Collection:
    """reads: of single keys, answered; lists: answered; taken: how often each message was taken with
    acknowledgement; seen_taken: messages that were taken at all, acknowledged or not; shown: keys in any view."""

    service: str
    name: str
    lines: dict[str, Timeline]
    reads: tuple[Operation, ...] = ()
    lists: tuple[Operation, ...] = ()
    taken: Counter[str] = field(default_factory=Counter)
    seen_taken: frozenset[str] = frozenset()
    views: tuple[View, ...] = ()
    shown: frozenset[str] = frozenset()

    @property
    def is_database(self) -> bool:
        """Every view must say the same: members are copies of each other."""
        return self.service in DATABASES

    @property
    def is_queue(self) -> bool:
        """Views are parts and no copies: a message is taken by one consumer."""
        return self.service in QUEUES

    @property
    def is_eventual(self) -> bool:
        """Its lists follow its writes later by design (Swift's containers), so an old one breaks no promise. Views of
        it are to ask for each thing by name."""
        return self.service in EVENTUAL

    @property
    def proves_absence(self) -> bool:
        """Whether a key that no view shows is gone: one complete copy is enough, but of parts all must be complete."""
        enough = all if self.is_queue else any
        return bool(self.views) and enough(view.complete for view in self.views)

    def is_gone(self, key: str) -> bool:
        """Whether the views prove that it is in none of them."""
        return self.proves_absence and key not in self.shown


def collections(operations: Iterable[Operation], views: Iterable[View]) -> tuple[Collection, ...]:
    """Collections that something was written to, in the order in which they first appear."""
    sorted_out: dict[tuple[str, str], list[Operation]] = {}
    for operation in operations:
        sorted_out.setdefault((operation.service, operation.workload), []).append(operation)
    seen: dict[tuple[str, str], list[View]] = {}
    for view in views:
        seen.setdefault((view.service, view.collection), []).append(view)
    found = []
    for (service, name), entries in sorted_out.items():
        lines = timelines(entry for entry in entries if entry.kind in ("create", "delete") and entry.key)
        if lines:
            consumed = sorted_out.get((service, name + _CONSUME), [])
            found.append(_collection((service, name), lines, entries, consumed, seen.get((service, name), [])))
    return tuple(found)


def prefix(key: str) -> str:
    """A key's text before its first "-"."""
    return key.partition("-")[0]


def _collection(
    place: tuple[str, str],
    lines: dict[str, Timeline],
    entries: Sequence[Operation],
    consumed: Sequence[Operation],
    views: Sequence[View],
) -> Collection:
    service, name = place
    return Collection(
        service=service,
        name=name,
        lines=lines,
        reads=tuple(entry for entry in entries if entry.kind == "read" and entry.key and _answered(entry)),
        lists=tuple(entry for entry in entries if entry.kind == "list" and _answered(entry)),
        taken=Counter(key for entry in consumed if entry.outcome == "ok" for key in _messages(entry)),
        seen_taken=frozenset(key for entry in consumed if not never_sent(entry) for key in _messages(entry)),
        views=tuple(views),
        shown=frozenset(key for view in views for key, _ in view.entries),
    )


def _messages(entry: Operation) -> list[str]:
    return entry.value.split() if entry.kind == "read" else []


def _answered(entry: Operation) -> bool:
    return entry.outcome == "ok" and entry.sent is not None and entry.ended is not None
