"""The classes of findings, and how one is worded.

    lost                 acknowledged, never deleted, and gone from everywhere
    diverged             members of a database disagree about a key
    duplicated           there more often than it was created
    resurrected          its deletion was acknowledged, and it is there
    wrong                there with another value than the acknowledged one
    stale                a read showed a state older than what had been acknowledged before the read was sent
    failed-but-applied   the client was told that nothing was done, and it was done

The exact definitions, with the evidence that each needs, stand where they are decided: `listed.py` for what views show,
`reads.py` for what reads show.
"""

from __future__ import annotations

from outlast.drill.check.collection import Collection
from outlast.record.verdict import Finding

LOST = "lost"
DIVERGED = "diverged"
DUPLICATED = "duplicated"
RESURRECTED = "resurrected"
WRONG = "wrong"
STALE = "stale"
FAILED_BUT_APPLIED = "failed-but-applied"

CLASSES = (LOST, DIVERGED, DUPLICATED, RESURRECTED, WRONG, STALE, FAILED_BUT_APPLIED)


def finding(collection: Collection, what: str, key: str, sentence: str) -> Finding:
    """One finding about one key. Safe are only failed-but-applied, which a client that asks again survives; a message
    that came twice, which every at-least-once queue may do when a connection breaks; and an old list of a service whose
    lists follow later by design."""
    safe = (
        what == FAILED_BUT_APPLIED
        or (what == DUPLICATED and collection.is_queue)
        or (what == STALE and collection.is_eventual)
    )
    return Finding(what=what, key=key, safe=safe, sentence=f"{collection.service} {collection.name}: {sentence}.")
