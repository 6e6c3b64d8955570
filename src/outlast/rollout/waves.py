"""What a rollout has to do: which nodes, in which order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from outlast.spec.bundle import Bundle, BundleMember


@dataclass(frozen=True)
class Change:
    """One member on one node: kind add, remove, restart, reload or adjust (nothing restarts), with the reason."""

    node: str
    service: str
    kind: str
    reason: str


def unreadable() -> Bundle:
    """Stands for a bundle of another format: its node runs something, but what would restart is not known."""
    return Bundle("", "", "unreadable", "", "", 0, "", (), (), ())


def changes(old: Bundle | None, new: Bundle) -> tuple[Change, ...]:
    """What handing over `new` does on its node."""
    before = {member.service: member for member in old.members} if old else {}
    found = []
    for member in new.members:
        known = before.pop(member.service, None)
        if known is None:
            found.append(Change(new.node, member.service, "add", "not on this node yet"))
        elif change := _member_change(new.node, known, member):
            found.append(change)
    found.extend(Change(new.node, name, "remove", "not in the cluster file any more") for name in before)
    return tuple(found)


def _member_change(node: str, old: BundleMember, new: BundleMember) -> Change | None:
    if old == new:
        return None
    reason = _reason(old, new)
    if old.restart_digest != new.restart_digest:
        return Change(node, new.service, "restart", reason)
    if old.reload_digest != new.reload_digest:
        return Change(node, new.service, "reload", reason)
    return Change(node, new.service, "adjust", reason)


def _reason(old: BundleMember, new: BundleMember) -> str:
    before = {file.path: file.digest for file in old.files}
    after = {file.path: file.digest for file in new.files}
    paths = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if paths:
        return ", ".join(paths)
    for name in ("programs", "prepare", "setup", "needs", "probes"):
        if getattr(old, name) != getattr(new, name):
            return f"its {name} changed"
    if old.restart_digest == new.restart_digest and old.reload_digest != new.reload_digest:
        return "new code of its guard"
    return "its description changed"


def waves(old: Mapping[str, Bundle | None], new: Mapping[str, Bundle]) -> tuple[tuple[str, ...], ...]:
    """Nodes to hand over to, wave by wave; a wave begins when the one before is well.

    New nodes go together and first: nothing of theirs serves anyone yet. Nodes on which nothing restarts go
    together too. Nodes with restarts go one at a time, in plan order, so that no service loses two members at once.
    """
    fresh = tuple(node for node in new if old.get(node) is None)
    known = [node for node in new if old.get(node) is not None and old[node] != new[node]]
    gentle = tuple(
        node for node in known if old[node] != unreadable() and not _disturbing(changes(old[node], new[node]))
    )
    rolling = tuple((node,) for node in known if node not in gentle)
    return tuple(wave for wave in (fresh, gentle, *rolling) if wave)


def disturbed(old: Bundle | None, new: Bundle) -> frozenset[str]:
    """Services that lose a member for a moment when the node takes `new`."""
    return frozenset(item.service for item in changes(old, new) if item.kind in ("restart", "reload", "remove"))


def _disturbing(found: tuple[Change, ...]) -> bool:
    return any(change.kind in ("restart", "reload", "remove") for change in found)
