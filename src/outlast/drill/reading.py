"""Reading values of a scenario file one by one: each wrong one becomes a Problem, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from outlast.errors import Problem
from outlast.model.document import Data, Path
from outlast.model.wording import dotted, meant, shown


@dataclass
class Refusals:
    """What was wrong so far."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, code: str, sentence: str, hint: str, path: Path) -> None:
        self.problems.append(Problem(code, sentence, hint=hint, path=path))

    def missing(self, key: str, about: str, path: Path) -> None:
        self.add("drill.file.key-missing", f"{dotted((*path, key))} is missing", about, path)


def known_keys(data: Mapping[str, Data], known: Collection[str], path: Path, found: Refusals) -> None:
    """Refuse all other keys, with a guess what was meant."""
    for key in data:
        if key not in known:
            sentence = f"{dotted(path)} has no key {key!r}"
            found.add("drill.file.key-unknown", sentence, meant(key, known, "keys here"), (*path, key))


def a_word(data: Mapping[str, Data], key: str, form: re.Pattern[str], found: Refusals) -> str:
    """A required name."""
    if key not in data:
        found.missing(key, "a name such as my-drill", ())
        return ""
    return name(data[key], (key,), form, found)


def name(value: Data, path: Path, form: re.Pattern[str], found: Refusals) -> str:
    if isinstance(value, str) and form.fullmatch(value):
        return value
    hint = "small letters, digits and hyphens" if "A-Z" not in form.pattern else "letters, digits and hyphens"
    found.add("drill.file.name", f"{dotted(path)} is {shown(value)}; expected a name", hint, path)
    return ""


def words(value: Data, path: Path, form: re.Pattern[str], found: Refusals) -> tuple[str, ...]:
    """A list of names; absent is empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        hint = f"write it as a list: [{value}]" if isinstance(value, str) else "names between [ and ]"
        found.add("drill.file.type", f"{dotted(path)} is {shown(value)}; expected a list of names", hint, path)
        return ()
    return tuple(name(item, (*path, at), form, found) for at, item in enumerate(value))


def a_yes_no(value: Data, path: Path, found: Refusals) -> bool:
    if isinstance(value, bool):
        return value
    found.add("drill.file.type", f"{dotted(path)} is {shown(value)}; expected true or false", "", path)
    return False


def in_range(value: Data, low: float, high: float, path: Path, found: Refusals) -> float:
    """A number between the limits, both allowed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        found.add("drill.file.type", f"{dotted(path)} is {shown(value)}; expected a number", "", path)
        return low
    if not low <= value <= high:
        sentence = f"{dotted(path)} is {value}; expected a number from {low:g} to {high:g}"
        found.add("drill.file.range", sentence, "", path)
        return low
    return float(value)
