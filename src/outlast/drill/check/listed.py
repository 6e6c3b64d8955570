"""What the views after the drill say about every key that the drill wrote.

Views are taken after the load has ended and the cluster has settled. What a view shows is there, complete or not; what
a complete one does not show is not there; what an incomplete one does not show says nothing. What a consumer took
counts as shown. Keys that the drill never wrote are nobody's business here. With no view, and nothing taken, every
class below stays silent.

lost
    An acknowledged create that no delete can have followed, and its key is in no view and was taken by no consumer.
    Needs a complete view (of messages: all views complete, since a message is in one place only). A delete that found
    nothing (404) does not excuse it. Silent: no complete view, a delete of unknown outcome or one that overlaps the
    create, a create that is not acknowledged, a refused delete (then it is failed-but-applied).
diverged
    Databases only. One member shows the key and a complete view of another does not, or two complete views show
    different values. What the clients were told does not matter: after an unknown write, too, the members must agree.
    Silent where the same key is already resurrected or wrong, and where the view that lacks it is incomplete.
duplicated
    One view shows the key more often than creates of it may stand, or consumers took and acknowledged a message more
    often. Two creates under one name that may both have worked explain two entries, an unknown one included.
resurrected
    A view shows the key, a delete of it was acknowledged, and every create that may stand ended before that delete was
    sent. Silent: a create of unknown outcome, one after or beside the delete, a delete that was not acknowledged.
failed-but-applied
    A view shows the key (or a consumer took it), and only a create that was refused explains that; or it is there more
    often than the others explain, and refused ones make up for it. Also an acknowledged key that is gone as in lost,
    when only a delete that was refused, other than for finding nothing, explains that.
wrong
    A view shows the key with values, none of which an acknowledged or unknown create that may stand has. Silent where a
    create noted no value, or the view has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from outlast.drill.check.classes import (
    DIVERGED,
    DUPLICATED,
    FAILED_BUT_APPLIED,
    LOST,
    RESURRECTED,
    WRONG,
    finding,
)
from outlast.drill.check.collection import Collection
from outlast.drill.check.order import END, Timeline, Write
from outlast.record.run import View
from outlast.record.verdict import Finding


@dataclass(frozen=True)
class Sight:
    """One key in all views: what each view that shows it shows (its values, one an entry), by the view's place."""

    shown: Mapping[int, list[str]] = field(default_factory=dict)

    def most(self) -> int:
        """Entries in the view that has most of them."""
        return max((len(values) for values in self.shown.values()), default=0)


_UNSEEN = Sight()


def listed(collection: Collection) -> list[Finding]:
    """Findings from the views of one collection, in the order of its keys."""
    sights = _sights(collection)
    found: list[Finding] = []
    for key, line in collection.lines.items():
        sight = sights.get(key, _UNSEEN)
        if sight.shown or key in collection.seen_taken:
            found += _present(collection, line, sight)
        elif collection.is_gone(key):
            found += _absent(collection, line)
    return found


def _sights(collection: Collection) -> dict[str, Sight]:
    sights: dict[str, dict[int, list[str]]] = {}
    for place, view in enumerate(collection.views):
        for key, value in view.entries:
            if key in collection.lines:
                sights.setdefault(key, {}).setdefault(place, []).append(value)
    return {key: Sight(shown) for key, shown in sights.items()}


def _absent(collection: Collection, line: Timeline) -> Iterator[Finding]:
    if line.must_show(END, END):
        yield finding(collection, LOST, line.key, _lost(collection, line))
    elif line.must_show(END, END, refusals_hold=True):
        sentence = f"{line.key} is gone, though its deletion was refused ({_requests(line.kept)})"
        yield finding(collection, FAILED_BUT_APPLIED, line.key, sentence)


def _present(collection: Collection, line: Timeline, sight: Sight) -> Iterator[Finding]:
    why = line.why_there(END, END)
    foreign = () if why != "created" else _unfitting(collection, line, sight)
    where = _names(collection.views[place] for place in sight.shown) or "a consumer"
    if why == "deleted":
        sentence = f"the deletion of {line.key} was acknowledged ({_requests(line.gone)}), and {where} shows it"
        yield finding(collection, RESURRECTED, line.key, sentence)
    if foreign:
        yield finding(collection, WRONG, line.key, _wrong(collection, line, sight, foreign))
    if collection.is_database and why != "deleted" and not foreign:
        yield from _diverged(collection, line, sight)
    if why != "deleted":
        yield from _too_often(collection, line, max(sight.most(), collection.taken[line.key], 1))


def _too_often(collection: Collection, line: Timeline, entries: int) -> Iterator[Finding]:
    """Judges how often a key is there, when it is there and nothing says that it must not be."""
    standing, refused = line.standing()
    if refused and entries > standing:
        sentence = f"{line.key} is there, though its creation was refused ({_requests(line.refused)})"
        yield finding(collection, FAILED_BUT_APPLIED, line.key, sentence)
    if entries > max(1, standing + refused) and standing + refused:
        verb = "was taken" if collection.is_queue else "is there"
        creates = standing + refused
        sentence = f"{line.key} {verb} {entries} times and was created {'once' if creates == 1 else f'{creates} times'}"
        yield finding(collection, DUPLICATED, line.key, sentence)


def _diverged(collection: Collection, line: Timeline, sight: Sight) -> Iterator[Finding]:
    complete = [place for place, view in enumerate(collection.views) if view.complete]
    lacking = [place for place in complete if place not in sight.shown]
    if lacking and sight.shown:
        there = _names(collection.views[place] for place in sight.shown)
        missing = _names(collection.views[place] for place in lacking)
        yield finding(collection, DIVERGED, line.key, f"{line.key} is on {there} and not on {missing}")
        return
    said_by = {place: sorted(set(sight.shown[place]) - {"", line.key}) for place in complete if place in sight.shown}
    if len({tuple(values) for values in said_by.values() if values}) > 1:
        said = ", ".join(f"{collection.views[place].node} {'/'.join(values)!r}" for place, values in said_by.items())
        yield finding(collection, DIVERGED, line.key, f"{line.key} has different values: {said}")


def _unfitting(collection: Collection, line: Timeline, sight: Sight) -> tuple[int, ...]:
    """Views in which no entry of the key has a value that it may have."""
    return tuple(
        place
        for place, values in sight.shown.items()
        if not any(line.fits(value, END, END) == "fits" for value in values)
    )


def _lost(collection: Collection, line: Timeline) -> str:
    where = "no consumer has it" if collection.is_queue else f"it is not on {_names(_complete(collection))}"
    return f"{line.key} was acknowledged ({_requests(line.made)}), and {where}"


def _wrong(collection: Collection, line: Timeline, sight: Sight, places: tuple[int, ...]) -> str:
    values = sorted({value for place in places for value in sight.shown[place]})
    known = sorted({write.value for write in line.made} or {write.value for write in line.unsure})
    where = _names(collection.views[place] for place in places)
    return f"{line.key} is {'/'.join(values)!r} on {where} and was acknowledged as {'/'.join(known)!r}"


def _complete(collection: Collection) -> Iterator[View]:
    return (view for view in collection.views if view.complete)


def _names(views: Iterator[View]) -> str:
    return ", ".join(sorted({view.node for view in views}))


def _requests(writes: list[Write]) -> str:
    ids = ", ".join(str(write.id) for write in writes[:3])
    return f"request {ids}"
