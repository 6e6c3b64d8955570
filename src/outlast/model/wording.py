"""Words of problems: found values, places in the file, and guesses what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from outlast.model.document import Path
from outlast.model.shape import listed

_LONGEST = 60


def dotted(path: Path) -> str:
    """nodes.c1.roles[0]"""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.removeprefix(".") or "the file"


def shown(value: object) -> str:
    """A found value as the operator would recognise it, cut when long."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def meant(word: str, choices: Collection[str], what: str) -> str:
    """A hint: the choice that the word was probably meant to be, else all choices."""
    close = difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{what}: {listed(sorted(choices))}" if choices else f"there are no {what}"


def names(items: Collection[str]) -> str:
    """c1, c2 and c3; cut when there are many."""
    ordered = list(items)
    if len(ordered) > 6:
        return f"{', '.join(ordered[:5])} and {len(ordered) - 5} more"
    if len(ordered) < 2:
        return "".join(ordered)
    return f"{', '.join(ordered[:-1])} and {ordered[-1]}"
