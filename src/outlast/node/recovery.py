"""Recovery rules: members whose start is more than a start. The rule is pure and lives with its service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from outlast.node.view import Direction, MemberView
from outlast.spec.bundle import Bundle
from outlast.spec.snapshot import GaleraFact


class Memo(Protocol):
    """What a recovery may use of its agent."""

    def started(self, view: MemberView) -> None: ...

    def remember_view(self, members: tuple[str, ...], number: int) -> None: ...


class Recovery(Protocol):
    """Eyes and hands of one recovery rule."""

    def direction(self, view: MemberView) -> Direction | None:
        """What the rule says now, None when it has nothing to say; never blocks."""

    def fact(self) -> GaleraFact:
        """What this node tells its peers."""

    async def act(self, kind: str, view: MemberView) -> None:
        """Does what the direction of that kind asked for. Raises on failure; the agent backs off and asks again."""


def recoveries(bundle: Bundle, memo: Memo) -> Mapping[str, Recovery]:
    """Recoveries by the `start` word of the members that need them."""
    member = next((member for member in bundle.members if member.start == "galera"), None)
    if member is None:
        return {}
    from outlast.node.galera import GaleraRecovery

    return {"galera": GaleraRecovery(bundle, member, memo)}
