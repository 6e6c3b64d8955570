"""The recovery rule in random worlds: members die and return while each decides on what it saw some time ago.

The model of Galera is small and unkind: a primary view goes on while a majority of it lives; writes reach the disks
of a view's members unevenly, and are acknowledged when one member (the writer) has them. Members that live on have
received what was acknowledged and apply it before they note the next view; notes of views may be torn at a power cut.
Nothing of the rule is repeated in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.services.galera.recovery import GaleraView, MemberFact, next_step

U = "6f75746c-6173-7443-a5e1-000000000099"


@dataclass
class Node:
    state: str = "down"
    seqno: int = 1
    note: tuple[str, ...] | None = None
    known: bool = False
    since: int = 0


@dataclass
class World:
    """Time goes in seconds, one per event. `seen[a][b]` is what a last heard of b, with the time."""

    size: int
    policy: str = "safe"
    time: int = 1000
    acknowledged: int = 1
    view: tuple[str, ...] = ()
    permit: bool = True
    bootstraps: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, dict[str, tuple[int, MemberFact]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = {f"c{number}": Node() for number in range(1, self.size + 1)}
        self.seen = {name: {} for name in self.nodes}

    def fact(self, name: str) -> MemberFact:
        node = self.nodes[name]
        position = (U, node.seqno) if node.known or node.note is None else None
        return MemberFact(True, node.state, node.note is not None, position, node.note)

    def set_state(self, name: str, state: str) -> None:
        node = self.nodes[name]
        if node.state != state:
            node.state, node.since = state, self.time
            node.known = state == "non-primary"

    def install(self, members: tuple[str, ...], torn: str = "") -> None:
        """A new primary view; `torn` dies before it could note it."""
        self.view = members
        for name in members:
            if name != torn:
                self.nodes[name].seqno = self.acknowledged
            self.set_state(name, "primary")
            if name != torn:
                self.nodes[name].note = members
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
        self.seen[name][other] = (self.time, self.fact(other))

    def decide(self, name: str) -> None:
        facts = {other: replace(fact, age=float(self.time - at)) for other, (at, fact) in self.seen[name].items()}
        facts[name] = self.fact(name)
        node = self.nodes[name]
        permit = "first" if self.permit and name == "c1" else ""
        seconds = float(self.time - node.since)
        view = GaleraView(name, tuple(self.nodes), facts, node.state != "down", permit, self.policy, seconds)
        self.act(name, next_step(view).kind)

    def act(self, name: str, kind: str) -> None:
        if kind in ("bootstrap", "pc-bootstrap"):
            assert not self.view, f"{name} makes a second primary component beside {self.view}"
            assert self.nodes[name].seqno >= self.acknowledged, f"{name} would lose what was acknowledged"
            self.permit = False
            self.bootstraps += 1
            self.install((name,))
        elif kind in ("start", "restart"):
            self.set_state(name, "joining")
        elif kind == "recover-position":
            self.set_state(name, "down")
            self.nodes[name].known = True

    def join(self, name: str) -> None:
        if self.view and self.nodes[name].state in ("joining", "non-primary"):
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
)


def play(seed: int, events: int) -> World:
    """A world after so many random events, from a seed: hypothesis alone prefers worlds in which little happens."""
    dice = random.Random(seed)
    world = World(dice.randint(1, 5))
    for _ in range(events):
        kind = dice.choice(KINDS)
        one = dice.choice((1, 1, 2, 3, 8, 40)) if kind == "time" else dice.randint(0, 31)
        happen(world, (kind, one, dice.randint(0, 4)))
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
    }
    act[kind]()


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


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_when_all_return_the_cluster_returns(seed: int) -> None:
    world = play(seed, 100)
    for _ in range(12):
        world.time += 31
        settle(world)
    assert set(world.view) == set(world.nodes)


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
