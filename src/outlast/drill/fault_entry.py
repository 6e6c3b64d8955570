"""One entry of a scenario's list of faults."""

from __future__ import annotations

import re
from collections.abc import Mapping

from outlast.drill.reading import Refusals, a_yes_no, in_range, name
from outlast.drill.scenario import Fault, OptionValue
from outlast.drill.vocabulary import TARGETS, VERBS, Option, Verb, is_target
from outlast.model.document import Data, Path
from outlast.model.shape import listed
from outlast.model.wording import dotted, meant, shown

_PROGRAM = re.compile(r"[a-z][a-z0-9-]{0,60}")
_PROGRAMS = re.compile(rf"{_PROGRAM.pattern}(, ?{_PROGRAM.pattern})*")
_LONGEST_WAIT = 3600.0


def read_fault(entry: Data, path: Path, found: Refusals) -> Fault:
    """The fault of an entry; what is wrong with it is added to `found`."""
    if not isinstance(entry, dict):
        hint = "such as {verb: poweroff, target: vip-holder}"
        found.add("drill.file.type", f"{dotted(path)} is {shown(entry)}; expected a mapping", hint, path)
        return Fault(verb="", target="")
    entry = {key: value for key, value in entry.items() if value is not None}
    verb = _verb(entry, path, found)
    options = _options(entry, verb, path, found) if verb else {}
    if verb == "partition":
        return _partition(entry, options, path, found)
    return Fault(verb=verb, target=_target(entry, path, found), after=_after(entry, path, found), options=options)


def _verb(entry: Mapping[str, Data], path: Path, found: Refusals) -> str:
    if "verb" not in entry:
        found.missing("verb", "what is done, such as kill", path)
        return ""
    verb = str(entry["verb"])
    if verb in VERBS:
        return verb
    sentence = f"{dotted((*path, 'verb'))} is {shown(entry['verb'])}; expected a verb"
    found.add("drill.file.verb", sentence, meant(verb, VERBS, "verbs"), (*path, "verb"))
    return ""


def _after(entry: Mapping[str, Data], path: Path, found: Refusals) -> float:
    return in_range(entry.get("after", 0), 0, _LONGEST_WAIT, (*path, "after"), found)


def _target(entry: Mapping[str, Data], path: Path, found: Refusals) -> str:
    if "target" not in entry:
        found.missing("target", "to whom it is done, such as vip-holder", path)
        return ""
    return _one_target(entry["target"], (*path, "target"), found)


def _one_target(value: Data, path: Path, found: Refusals, in_group: bool = False) -> str:
    if isinstance(value, str) and is_target(value, in_group):
        return value
    sentence = f"{dotted(path)} is {shown(value)}; expected a target"
    found.add("drill.file.target", sentence, meant(str(value), TARGETS, "targets"), path)
    return ""


def _options(entry: Mapping[str, Data], verb: str, path: Path, found: Refusals) -> dict[str, OptionValue]:
    form = VERBS[verb]
    for key, option in form.required.items():
        if key not in entry:
            found.add("drill.file.option-missing", f"{dotted(path)}: {verb} needs {key!r}", option.about, path)
    options: dict[str, OptionValue] = {}
    for key, value in entry.items():
        if key in form.options:
            options[key] = _option(form.options[key], value, (*path, key), found)
        elif key not in ("verb", "target", "after"):
            found.add("drill.file.option", f"{dotted(path)}: {verb} takes no {key!r}", _takes(key, form), (*path, key))
    return options


def _takes(key: str, form: Verb) -> str:
    choices = form.options
    return meant(key, ("after", *choices), "it takes") if choices else "it takes nothing but a target and `after`"


def _option(form: Option, value: Data, path: Path, found: Refusals) -> OptionValue:
    match form.kind:
        case "yes-no":
            return a_yes_no(value, path, found)
        case "number":
            return in_range(value, form.low, form.high, path, found)
        case "count":
            return _count(form, value, path, found)
        case "choice":
            return _choice(form, value, path, found)
        case "groups":
            return _groups(value, path, found)
        case "name":
            return name(value, path, _PROGRAMS if form.many else _PROGRAM, found)


def _count(form: Option, value: Data, path: Path, found: Refusals) -> int:
    number = in_range(value, form.low, form.high, path, found)
    if number != int(number):
        found.add("drill.file.type", f"{dotted(path)} is {value}; expected a whole number", "", path)
    return int(number)


def _choice(form: Option, value: Data, path: Path, found: Refusals) -> str:
    text = str(value)  # a way such as 500 looks like a number
    for word in [item.strip() for item in text.split(",")] if form.many else [text]:
        if word not in form.choices:
            sentence = f"{dotted(path)} is {shown(value)}; expected one of {listed(form.choices)}"
            found.add("drill.file.choice", sentence, meant(word, form.choices, "choices"), path)
    return text


def _groups(value: Data, path: Path, found: Refusals) -> tuple[tuple[str, ...], ...]:
    lists = value if isinstance(value, list) else []
    if len(lists) < 2 or not all(isinstance(group, list) and group for group in lists):
        sentence = f"{dotted(path)} is {shown(value)}; expected two or more lists of targets"
        found.add("drill.file.groups", sentence, "such as [[minority], [rest]]", path)
        return ()
    return tuple(
        tuple(_one_target(item, (*path, at, inner), found, in_group=True) for inner, item in enumerate(group))
        for at, group in enumerate(lists)
        if isinstance(group, list)
    )


def _partition(entry: Mapping[str, Data], options: dict[str, OptionValue], path: Path, found: Refusals) -> Fault:
    """A target against the rest, or sides by name; never both."""
    given = [key for key in ("target", "groups") if key in entry]
    if len(given) != 1:
        sentence = f"{dotted(path)}: a partition needs either `target` or `groups`; it has {listed(given) or 'none'}"
        found.add("drill.file.groups", sentence, "target: one cuts one node off", path)
    target = _target(entry, path, found) if given == ["target"] else "all"
    return Fault(verb="partition", target=target, after=_after(entry, path, found), options=options)
