"""Looks how much room the members of this node have; what follows from it is said in `space`."""

from __future__ import annotations

import os
from collections.abc import Iterable

from outlast.node.space import judge
from outlast.node.view import Shortage
from outlast.spec.bundle import BundleMember


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
