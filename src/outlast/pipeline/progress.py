"""What a long verb tells while it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from outlast.observe.collect import Answer


class Progress(Protocol):
    """Told by verbs, shown by the CLI."""

    def phase(self, name: str) -> None:
        """A new phase begins; the one before is done."""

    def say(self, sentence: str) -> None:
        """One line about the present phase."""

    def nodes(self, answers: Mapping[str, Answer]) -> None:
        """What the nodes say just now."""


class Silent:
    """Shows nothing."""

    def phase(self, name: str) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass

    def nodes(self, answers: Mapping[str, Answer]) -> None:
        pass
