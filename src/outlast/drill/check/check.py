"""The one way into the checkers: histories and views in, findings out. Pure, and linear in what it is given.

What each class means exactly stands in `listed.py` (views) and `reads.py` (reads during the drill), what intervals
prove in `order.py`, and what the fields of operations and views must hold in `collection.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from outlast.drill.check.classes import CLASSES, LOST
from outlast.drill.check.collection import Collection, collections
from outlast.drill.check.listed import listed
from outlast.drill.check.reads import read
from outlast.record.history import Operation
from outlast.record.run import View
from outlast.record.verdict import Finding


def check(operations: tuple[Operation, ...], views: tuple[View, ...]) -> tuple[Finding, ...]:
    """All findings, unsafe classes first, one a class and key of a collection.

    operations: one machine's clock, any order. views: taken after the last operation has ended.
    """
    found = [finding for collection in collections(operations, views) for finding in _check(collection)]
    return tuple(sorted(found, key=lambda finding: CLASSES.index(finding.what)))


def count(findings: Iterable[Finding]) -> Mapping[str, int]:
    """How many findings each class has, 0 included, for `Verdict.counts`."""
    counted = Counter(finding.what for finding in findings)
    return {what: counted[what] for what in CLASSES}


def unproven(operations: tuple[Operation, ...], views: tuple[View, ...]) -> tuple[tuple[str, str], ...]:
    """Collections (service, name) with acknowledged creates of which the views cannot prove that nothing was lost:
    there is none, or none that is complete. "0 lost" says nothing about them."""
    return tuple(
        (collection.service, collection.name)
        for collection in collections(operations, views)
        if not collection.proves_absence and any(line.made for line in collection.lines.values())
    )


def _check(collection: Collection) -> Iterable[Finding]:
    """What views say goes before what reads say of the same class and key."""
    from_views = listed(collection)
    lost = (finding.key for finding in from_views if finding.what == LOST)
    from_reads = read(collection, lost)
    return {(finding.what, finding.key): finding for finding in (*from_reads, *from_views)}.values()
