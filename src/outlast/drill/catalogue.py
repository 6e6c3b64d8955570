"""All scenarios: shipped ones, those that follow from the plan, the operator's own; and suites of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from outlast.drill.fitting import counted, fits_in
from outlast.drill.inventory import inventory
from outlast.drill.rows import generated
from outlast.drill.scenario import Fault, Scenario
from outlast.drill.scenario_file import load_scenario, read
from outlast.drill.vocabulary import CLASSES
from outlast.errors import InputError
from outlast.model.wording import meant
from outlast.plan.plan import Plan

ALL = "all"
_ENDINGS = (".yaml", ".yml")
_NOTHING: Mapping[str, Scenario] = {}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of `outlast drill list`. seconds: an estimate. fits: why this cluster cannot run it, "" when it can."""

    name: str
    title: str
    fault_class: str
    seconds: float
    needs: str
    suites: tuple[str, ...]
    fits: str


@cache
def shipped() -> Mapping[str, Scenario]:
    """Scenarios that come with Outlast, by name."""
    folder = resources.files("outlast.drill") / "scenarios"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(_ENDINGS)), key=lambda item: item.name)
    found = [read(item.read_text(encoding="utf-8"), item.name) for item in files]
    return {scenario.name: scenario for scenario in found}


def own(folder: Path) -> Mapping[str, Scenario]:
    """Scenarios of an operator's folder, by name; empty without such a folder. Raises ScenarioFileError."""
    files = sorted(path for path in folder.glob("*") if path.suffix in _ENDINGS) if folder.is_dir() else []
    return {scenario.name: scenario for scenario in map(load_scenario, files)}


def everything(plan: Plan, mine: Mapping[str, Scenario] = _NOTHING) -> tuple[Scenario, ...]:
    """All scenarios, one of a name (the operator's before shipped ones before generated ones), class by class."""
    found = {**{scenario.name: scenario for scenario in generated(plan)}, **shipped(), **mine}
    order = {name: place for place, name in enumerate(CLASSES)}
    return tuple(sorted(found.values(), key=lambda scenario: order[scenario.fault_class]))


def find(name_or_path: str, plan: Plan, mine: Mapping[str, Scenario] = _NOTHING) -> Scenario:
    """A scenario by its name, or by the path of its file. Raises InputError drill.unknown, ScenarioFileError."""
    if "/" in name_or_path or name_or_path.endswith(_ENDINGS):
        return load_scenario(Path(name_or_path))
    known = {scenario.name: scenario for scenario in everything(plan, mine)}
    if name_or_path not in known:
        hint = meant(name_or_path, known, "scenarios")
        raise InputError("drill.unknown", f"there is no scenario {name_or_path!r}: {hint}")
    return known[name_or_path]


def suites(plan: Plan, mine: Mapping[str, Scenario] = _NOTHING) -> tuple[str, ...]:
    """Names of all suites."""
    return tuple(dict.fromkeys([ALL, *(name for one in everything(plan, mine) for name in one.suites)]))


def suite(name: str, plan: Plan, mine: Mapping[str, Scenario] = _NOTHING) -> tuple[Scenario, ...]:
    """Scenarios of a suite in their order, also those that do not fit. Raises InputError drill.suite."""
    found = tuple(one for one in everything(plan, mine) if name in (ALL, *one.suites))
    if not found:
        raise InputError("drill.suite", f"there is no suite {name!r}: {meant(name, suites(plan, mine), 'suites')}")
    return found


def seconds(scenario: Scenario) -> float:
    """About how long a drill takes, in seconds: its load, its faults, and what its class needs to settle."""
    last = max(fault.after + _length(fault) for fault in scenario.faults)
    settle = min(CLASSES[scenario.fault_class].settle, scenario.recover)
    return scenario.warmup + last + scenario.hold + settle + scenario.after


def _length(fault: Fault) -> float:
    period, count = fault.options.get("period", 2), fault.options.get("count", 5)
    if fault.verb == "flap" and isinstance(period, int | float) and isinstance(count, int | float):
        return float(period * count)
    return 300.0 if fault.verb == "restart" and "program" not in fault.options else 0.0


def describe_rows(plan: Plan, mine: Mapping[str, Scenario] = _NOTHING) -> tuple[Row, ...]:
    """All scenarios as `outlast drill list` shows them."""
    there = inventory(plan)
    return tuple(
        Row(
            name=one.name,
            title=one.title,
            fault_class=one.fault_class,
            seconds=seconds(one),
            needs=_needs(one.needs),
            suites=one.suites,
            fits=fits_in(one, plan, there),
        )
        for one in everything(plan, mine)
    )


def _needs(needs: Mapping[str, int]) -> str:
    return ", ".join(counted(number, what) for what, number in needs.items())
