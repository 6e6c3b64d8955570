"""Members whose file system is nearly full: who can be spared is stopped before it drags the others along.

A broker that has too little space blocks the publishers of the whole cluster; a database that finds none leaves it in
its own time, or never. Both come back by themselves when there is room again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from outlast.node.view import Others, Shortage
from outlast.spec.bundle import BundleMember
from outlast.spec.program import Space

STEADY = 1.0
"""Seconds for which it must be so: who is short of space says so meanwhile, and of two none leaves for the other."""

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
    return now - shortage.since >= STEADY and 2 * others.well > others.of + 1


class Spaces:
    """What is short on this node, by service. A look costs one system call for each member that needs space."""

    def __init__(self) -> None:
        self.short: dict[str, Shortage] = {}

    def look(self, members: Iterable[BundleMember], now: float) -> None:
        """What cannot be looked at (a path that is not there yet) is not short."""
        found = {}
        for member in members:
            free = free_mib(member.space.path) if member.space else None
            shortage = judge(member.space, free, self.short.get(member.service), now) if member.space and free else None
            if shortage:
                found[member.service] = shortage
        self.short = found


def free_mib(path: str) -> float | None:
    """MiB that an ordinary user may still write there; None where there is no such path."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    # Never 0: a file system without any room is not one that could not be asked.
    return max(status.f_bavail * status.f_frsize / 2**20, 0.001)
