"""What every way to break something has in common.

A record is JSON data made *before* anything is done: with it, and nothing else, the fault can be taken back by another
process, after a crash, and after a power cycle of the node.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from outlast.drill.faults.hands import Hands
from outlast.errors import InputError
from outlast.spec.file import Scalar

Option = Scalar | tuple[tuple[str, ...], ...]
Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be broken, and where. id: small letters, digits, hyphens; unique among the faults of a lab.

    options: with hyphens or underscores, as the writer likes.
    """

    id: str
    verb: str
    nodes: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?", self.id):
            raise InputError("drill.fault-id", f"{self.id!r} cannot name a fault")
        if not self.nodes:
            raise InputError("drill.target", f"nothing to {self.verb}: no node")
        object.__setattr__(self, "options", {key.replace("_", "-"): value for key, value in self.options.items()})

    def text(self, name: str, default: str = "") -> str:
        return str(self.options.get(name, default))

    def number(self, name: str, default: float) -> float:
        value = self.options.get(name, default)
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise InputError("drill.option", f"{name} of {self.verb} must be a number, not {value!r}") from None

    def flag(self, name: str) -> bool:
        return self.options.get(name, False) in (True, "true", "yes", 1)


class Verb(Protocol):
    """One way to break something. `options`: name -> what it means, in words."""

    options: Mapping[str, str]

    def prepare(self, hands: Hands, order: Order) -> Record:
        """What will be done, as data; nothing is changed. Raises InputError drill.option, drill.program."""
        ...

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        """Do it. Some take as long as their effect lasts; those end early when `stop` is set."""
        ...

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """Whether it can be seen by now. Asked every few milliseconds, beginning before `inject` returns."""
        ...

    def undo(self, hands: Hands, record: Record) -> None:
        """Take it back; changes nothing where it was never done, is over, or was taken back before."""
        ...


def nodes_of(record: Record) -> list[str]:
    return [str(node) for node in record["nodes"]]


def networks_of(hands: Hands, order: Order, default: str) -> list[str]:
    """Interfaces of the networks named in `network` ("management", "management,tunnel", "all"), each once.

    Raises InputError drill.option for a network that the plan does not have.
    """
    known = hands.plan.networks
    wanted = [word.strip() for word in order.text("network", default).split(",")]
    if wanted == ["all"]:
        wanted = list(known)
    for name in wanted:
        if name not in known:
            raise InputError("drill.option", f"no network {name}; there are {', '.join(known)}, all")
    return list(dict.fromkeys(known[name].interface for name in wanted))
