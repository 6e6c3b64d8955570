"""`outlast nines`: run folders and a file of rates in, predictions out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import msgspec

from outlast.errors import InputError, Problem
from outlast.model.document import Data, Document, read_document
from outlast.model.wording import meant, shown
from outlast.plan.plan import Plan
from outlast.predict.failure_rates import DEFAULT_RATES, OPERATOR_HOURS, REPAIR_HOURS, Rate
from outlast.predict.nines import HOUR, Assumptions, Shape
from outlast.predict.nines_outage import Sample, sample
from outlast.predict.nines_report import Prediction, Question, predict
from outlast.record.run import HOME, RunFolder, RunRecord
from outlast.record.verdict import Verdict

YEARS = 20_000
SEED = 1
MAJORITIES = ("galera", "rabbitmq", "zookeeper", "ovn")
"""Services that stop without a majority."""
OPERATOR_WEIGHT = 16.0
"""Weight of a rate that the operator counted: spread 25 %."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What was found below a folder, by fault class. left_out: run -> why it does not count."""

    samples: Mapping[str, tuple[Sample, ...]]
    left_out: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Nines:
    """The verb's answer."""

    cluster: str
    profile: str
    controllers: int
    computes: int
    years: int
    seed: int
    repair_hours: float
    operator_hours: float
    runs: int
    predictions: tuple[Prediction, ...]
    left_out: Mapping[str, str]
    without_rate: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the operator asks for. profile "": the cluster's own; worst: seconds that unmeasured failures last."""

    rates: Path | None = None
    profile: str = ""
    years: int = YEARS
    seed: int = SEED
    worst: float | None = None
    drills: Path = field(default_factory=lambda: HOME)


def nines(plan: Plan, wish: Wish) -> Nines:
    """Predicts from the drills of this cluster. Raises InputError (nines.nothing-measured, nines.rates-file)."""
    given = replace(read_rates(wish.rates), worst=wish.worst)
    profile = wish.profile or plan.timing.name
    found = collect(wish.drills / plan.cluster, profile, given.operator_hours * HOUR)
    if not any(name in given.rates and any(run.outages for run in runs) for name, runs in found.samples.items()):
        raise InputError("nines.nothing-measured", _nothing(plan.cluster, profile, found, given))
    shape = shape_of(plan)
    question = Question(samples=found.samples, shape=shape, given=given, years=wish.years)
    return Nines(
        cluster=plan.cluster,
        profile=profile,
        controllers=shape.controllers,
        computes=shape.computes,
        years=wish.years,
        seed=wish.seed,
        repair_hours=given.repair_hours,
        operator_hours=given.operator_hours,
        runs=sum(len(runs) for runs in found.samples.values()),
        predictions=predict(question, lambda: Random(wish.seed)),
        left_out=found.left_out,
        without_rate=tuple(sorted(name for name in found.samples if name not in given.rates)),
    )


def _nothing(cluster: str, profile: str, found: Runs, given: Assumptions) -> str:
    if odd := sorted(name for name in found.samples if name not in given.rates):
        return f"the drills of {cluster} measured only classes without a rate ({', '.join(odd)}); give one with --rates"
    more = f" ({len(found.left_out)} runs do not count)" if found.left_out else ""
    return (
        f"no drill of {cluster} under profile {profile} has measured an outage yet{more}; "
        "run: outlast drill run --suite quick"
    )


def shape_of(plan: Plan) -> Shape:
    """Controllers are the members of the service whose majority breaks first; without such a service, the largest."""
    counts = [len(plan.members_of(service)) for service in MAJORITIES if plan.has(service)]
    others = [len(plan.members_of(service)) for service in plan.specs]
    return Shape(
        controllers=min(counts) if counts else max(others, default=0), computes=len(plan.members_of("nova-compute"))
    )


def collect(folder: Path, profile: str, operator_seconds: float) -> Runs:
    """Samples by fault class of the runs that count: judged, under this profile, with a clear verdict, and of the
    newest state (inputs) that their scenario was run on."""
    left_out: dict[str, str] = {}
    counting: list[tuple[RunRecord, Verdict]] = []
    for path in sorted(folder.glob("*/run.json")):
        try:
            record, verdict = RunFolder(path.parent).record(), RunFolder(path.parent).verdict()
        except (OSError, msgspec.DecodeError):
            left_out[path.parent.name] = "it cannot be read"
            continue
        if record.profile != profile:
            continue
        if verdict is None or verdict.result == "unknown":
            left_out[record.id] = "it was not judged" if verdict is None else "its verdict is unknown"
            continue
        counting.append((record, verdict))
    newest = _newest(record for record, _ in counting)
    samples: dict[str, tuple[Sample, ...]] = {}
    for record, verdict in counting:
        if record.inputs != newest[record.scenario].inputs:
            left_out[record.id] = "what it depends on has changed since"
            continue
        run = sample(verdict, operator_seconds)
        samples[record.fault_class] = (*samples.get(record.fault_class, ()), run)
    return Runs(samples=samples, left_out=left_out)


def _newest(records: Iterable[RunRecord]) -> Mapping[str, RunRecord]:
    found: dict[str, RunRecord] = {}
    for record in records:
        if record.scenario not in found or record.started > found[record.scenario].started:
            found[record.scenario] = record
    return found


def read_rates(path: Path | None) -> Assumptions:
    """The default rates with those of a file put over them. Raises InputError (nines.rates-file) with every problem.

    rates:                        # failures per member and year, as the default's members
      node-power: 0.2
      api-kill: {per-year: 1, weight: 4, source: our own tickets 2024-2026}
    repair-hours: 8               # until a broken part is replaced
    operator-hours: 0.5           # until a person acts
    """
    if path is None:
        return Assumptions(rates=DEFAULT_RATES)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("nines.rates-file", f"{path} cannot be read: {error}") from error
    document = read_document(text)
    given = _Rates(document).read() if not document.problems else None
    if given is None or document.problems:
        told = "\n".join(str(replace(problem, file=str(path))) for problem in document.problems)
        raise InputError("nines.rates-file", f"the rates cannot be used\n{told}")
    return given


class _Rates:
    """Reads the mapping of a rates file and notes every problem in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def read(self) -> Assumptions:
        top = self._mapping(self.document.data, (), ("rates", "repair-hours", "operator-hours"))
        rates = self._mapping(top.get("rates", {}), ("rates",), tuple(DEFAULT_RATES))
        return Assumptions(
            rates={**DEFAULT_RATES, **{name: self._rate(name, value) for name, value in rates.items()}},
            repair_hours=self._number(top.get("repair-hours", REPAIR_HOURS), ("repair-hours",), above=True),
            operator_hours=self._number(top.get("operator-hours", OPERATOR_HOURS), ("operator-hours",), above=True),
        )

    def _rate(self, name: str, value: Data) -> Rate:
        place = ("rates", name)
        if not isinstance(value, dict):
            value = {"per-year": value}
        said = self._mapping(value, place, ("per-year", "weight", "source"))
        if "per-year" not in said:
            self._refuse("per-year is missing", "say how often it fails in a year", place)
        return replace(
            DEFAULT_RATES[name],
            per_year=self._number(said.get("per-year", 0), (*place, "per-year")),
            weight=self._number(said.get("weight", OPERATOR_WEIGHT), (*place, "weight"), above=True),
            source=str(said.get("source", "the operator's rates file")),
        )

    def _mapping(self, value: Data, place: tuple[str, ...], keys: tuple[str, ...]) -> dict[str, Data]:
        """The known entries of a mapping; the others are refused."""
        if not isinstance(value, dict):
            self._refuse(f"{'.'.join(place) or 'the file'} is {shown(value)}", "write a mapping", place)
            return {}
        what = "fault classes" if place == ("rates",) else "keys"
        for key in value:
            if key not in keys:
                self._refuse(f"{key!r} is not one of the {what}", meant(key, keys, what), (*place, key))
        return {key: item for key, item in value.items() if key in keys}

    def _number(self, value: Data, place: tuple[str, ...], above: bool = False) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (above and not value):
            wanted = "a number above 0" if above else "a number, 0 or more"
            self._refuse(f"{'.'.join(place)} is {shown(value)}", f"give {wanted}", place)
            return 1.0
        return float(value)

    def _refuse(self, sentence: str, hint: str, place: tuple[str, ...]) -> None:
        line = self.document.line(place)
        self.document.problems.append(Problem("nines.rates-file", sentence, line=line, hint=hint))
