"""The recovery rule in random worlds: members die and return while each decides on what it saw some time ago.

The model of Galera is small and unkind: a primary view goes on while a majority of it lives; writes reach the disks
of a view's members unevenly, and are acknowledged when one member (the writer) has them. Members that live on have
received what was acknowledged and apply it before they note the next view; notes of views may be torn at a power cut.
Nodes without power hear and say nothing; an operator gives some of them up, and may reach only a part of the others.
Nothing of the rule is repeated in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.services.galera import recovery
from outlast.services.galera.recovery import GaleraView, MemberFact, next_step

U = "6f75746c-6173-7443-a5e1-000000000099"


@dataclass
class Node:
    state: str = "down"
    seqno: int = 1
    note: tuple[str, ...] | None = None
    known: bool = False
    since: int = 0
    number: int = 0


@dataclass
class World:
    """Time goes in seconds, one per event. `seen[a][b]` is what a last heard of b, with the time."""

    size: int
    policy: str = "safe"
    time: int = 1000
    acknowledged: int = 1
    view: tuple[str, ...] = ()
    permit: bool = True
    holder: str = ""
    bootstraps: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, dict[str, tuple[int, MemberFact]]] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)
    given: dict[str, tuple[frozenset[str], int, int]] = field(default_factory=dict)
    accepted: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.nodes = {f"c{number}": Node() for number in range(1, self.size + 1)}
        self.seen = {name: {} for name in self.nodes}

    def fact(self, name: str) -> MemberFact:
        node = self.nodes[name]
        position = (U, node.seqno) if node.known or node.note is None else None
        given, seconds = self.given_up(name)
        return MemberFact(
            True, node.state, node.note is not None, position, node.note, given_up=given, given_seconds=seconds
        )

    def given_up(self, name: str) -> tuple[tuple[str, ...], float]:
        """The note as it still counts: who was in a later view is back. With the seconds since it was told."""
        names, number, at = self.given.get(name, (frozenset(), 0, 0))
        node = self.nodes[name]
        left = names if node.number == number else names - set(node.note or ())
        return tuple(sorted(left)), float(self.time - at) if left else 0.0

    def give_up(self, luck: int, hidden: str) -> None:
        """Those that are off, or that only the operator cannot reach; none was in a view of such ones alone."""
        hides = luck & 8 and self.nodes[hidden].state == "down"
        lost = frozenset({*self.off, *([hidden] if hides else [])})
        rest = [name for name in self.nodes if name not in lost]
        already = {one for name in rest for one in self.given_up(name)[0]}
        alone = any(set(self.nodes[name].note or ()) <= lost for name in lost)
        if self.view or not lost or alone or already - lost or 2 * len(rest) <= self.size:
            return
        for place, name in enumerate(rest):
            if luck >> place & 1 and set(self.given_up(name)[0]) < lost:
                self.given[name] = (lost, self.nodes[name].number, self.time)

    def set_state(self, name: str, state: str) -> None:
        node = self.nodes[name]
        if node.state != state:
            node.state, node.since = state, self.time
            node.known = state == "non-primary"

    def install(self, members: tuple[str, ...], torn: str = "") -> None:
        """A new primary view; `torn` dies before it could note it."""
        self.view = members
        if len(members) == self.size:
            self.holder = ""
        number = next(self.numbers)
        for name in members:
            if name != torn:
                self.nodes[name].seqno = self.acknowledged
            self.set_state(name, "primary")
            if name != torn:
                self.nodes[name].note, self.nodes[name].number = members, number
        if torn in members:
            self.die((torn,))

    def die(self, names: tuple[str, ...]) -> None:
        was = self.view
        for name in names:
            self.set_state(name, "down")
        left = tuple(name for name in was if self.nodes[name].state == "primary")
        if len(left) == len(was):
            return
        if 2 * len(left) > len(was):
            self.install(left)
            return
        self.view = ()
        for name in left:
            self.nodes[name].seqno = self.acknowledged
            self.set_state(name, "non-primary")

    def leave(self, name: str) -> None:
        """A clean stop: the rest goes on, whatever its number."""
        rest = tuple(one for one in self.view if one != name)
        if name not in self.view:
            return
        self.set_state(name, "down")
        self.view = ()
        if rest:
            self.install(rest)

    def write(self, luck: int) -> None:
        """Acknowledged by the writer; each other member may or may not have it on its disk yet."""
        if not self.view:
            return
        writer = self.view[luck % len(self.view)]
        self.acknowledged += 1
        for place, name in enumerate(self.view):
            if name == writer or luck >> place & 1:
                self.nodes[name].seqno = self.acknowledged

    def hear(self, name: str, other: str) -> None:
        if {name, other} & self.off:
            return
        self.seen[name][other] = (self.time, self.fact(other))
        names, number, _ = self.given.get(name, (frozenset(), 0, 0))
        if other in self.given_up(name)[0] and self.nodes[other].state != "down":
            self.given[name] = (names, number, self.time)

    def decide(self, name: str) -> None:
        if name in self.off:
            return
        facts = {other: replace(fact, age=float(self.time - at)) for other, (at, fact) in self.seen[name].items()}
        facts[name] = self.fact(name)
        node = self.nodes[name]
        permit = "first" if self.permit and name == "c1" else ""
        if self.policy == "majority" and not permit:
            # An agent that has just been started does not know whether it holds the permit.
            permit = "recovery" if self.holder == name else recovery.UNREAD
        seconds = float(self.time - node.since)
        view = GaleraView(name, tuple(self.nodes), facts, node.state != "down", permit, self.policy, seconds)
        self.act(name, next_step(view).kind)

    def act(self, name: str, kind: str) -> None:
        if kind in ("bootstrap", "pc-bootstrap"):
            assert not self.view, f"{name} makes a second primary component beside {self.view}"
            if self.policy == "majority" and not self.permit:
                assert self.holder == name, f"{name} goes first without the permit"
            if self.given_up(name)[0] or self.policy == "majority":
                self.accepted += 1
                self.acknowledged = min(self.acknowledged, self.nodes[name].seqno)
            assert self.nodes[name].seqno >= self.acknowledged, f"{name} would lose what was acknowledged"
            self.permit = False
            self.bootstraps += 1
            self.install((name,))
        elif kind == "ask-permit":
            self.holder = self.holder or name
        elif kind == "return-permit":
            self.holder = "" if self.holder == name else self.holder
        elif kind in ("start", "restart"):
            self.set_state(name, "joining")
        elif kind == "recover-position":
            self.set_state(name, "down")
            self.nodes[name].known = True

    def join(self, name: str) -> None:
        if name not in self.off and self.view and self.nodes[name].state in ("joining", "non-primary"):
            self.install(tuple(one for one in self.nodes if one in self.view or one == name))

    def heal(self) -> None:
        """Running members find each other again: Galera itself restores what holds a majority of the last view."""
        loose = tuple(name for name, node in self.nodes.items() if node.state == "non-primary")
        for name in loose:
            note = self.nodes[name].note or ()
            together = tuple(one for one in loose if one in note)
            if not self.view and 2 * len(together) > len(note):
                self.install(together)


KINDS = (
    *("hear", "decide", "look", "look", "look", "write", "write", "die", "die", "power"),
    *("leave", "join", "join", "torn", "heal", "time", "time", "settle"),
    *("away", "return", "give-up", "settle"),
)


def play(seed: int, events: int, policy: str = "safe") -> World:
    """A world after so many random events, from a seed: hypothesis alone prefers worlds in which little happens."""
    dice = random.Random(seed)
    world = World(dice.randint(1, 5), policy)
    kinds = KINDS if policy == "safe" else tuple(kind for kind in KINDS if kind != "give-up")
    for _ in range(events):
        kind = dice.choice(kinds)
        one = dice.choice((1, 1, 2, 3, 8, 40)) if kind == "time" else dice.randint(0, 31)
        happen(world, (kind, one, dice.randint(0, 4)))
    return world


RACE = ("hear", "hear", "hear", "decide", "decide", "decide", "return", "give-up", "time", "settle", "join")


def race(seed: int) -> World:
    """One is given up about when it returns: all lose power, not from the same view, and who hears whom is chance."""
    dice = random.Random(seed)
    world = World(dice.choice((3, 3, 5)))
    names = tuple(world.nodes)
    world.install(names)
    for name in dice.sample(names, dice.randint(0, len(names) // 2)):
        world.leave(name)
        world.write(dice.randint(0, 31))
    world.die(names)
    world.time += 10
    for name in names:
        world.nodes[name].known = True
    for name in dice.sample(names, dice.randint(1, len(names) // 2)):
        away(world, name)
    for _ in range(60):
        happen(world, (dice.choice(RACE), dice.randint(0, 15), dice.randint(0, 4)))
    return world


def happen(world: World, event: tuple[str, int, int]) -> None:
    kind, one, two = event
    names = tuple(world.nodes)
    first, second = names[one % len(names)], names[two % len(names)]
    world.time += 1
    act: dict[str, Callable[[], None]] = {
        "hear": lambda: world.hear(first, second) if first != second else None,
        "decide": lambda: world.decide(first),
        "look": lambda: look(world, first, second),
        "write": lambda: world.write(one),
        "die": lambda: world.die((first,)),
        "power": lambda: world.die(names),
        "leave": lambda: world.leave(first),
        "join": lambda: world.join(first),
        "torn": lambda: torn(world, first, second),
        "heal": world.heal,
        "time": lambda: setattr(world, "time", world.time + one),
        "settle": lambda: settle(world),
        "away": lambda: away(world, first),
        "return": lambda: world.off.discard(first),
        "give-up": lambda: world.give_up(one, second),
    }
    act[kind]()


def away(world: World, name: str) -> None:
    world.die((name,))
    world.off.add(name)


def settle(world: World) -> None:
    """Everybody hears everybody, decides and joins."""
    for name in world.nodes:
        for other in world.nodes:
            if other != name:
                world.hear(name, other)
        world.time += 1
        world.decide(name)
        world.join(name)


def look(world: World, name: str, deaf_to: str) -> None:
    """Hears all but one, then decides."""
    for other in world.nodes:
        if other not in (name, deaf_to):
            world.hear(name, other)
    world.time += 1
    world.decide(name)


def torn(world: World, joiner: str, victim: str) -> None:
    """A member joins, and one dies before it could note the new view."""
    if world.view and world.nodes[joiner].state == "joining":
        members = tuple(name for name in world.nodes if name in world.view or name == joiner)
        world.install(members, torn=victim)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_never_two_and_nothing_acknowledged_is_lost(seed: int) -> None:
    play(seed, 200)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_never_two_where_a_majority_may_go_on(seed: int) -> None:
    play(seed, 200, "majority")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_when_all_return_a_cluster_by_majority_returns_too(seed: int) -> None:
    world = play(seed, 100, "majority")
    world.off.clear()
    for _ in range(12):
        world.time += 31
        settle(world)
    assert set(world.view) == set(world.nodes)


def test_one_that_comes_late_does_not_go_beside_the_one_with_the_permit() -> None:
    """c3 is ahead and hears both others, who do not hear it yet, just before one of them goes first by policy."""
    world = World(3, "majority", permit=False)
    world.install(("c1", "c2", "c3"))
    world.die(("c1", "c2", "c3"))
    world.nodes["c3"].seqno = 9
    for node in world.nodes.values():
        node.known, node.since = True, 0
    world.time += 100
    world.hear("c1", "c2")
    world.hear("c3", "c1")
    world.hear("c3", "c2")
    world.decide("c1")
    world.decide("c1")
    assert world.view == ("c1",)
    world.decide("c3")
    world.decide("c3")
    assert world.view == ("c1",)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32))
def test_never_two_when_one_that_is_given_up_returns(seed: int) -> None:
    race(seed)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_when_all_return_the_cluster_returns(seed: int) -> None:
    world = play(seed, 100)
    world.off.clear()
    operate(world)
    for _ in range(12):
        world.time += 31
        settle(world)
    assert set(world.view) == set(world.nodes)


def operate(world: World) -> None:
    """As docs/operating.md says: complete what only some were told; pause and remove notes that contradict."""
    lost = frozenset(one for name in world.nodes for one in world.given_up(name)[0])
    world.given.clear()
    rest = [name for name in world.nodes if name not in lost]
    if 2 * len(rest) > world.size:
        world.given = {name: (lost, world.nodes[name].number, world.time) for name in rest}


def test_the_model_can_fail() -> None:
    """Negative control: a rule that trusts only itself is caught."""
    world = World(3)
    world.install(("c1", "c2", "c3"))
    world.write(1)
    world.die(("c1", "c2", "c3"))
    try:
        world.act("c3", "bootstrap")
    except AssertionError:
        return
    raise AssertionError("the model let an old member bootstrap")


def _given_up_while_it_lives() -> World:
    """c3 is ahead and has just heard c2; only then the others, who do not hear c3, are told to do without it."""
    world = World(3)
    world.install(("c1", "c2", "c3"))
    world.leave("c1")
    world.die(("c2", "c3"))
    world.nodes["c3"].seqno = world.acknowledged = 2
    for node in world.nodes.values():
        node.known, node.since = True, 0
    world.time += 100
    world.hear("c3", "c2")
    world.time += 1
    world.give_up(luck=0b1011, hidden="c3")
    return world


def _others_act(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.time += 1
        for name, other in (("c1", "c2"), ("c2", "c1")):
            world.hear(name, other)
        world.decide("c1")
        world.decide("c2")


def test_one_that_lives_and_is_given_up_acts_on_what_it_knows_and_nobody_else_does() -> None:
    world = _given_up_while_it_lives()
    _others_act(world, 3)
    assert world.bootstraps == 0, "they wait for whoever may not know yet"
    world.decide("c3")
    assert world.view == ("c3",)


def test_when_its_knowledge_is_too_old_it_hears_that_it_is_given_up() -> None:
    world = _given_up_while_it_lives()
    _others_act(world, 12)
    assert world.bootstraps == 1 and world.accepted == 1
    world.hear("c3", "c2")
    world.decide("c3")
    assert world.bootstraps == 1


def test_without_the_time_there_would_be_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the two above."""
    monkeypatch.setattr(recovery, "AGREED", 0.0)
    world = _given_up_while_it_lives()
    _others_act(world, 3)
    with pytest.raises(AssertionError, match="second primary"):
        world.decide("c3")


def test_without_the_ban_there_would_be_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: c3 has heard c2, still down, just before c2 goes on."""
    monkeypatch.setattr(recovery, "_forbidden", lambda view, voters: ())
    world = _given_up_while_it_lives()
    _others_act(world, 9)
    world.hear("c3", "c2")
    _others_act(world, 2)
    with pytest.raises(AssertionError, match="second primary"):
        world.decide("c3")
