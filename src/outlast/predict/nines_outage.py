"""From verdicts to the distribution of an outage: what was measured, its resolution, and what was not seen yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import Protocol

from outlast.predict.failure_rates import Target
from outlast.record.verdict import Level, ServiceLoss, StreamLoss, Verdict

TARGETS: tuple[Target, ...] = ("api", "tenant")
INTERNAL = frozenset({"galera", "rabbitmq", "zookeeper", "memcached", "ovn"})
"""Services that clients of the API do not talk to themselves."""


class Chance(Protocol):
    """Where random numbers come from; `random.Random` is one."""

    def random(self) -> float: ...

    def gammavariate(self, alpha: float, beta: float) -> float: ...

    def expovariate(self, lambd: float) -> float: ...


@dataclass(frozen=True)
class Outage:
    """Seconds out, as measured: the truth lies up to `resolution` seconds higher."""

    seconds: float
    resolution: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one run says. outages has no entry for what the run did not measure.

    detect: seconds until somebody noticed, None if not seen; redundancy: seconds until every member was back.
    """

    scenario: str
    outages: Mapping[Target, Outage]
    detect: float | None = None
    redundancy: float | None = None

    def noticed_faster(self, share: float = 0.5) -> Sample:
        """The same run if it had been noticed in `share` of the time. What was never noticed stays as it is."""
        saved = 0.0 if self.detect is None else self.detect * (1 - share)
        return replace(
            self,
            outages={
                target: Outage(max(0.0, item.seconds - min(saved, item.seconds * (1 - share))), item.resolution)
                for target, item in self.outages.items()
            },
        )


def sample(verdict: Verdict, operator_seconds: float) -> Sample:
    """A run's outages. Where requests after the recovery still failed (L1 not held), that share of them fails until a
    person acts, `operator_seconds` later."""
    outages: dict[Target, Outage] = {}
    api = [_of_service(item) for item in verdict.services if item.service not in INTERNAL and item.n]
    if api:
        stays = _stays(verdict.levels) * operator_seconds
        outages["api"] = Outage(max(item.seconds for item in api) + stays, max(item.resolution for item in api))
    streams = [_of_stream(item, verdict.redundancy) for item in verdict.streams if item.sent]
    if streams:
        outages["tenant"] = Outage(max(item.seconds for item in streams), max(item.resolution for item in streams))
    return Sample(scenario=verdict.scenario, outages=outages, detect=verdict.detect, redundancy=verdict.redundancy)


def _of_service(loss: ServiceLoss) -> Outage:
    # Requests that failed one here and one there leave no second without a good answer; each counts for its slot.
    return Outage(max(loss.out, (loss.failed + loss.unknown) * loss.resolution), loss.resolution)


def _of_stream(loss: StreamLoss, window: float | None) -> Outage:
    if not loss.lost:
        return Outage(0.0, loss.gap)
    return Outage(max(loss.gap, loss.lost / loss.sent * (window or 0.0)), 0.0)


def _stays(levels: Sequence[Level]) -> float:
    works = next((item for item in levels if item.name == "L1"), None)
    if works is None or works.held is not False:
        return 0.0
    return works.failed / works.n if works.n else 1.0


@dataclass(frozen=True, kw_only=True)
class Law:
    """The distribution of one class's outage.

    A scenario of the class is chosen, all alike, then one of its runs; up to its resolution is added, evenly. With
    probability `beyond` the outage is longer than all that was seen: for n runs 1/(n+1), which is exact for any
    continuous distribution (the next of n+1 exchangeable values is the largest). How much longer is an assumption:
    Pareto with exponent 2 from the largest on, so half are longer than 1.4 times it, cut at `longest` seconds, when a
    person acts.
    """

    runs: tuple[tuple[Outage, ...], ...]
    beyond: float
    longest: float

    @cached_property
    def largest(self) -> float:
        return max(item.seconds + item.resolution for of_scenario in self.runs for item in of_scenario)

    @cached_property
    def mean(self) -> float:
        """Expected seconds of one outage."""
        middle = [[item.seconds + item.resolution / 2 for item in of_scenario] for of_scenario in self.runs]
        seen = sum(sum(of_scenario) / len(of_scenario) for of_scenario in middle) / len(middle)
        top = self.largest
        unseen = 2 * top - top * top / self.longest if 0 < top < self.longest else top
        return (1 - self.beyond) * seen + self.beyond * unseen

    def drawer(self, chance: Chance) -> Callable[[], float]:
        """A function that draws one outage at each call."""
        draw, runs, beyond, top = chance.random, self.runs, self.beyond, self.largest
        limit, scenarios = max(top, self.longest), len(self.runs)

        def one() -> float:
            if draw() < beyond:
                return min(limit, top / sqrt(1.0 - draw()))
            of_scenario = runs[int(draw() * scenarios)]
            found = of_scenario[int(draw() * len(of_scenario))] if len(of_scenario) > 1 else of_scenario[0]
            return found.seconds + draw() * found.resolution

        return one


def law(samples: Sequence[Sample], target: Target, longest: float) -> Law | None:
    """The distribution of what these runs measured, None if none measured this target."""
    by_scenario: dict[str, list[Outage]] = {}
    for item in samples:
        if target in item.outages:
            by_scenario.setdefault(item.scenario, []).append(item.outages[target])
    count = sum(len(found) for found in by_scenario.values())
    if not count:
        return None
    return Law(runs=tuple(tuple(found) for found in by_scenario.values()), beyond=1 / (count + 1), longest=longest)


def fixed(seconds: float) -> Law:
    """An outage whose length somebody says."""
    return Law(runs=((Outage(seconds, 0.0),),), beyond=0.0, longest=seconds)
