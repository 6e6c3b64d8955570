"""Files a member needs on its node, before they are text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Text:
    """Literal content."""

    text: str


@dataclass(frozen=True)
class Ini:
    """Sections of key = value. A tuple value becomes a repeated key (oslo MultiOpt); None leaves the key out.

    `oslo` names the program family whose option list the keys are checked against (keystone, nova, …), or "".
    Section "" is written before any heading.
    """

    sections: Mapping[str, Mapping[str, Scalar | tuple[str, ...]]]
    oslo: str = ""
    separator: str = " = "


@dataclass(frozen=True)
class Template:
    """A Jinja2 template of the service's own `templates/` folder, rendered strictly (an undefined name is an error)."""

    service: str
    name: str
    variables: Mapping[str, object] = field(default_factory=dict)


Content = Text | Ini | Template


@dataclass(frozen=True)
class File:
    """One file on a node. Changing it restarts (or reloads) the programs of its member.

    `on_change`: "restart", "reload" (the member's reload command), or "none" (read at use).
    `once`: written only where absent: runtime state, such as rotated keys, that a rollout must never overwrite.
    """

    path: str
    content: Content
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    on_change: str = "restart"
    once: bool = False


@dataclass(frozen=True)
class Directory:
    """A directory made (with owner and mode) before each start of the member: under /run it goes with every boot."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
