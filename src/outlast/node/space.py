"""Members whose file system is nearly full: who can be spared is stopped before it drags the others along.

A broker that has too little space blocks the publishers of the whole cluster; a database that finds none leaves it in
its own time, or never. Both come back by themselves when there is room again. Pure.
"""

from __future__ import annotations

from outlast.node.view import Others, Shortage
from outlast.spec.program import Space

STEADY = 1.0
"""Seconds for which it must be so: who is short of space says so meanwhile, and of two none leaves for the other."""

ORDERLY = 3.0
"""Seconds that it then has for an orderly end, which wants to write. A broker that hung there went on blocking the
publishers of all others for 20 s."""

BACK = 2.0
"""How many times the space that is needed must be free before a member counts as having it again."""


def judge(space: Space, free: float, before: Shortage | None, now: float) -> Shortage | None:
    """`free` in MiB. None where there is enough."""
    if free >= space.mib * (BACK if before else 1.0):
        return None
    sentence = f"{free:.0f} MiB are free on the file system of {space.path}, {space.mib} are needed"
    return Shortage(before.since if before else now, sentence)


def spared(others: Others, shortage: Shortage, now: float) -> bool:
    """Whether the others are a majority without this one, and are known not to be short of space themselves."""
    return now - shortage.since >= STEADY and others.majority
