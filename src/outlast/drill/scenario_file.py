"""A scenario file's text → Scenario, or all its problems at once, each with its line; and back to text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from outlast.drill.fault_entry import read_fault
from outlast.drill.reading import Refusals, a_word, a_yes_no, in_range, known_keys, words
from outlast.drill.scenario import Fault, OptionValue, Scenario
from outlast.drill.vocabulary import BUDGETS, CLASSES, NEEDS
from outlast.errors import ClusterFileError, InputError, Problem
from outlast.model.document import Data, read_document
from outlast.model.loader import read_text
from outlast.model.wording import meant, shown

# Seconds, but for rate (requests per second): lowest and highest value that makes sense.
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "rate": (0.1, 1000),
    "warmup": (0, 600),
    "hold": (0, 3600),
    "recover": (1, 3600),
    "after": (0, 600),
}
_LISTS = ("covers", "suites", "workloads")
KEYS = ("drill", "title", "class", *_LISTS, "faults", *_NUMBERS, "undo", "waits", "budgets", "needs")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,60}")
_REFERENCE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")

# What the reader of the text says, in this file's codes and with hints for it.
_FORM = {
    "file.missing": "drill.file.missing",
    "file.unreadable": "drill.file.unreadable",
    "file.encoding": "drill.file.encoding",
    "file.yaml": "drill.file.yaml",
    "file.empty": "drill.file.empty",
    "yaml.anchor": "drill.file.anchor",
    "yaml.merge": "drill.file.merge",
    "yaml.tag": "drill.file.tag",
    "key.type": "drill.file.key-type",
    "key.duplicate": "drill.file.key-duplicate",
}
_HINTS = {
    "drill.file.missing": "`outlast drill list` names all scenarios that need no file",
    "drill.file.empty": "copy a scenario of src/outlast/drill/scenarios and change it",
}
# After these nothing else about the file can be judged.
_FATAL = frozenset(code for word, code in _FORM.items() if not word.startswith("key."))


class ScenarioFileError(InputError):
    """All problems of a scenario file at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("drill.file", "\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return self.message


def load_scenario(path: Path) -> Scenario:
    """The scenario of a file. Raises ScenarioFileError with all problems at once."""
    try:
        text = read_text(path)
    except ClusterFileError as error:
        raise ScenarioFileError([_translated(problem) for problem in error.problems]) from None
    return read(text, str(path))


def read(text: str, file_name: str = "") -> Scenario:
    """The scenario of a file's text. Raises ScenarioFileError with all problems at once."""
    document = read_document(text)
    found = Refusals([_translated(problem) for problem in document.problems])
    scenario = None
    if not any(problem.code in _FATAL for problem in found.problems):
        scenario = _scenario(document.data, found, text)
    if scenario is not None and not found.problems:
        return scenario
    placed = [replace(item, file=file_name, line=item.line or document.line(item.path)) for item in found.problems]
    raise ScenarioFileError(sorted(placed, key=lambda item: item.line))


def _translated(problem: Problem) -> Problem:
    code = _FORM.get(problem.code, problem.code)
    hint = _HINTS.get(code, problem.hint.replace("a cluster file", "a scenario file"))
    return replace(problem, code=code, hint=hint)


def _scenario(data: Data, found: Refusals, text: str) -> Scenario | None:
    if not isinstance(data, dict):
        hint = "it begins with lines such as `drill: my-drill` and `title: …`"
        found.add("drill.file.not-mapping", "the file is not a mapping of keys to values", hint, ())
        return None
    data = {key: value for key, value in data.items() if value is not None}  # an empty section is an absent one
    known_keys(data, KEYS, (), found)
    plain = Scenario(name="", title="", fault_class="", faults=())
    lists = {key: words(data.get(key), (key,), _REFERENCE if key == "covers" else _NAME, found) for key in _LISTS}
    numbers = {key: _number(data, key, getattr(plain, key), found) for key in _NUMBERS}
    faults = _faults(data, found)
    return Scenario(
        name=a_word(data, "drill", _NAME, found),
        title=_title(data, found),
        fault_class=_class(data, found),
        faults=faults,
        covers=lists["covers"],
        suites=lists["suites"],
        workloads=lists["workloads"],
        rate=numbers["rate"],
        warmup=numbers["warmup"],
        hold=numbers["hold"],
        recover=numbers["recover"],
        after=numbers["after"],
        undo=a_yes_no(data.get("undo", True), ("undo",), found),
        waits=_waits(data, faults, found),
        budgets={key: float(value) for key, value in _figures(data, "budgets", BUDGETS, 1e9, found).items()},
        needs={key: int(value) for key, value in _figures(data, "needs", NEEDS, 999, found).items()},
        text=text,
    )


def _number(data: Mapping[str, Data], key: str, default: float, found: Refusals) -> float:
    return in_range(data[key], *_NUMBERS[key], (key,), found) if key in data else default


def _title(data: Mapping[str, Data], found: Refusals) -> str:
    if "title" not in data:
        found.missing("title", "one line that says what happens", ())
    title = data.get("title", "x")
    if not isinstance(title, str) or not title.strip() or "\n" in title or len(title) > 120:
        found.add(
            "drill.file.type", f"title is {shown(title)}; expected one line of text", "120 letters at most", ("title",)
        )
        return ""
    return title


def _class(data: Mapping[str, Data], found: Refusals) -> str:
    if "class" not in data:
        found.missing("class", "row of the scorecard, such as node-power", ())
        return ""
    value = str(data["class"])
    if value not in CLASSES:
        hint = meant(value, CLASSES, "classes")
        found.add("drill.file.choice", f"class is {shown(data['class'])}; expected a fault class", hint, ("class",))
    return value


def _faults(data: Mapping[str, Data], found: Refusals) -> tuple[Fault, ...]:
    entries = data.get("faults")
    if entries is None:
        found.missing("faults", "a list such as [{verb: poweroff, target: vip-holder}]", ())
        return ()
    if not isinstance(entries, list) or not entries:
        hint = "each begins with `- verb:`; see docs/drills.md"
        found.add("drill.file.type", f"faults is {shown(entries)}; expected a list of faults", hint, ("faults",))
        return ()
    faults = [read_fault(entry, ("faults", at), found) for at, entry in enumerate(entries)]
    before = 0.0
    for at, fault in enumerate(faults):
        if fault.after < before or (at == 0 and fault.after):
            sentence = f"faults[{at}].after is {fault.after:g}; expected {'0' if not at else f'at least {before:g}'}"
            hint = "times count from the first fault, in the order of the list"
            found.add("drill.file.order", sentence, hint, ("faults", at, "after"))
        before = max(before, fault.after)
    return tuple(faults)


def _waits(data: Mapping[str, Data], faults: Sequence[Fault], found: Refusals) -> bool:
    wanted = a_yes_no(data.get("waits", False), ("waits",), found)
    if wanted and not any(fault.options.get("keep-off") for fault in faults):
        hint = "add keep-off: true to the fault whose nodes the cluster has to wait for"
        found.add("drill.file.waits", "waits is true, but no node is kept off", hint, ("waits",))
    return wanted


def _figures(
    data: Mapping[str, Data], key: str, known: Mapping[str, str], most: float, found: Refusals
) -> Mapping[str, float]:
    entries = data.get(key, {})
    if not isinstance(entries, dict):
        hint = f"such as {{{next(iter(known))}: 0}}"
        found.add("drill.file.type", f"{key} is {shown(entries)}; expected a mapping of numbers", hint, (key,))
        return {}
    known_keys(entries, tuple(known), (key,), found)
    return {name: in_range(value, 0, most, (key, name), found) for name, value in entries.items() if name in known}


def write(scenario: Scenario) -> str:
    """YAML that `read` turns into the same scenario; what has its default is left out."""
    plain = Scenario(name="", title="", fault_class="", faults=())
    lines = [
        f"drill: {_text(scenario.name)}",
        f"title: {_text(scenario.title)}",
        f"class: {_text(scenario.fault_class)}",
    ]
    lines += [f"{key}: {_flow(list(getattr(scenario, key)))}" for key in _LISTS if getattr(scenario, key)]
    lines.append("faults:")
    lines += [f"  - {_flow(_entry(fault))}" for fault in scenario.faults]
    lines += [
        f"{key}: {_flow(getattr(scenario, key))}"
        for key in (*_NUMBERS, "undo", "waits", "budgets", "needs")
        if getattr(scenario, key) != getattr(plain, key)
    ]
    return "\n".join(lines) + "\n"


def _entry(fault: Fault) -> Mapping[str, OptionValue]:
    after = {"after": fault.after} if fault.after else {}
    target = {} if "groups" in fault.options else {"target": fault.target}
    return {"verb": fault.verb, **target, **after, **fault.options}


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(inner) for inner in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(int(value)) if value == int(value) else repr(value)
    return _text(str(value))


def _text(value: str) -> str:
    # Plain where no reader of YAML can take it for anything else.
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9 ./()%+:_-]*[A-Za-z0-9)%]", value) and ": " not in value
    if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off"):
        return value
    return json.dumps(value, ensure_ascii=False)
