"""A scenario: what is broken, what the clients do meanwhile, and the figures that must be held. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from outlast.spec.file import Scalar

# `groups` of a partition is the one option that is no scalar: lists of target descriptions.
OptionValue = Scalar | tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One step of a scenario.

    target: a description such as "vip-holder", not a node's name. after: seconds after the first fault.
    options: what the verb takes besides (`program`, `network`, `percent` …).
    """

    verb: str
    target: str
    after: float = 0.0
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One drill, as its file says it. All times are seconds.

    covers: numbers of requirements and of conformance cases. workloads: names of the instrument's workloads, empty for
    all that the cluster can take. rate: requests per second over all workloads. warmup: load before the first fault;
    hold: from the last fault to the undo; recover: longest wait for full redundancy after it; after: load once it is
    there (L1 is judged on these requests). undo False: the product must repair it alone, nothing is undone unless it
    fails to. waits True: nodes that are kept off know what nobody else may know; the cluster must wait for them and say
    so, then their power returns. budgets: figure -> limit. needs: what the cluster must have ("controllers",
    "computes"). text: the YAML that it came from.
    """

    name: str
    title: str
    fault_class: str
    faults: tuple[Fault, ...]
    covers: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    rate: float = 40.0
    warmup: float = 8.0
    hold: float = 15.0
    recover: float = 180.0
    after: float = 5.0
    undo: bool = True
    waits: bool = False
    budgets: Mapping[str, float] = field(default_factory=dict)
    needs: Mapping[str, int] = field(default_factory=dict)
    text: str = ""
