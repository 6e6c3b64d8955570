"""Whom a fault is meant for: descriptions to node names, by what was true a moment before. Pure.

`outlast.drill.faults.facts` asks the nodes for what was true.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from outlast.drill.faults.networks import groups_of
from outlast.drill.faults.verb import Option
from outlast.errors import InputError

CLUSTERED = ("rabbitmq", "ovn-nb", "ovn-sb", "ovn-northd", "zookeeper", "gateway")
"""What `leader-of:` knows."""

_VIPS_IN_ORDER = ("external", "internal")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was true just before a fault. Node names in plan order; what nobody could say is "" or absent.

    holders: VIP name -> nodes whose kernel has its address. writer: node that the balancer sends database sessions to.
    leaders: name of CLUSTERED -> node. servers: name of a server (VM) -> node on which it runs. on: nodes with power.
    runs: node -> names of the programs that belong on it.
    """

    nodes: tuple[str, ...]
    controllers: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()
    on: frozenset[str] = frozenset()
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    writer: str = ""
    leaders: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def holding(self) -> frozenset[str]:
        """Nodes that hold any VIP."""
        return frozenset(node for nodes in self.holders.values() for node in nodes)


def resolve(description: str, facts: Facts, seed: int = 0, program: str = "") -> tuple[str, ...]:
    """Nodes that a description means, in plan order. The same facts and seed give the same nodes.

    node:<name> · vip-holder (of the external VIP, else the internal, else any) · vip-holder:<vip> · writer ·
    leader-of:<one of CLUSTERED> · one (a controller that is nothing special, if there is one) · other (a controller
    that holds no VIP and is not the writer, and leads nothing if there is one) · minority, majority (the controllers
    without that minority) · all (controllers) · computes · any-compute · compute-with:<server>.
    With `program` (names with commas) one, other and all mean nodes that run it. Only nodes with power are meant, but
    for node:<name>. Raises InputError drill.target for an unknown description, and where nobody fits it.
    """
    word, _, argument = description.partition(":")
    pick = (_WITH_ARGUMENT if argument else _WORDS).get(word)
    if pick is None:
        raise InputError("drill.target", f"{description!r} describes nobody; write one of {', '.join(DESCRIPTIONS)}")
    ask = _Question(facts, argument, seed, frozenset(name.strip() for name in program.split(",") if name.strip()))
    found = set(pick(ask))
    if not found:
        raise InputError("drill.target", f"nobody is {description!r} now: {_why(word, facts)}")
    return tuple(node for node in facts.nodes if node in found)


def resolve_options(options: Mapping[str, Option], facts: Facts, seed: int = 0) -> dict[str, Option]:
    """Descriptions within `groups` become nodes; a group may name nodes, describe them, or be "rest" (all others).

    Raises InputError drill.target.
    """
    if not options.get("groups"):
        return dict(options)
    groups = groups_of(options["groups"])
    named = [tuple(node for word in group if word != "rest" for node in _meant(word, facts, seed)) for group in groups]
    taken = {node for group in named for node in group}
    rest = tuple(node for node in facts.nodes if node not in taken)
    sides = tuple(side + (rest if "rest" in group else ()) for side, group in zip(named, groups, strict=True))
    return {**options, "groups": sides}


def _meant(word: str, facts: Facts, seed: int) -> tuple[str, ...]:
    return (word,) if word in facts.nodes else resolve(word, facts, seed)


@dataclass(frozen=True)
class _Question:
    facts: Facts
    argument: str
    seed: int
    programs: frozenset[str]

    @property
    def powered(self) -> list[str]:
        """Controllers with power."""
        return [node for node in self.facts.controllers if node in self.facts.on]

    @property
    def suited(self) -> list[str]:
        """Nodes that run the programs in question; controllers where there is no such question."""
        if not self.programs:
            return self.powered
        facts = self.facts
        return [node for node in facts.nodes if node in facts.on and self.programs <= facts.runs.get(node, frozenset())]

    @property
    def computes(self) -> list[str]:
        return [node for node in self.facts.computes if node in self.facts.on]

    def any_of(self, *choices: list[str]) -> list[str]:
        """One of the first list that is not empty."""
        nodes = next((one for one in choices if one), [])
        return [random.Random(self.seed).choice(nodes)] if nodes else []

    def parts(self) -> tuple[list[str], list[str]]:
        """A minority of all controllers, and the others, among those with power."""
        mixed = list(self.powered)
        random.Random(self.seed).shuffle(mixed)
        few = (len(self.facts.controllers) - 1) // 2
        return mixed[:few], mixed[few:]


Pick = Callable[[_Question], Iterable[str]]


def _holder(ask: _Question) -> Iterable[str]:
    holders = ask.facts.holders
    if ask.argument:
        return holders.get(ask.argument, ())
    return next((holders[name][:1] for name in (*_VIPS_IN_ORDER, *holders) if holders.get(name)), ())


def _one(ask: _Question) -> Iterable[str]:
    special = {*ask.facts.holding, ask.facts.writer, *ask.facts.leaders.values()}
    inner = [node for node in ask.suited if node in ask.facts.controllers]
    return ask.any_of([node for node in inner if node not in special], inner, ask.suited)


def _other(ask: _Question) -> Iterable[str]:
    plain = [node for node in ask.suited if node not in ask.facts.holding and node != ask.facts.writer]
    return ask.any_of([node for node in plain if node not in ask.facts.leaders.values()], plain)


def _named(found: Mapping[str, str], name: str) -> list[str]:
    return [found[name]] if found.get(name) else []


_WORDS: Mapping[str, Pick] = {
    "vip-holder": _holder,
    "writer": lambda ask: [ask.facts.writer] if ask.facts.writer else [],
    "one": _one,
    "other": _other,
    "minority": lambda ask: ask.parts()[0],
    "majority": lambda ask: ask.parts()[1],
    "all": lambda ask: ask.suited,
    "computes": lambda ask: ask.computes,
    "any-compute": lambda ask: ask.any_of(ask.computes),
}
_WITH_ARGUMENT: Mapping[str, Pick] = {
    "node": lambda ask: [ask.argument] if ask.argument in ask.facts.nodes else [],
    "vip-holder": _holder,
    "leader-of": lambda ask: _named(ask.facts.leaders, ask.argument),
    "compute-with": lambda ask: _named(ask.facts.servers, ask.argument),
}
DESCRIPTIONS = (
    "node:<name>",
    *_WORDS,
    "vip-holder:<vip>",
    f"leader-of:<{'|'.join(CLUSTERED)}>",
    "compute-with:<server>",
)


def _why(word: str, facts: Facts) -> str:
    powered = [node for node in facts.controllers if node in facts.on]
    known = {
        "node": f"there are {', '.join(facts.nodes)}",
        "vip-holder": f"VIPs with a holder: {', '.join(vip for vip, by in facts.holders.items() if by) or 'none'}",
        "leader-of": f"leaders are known of {', '.join(facts.leaders) or 'nothing'}",
        "compute-with": f"servers that run: {', '.join(facts.servers) or 'none'}",
        "writer": "no balancer says whom it sends database sessions to",
    }
    return known.get(word, f"controllers with power: {', '.join(powered) or 'none'}, writer {facts.writer!r}")
