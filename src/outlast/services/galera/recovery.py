"""The recovery rule of Galera: what a node does with its own database, from what is known of all members. Pure.

Why a bootstrap is safe
    Every member notes each primary view durably (galera-notify) after all that came before it is applied, and before
    it commits anything in it. A primary view always holds a member of the one before it. So when all members of a
    noted view V say that V is the last view they were in, V is the last one in which anything was acknowledged, and
    that is on one of its members. The most advanced of them (on a tie: the first in member order) bootstraps. The
    answer depends only on what lies on the disks of V's members, so every node that knows enough names the same one.
    Where the notes do not agree (power went in the middle of a change of view), all configured members must report.
    It rests on this too: a member that just joined takes no writes before the others have noted its coming; the state
    transfer that it needs first takes a second or more, a note milliseconds.

Why there are never two
    What is known of others counts only when it was read after this node entered its present state: nothing learned
    before an outage is used after it. And nobody acts while running members outside the winner could still form a
    majority of the last view by themselves, as Galera does when a network comes back.

The policy "majority" gives up the first argument; then only a permit (held by one node at a time) allows a bootstrap
after a total loss, also where all have reported: one that comes late could otherwise follow the first argument while
another, who did not hear it yet, follows the policy. Who holds the permit and sees all members, and is not the one to
go first, gives it back.

What the operator gives up (`outlast recover --accept-loss`)
    A note on every other member names those that count no more until they are in a primary view again. They are not
    waited for, and their positions do not count. All others, a majority, must be there and tell the same note for
    AGREED seconds: longer than anybody believes an older word of theirs. Whoever is given up bootstraps nothing while
    one whom it needs for that tells so, and whom it needs it has heard in the last FRESH seconds: so there are never
    two. What it rests on: one whose last view held nobody but members that are given up needs nobody, and knows of
    the note only if it hears one of the others. The operator answers for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_UUID = "00000000-0000-0000-0000-000000000000"
NONE, START, BOOTSTRAP, PC_BOOTSTRAP = "none", "start", "bootstrap", "pc-bootstrap"
RECOVER, WAIT, RESTART, ASK = "recover-position", "wait", "restart", "ask-permit"
RENEW, RETURN = "renew", "return-permit"

UNREAD = "unread"
"""Of a permit: it may lie in this node's name from a former run of its agent."""

UNREADABLE = 3
"""Times in a row that data could not be read before they count as damaged. A restart cures what passes by itself."""

FRESH = 5.0
"""Seconds after which what a peer said is no longer known."""
HEAL = 5.0
"""Seconds that running members get to find each other again by themselves before one of them is made primary."""
STUCK = 30.0
"""Seconds after which a member without a primary component, though all others are known, is stopped."""

AGREED = 2 * FRESH
"""Seconds for which all others must have told that a member is given up, before they go on without it."""

Position = tuple[str, int]


@dataclass(frozen=True)
class MemberFact:
    """What is known of one member.

    state       "primary", "non-primary" (serves no queries), "joining" (not yet a member), "down", "unknown"
    has_data    it was in a primary view at least once (a freshly seeded member was not)
    position    (history uuid, seqno); uuid NO_UUID: its data are of no use (a state transfer was cut short);
                None: not yet read
    last_view   names of the last primary view it noted, None without a note; view_number is for people only
    age         seconds since this was true
    unreadable  times in a row that its data could not be read, and why
    given_up    members that it was told to do without, and for how many seconds it has said so (none of them running)
    """

    reachable: bool = False
    state: str = "unknown"
    has_data: bool = False
    position: Position | None = None
    last_view: tuple[str, ...] | None = None
    view_number: int = -1
    age: float = 0.0
    unreadable: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    given_seconds: float = 0.0


@dataclass(frozen=True)
class GaleraView:
    """All that one node's decision rests on.

    permit   "first": the single-use permit of `up`; "recovery": this node alone may bootstrap now, by agreement
             through ZooKeeper (needed under the policy "majority" only); UNREAD; "": none
    seconds  how long this node's own member has been in its present state
    """

    node: str
    members: tuple[str, ...]
    facts: Mapping[str, MemberFact] = field(default_factory=dict)
    running: bool = False
    permit: str = ""
    policy: str = "safe"
    seconds: float = 0.0

    @property
    def own(self) -> MemberFact:
        return self.facts.get(self.node, MemberFact())

    def known(self, name: str) -> MemberFact | None:
        """What is known of a member and still counts."""
        fact = self.facts.get(name)
        if name == self.node or fact is None:
            return fact
        fresh = fact.age <= FRESH and fact.age < self.seconds
        return fact if fact.reachable and fresh and fact.state != "unknown" else None

    def unknown(self) -> tuple[str, ...]:
        return tuple(name for name in self.members if self.known(name) is None)

    def given_up_by(self) -> dict[str, tuple[str, ...]]:
        """Other members that were told to do without this one, and without whom else."""
        known = ((name, self.known(name)) for name in self.members if name != self.node)
        return {name: fact.given_up for name, fact in known if fact is not None and self.node in fact.given_up}

    def in_state(self, state: str) -> tuple[str, ...]:
        """Other members known to be in a state."""
        found = ((name, self.known(name)) for name in self.members if name != self.node)
        return tuple(name for name, fact in found if fact is not None and fact.state == state)


@dataclass(frozen=True)
class GaleraStep:
    """What to do: `kind` with a code and a sentence for the events.

    recover-position  stop the member if it runs, then read its position (mariadbd --wsrep-recover)
    renew             start without own data: they cannot be read, and a primary component has them all
    start             plain start: join.  bootstrap: start as the first of a new primary component
    pc-bootstrap      make the running member the first of a new primary component, without a restart
    ask-permit        try to get the recovery permit; nothing else until it is there
    return-permit     give it back, if it is this node's
    """

    kind: str
    code: str
    sentence: str


def next_step(view: GaleraView) -> GaleraStep:
    """The one thing to do now."""
    if view.own.state == "primary":
        return GaleraStep(NONE, "galera.primary", "in the primary component")
    primaries = view.in_state("primary")
    if primaries:
        return _join(view, primaries)
    if view.running and view.own.state != "non-primary":
        return _joining_nobody(view)
    if not view.running and view.own.has_data and view.own.position is None:
        return GaleraStep(RECOVER, "galera.position", "no primary component known; reading how far the own data go")
    if not any(fact.has_data for fact in view.facts.values()):
        return _first(view)
    return _after_total_loss(view)


def _join(view: GaleraView, primaries: tuple[str, ...]) -> GaleraStep:
    if not view.running and len(view.own.unreadable) >= UNREADABLE:
        sentence = f"its own data cannot be read ({view.own.unreadable[-1]}); taking all from {', '.join(primaries)}"
        return GaleraStep(RENEW, "galera.renew", sentence)
    if not view.running:
        return GaleraStep(START, "galera.join", f"joining the primary component of {', '.join(primaries)}")
    if view.own.state == "non-primary" and view.seconds > STUCK:
        sentence = f"outside the primary component of {', '.join(primaries)} for {view.seconds:.0f} s; starting anew"
        return GaleraStep(RESTART, "galera.rejoin", sentence)
    return GaleraStep(WAIT, "galera.joining", f"joining {', '.join(primaries)}")


def _joining_nobody(view: GaleraView) -> GaleraStep:
    unknown = view.unknown()
    if unknown:
        return GaleraStep(
            WAIT, "galera.peers-unknown", f"started, no primary component seen; no word from {_list(unknown)}"
        )
    if view.seconds <= STUCK:
        return GaleraStep(WAIT, "galera.no-primary", "started, and no primary component yet")
    sentence = f"no member is in a primary component for {view.seconds:.0f} s; stopping to compare positions"
    return GaleraStep(RECOVER, "galera.give-up-joining", sentence)


def _first(view: GaleraView) -> GaleraStep:
    founder = view.members[0]
    if view.node != founder:
        return GaleraStep(WAIT, "galera.wait-founder", f"nobody has data yet; {founder} founds the database")
    if view.permit != "first":
        return GaleraStep(
            WAIT, "galera.no-permit", "nobody has data and there is no permit to found a database: run `up`"
        )
    unknown = view.unknown()
    if unknown:
        sentence = f"has the permit, but {_list(unknown)} must first say that there are no data"
        return GaleraStep(WAIT, "galera.first-unknown", sentence)
    return GaleraStep(BOOTSTRAP, "galera.first", "founds the database with the single-use permit; no member has data")


def _after_total_loss(view: GaleraView) -> GaleraStep:
    voters = _voters(view)
    if isinstance(voters, GaleraStep):
        return voters
    winner = _winner(view, voters)
    if isinstance(winner, GaleraStep):
        return winner
    name, seqno, reason = winner
    others_running = [one for one in voters if one != name and _fact(view, one).state == "non-primary"]
    if 2 * len(others_running) > len(voters):
        return _let_heal(view, name)
    if name != view.node:
        return _not_first(view, name, seqno)
    if tellers := _forbidden(view, voters):
        sentence = f"{_list(tellers)} told to go on without this node; it joins as soon as one of them is primary"
        return GaleraStep(WAIT, "galera.given-up", sentence)
    if view.running and view.seconds <= HEAL:
        return GaleraStep(WAIT, "galera.may-heal", "lost the primary component; it may come back by itself")
    if view.policy == "majority" and view.permit != "recovery":
        sentence = f"most advanced with seqno {seqno}; by policy it goes first once it holds the permit"
        return GaleraStep(ASK, "galera.ask-permit", sentence)
    if not view.running:
        return GaleraStep(BOOTSTRAP, "galera.most-advanced", f"most advanced with seqno {seqno}; {reason}")
    return GaleraStep(PC_BOOTSTRAP, "galera.pc-bootstrap", f"runs and is most advanced with seqno {seqno}; {reason}")


def _not_first(view: GaleraView, winner: str, seqno: int) -> GaleraStep:
    """Waits; in the hands of one that waits the permit would keep everybody waiting."""
    all_seen = all(_reported(view.known(name)) for name in view.members)
    if view.policy == "majority" and view.permit in ("recovery", UNREAD) and all_seen:
        return GaleraStep(RETURN, "galera.return-permit", f"{winner} goes first (seqno {seqno}) and needs the permit")
    return GaleraStep(WAIT, "galera.wait-winner", f"{winner} is the most advanced (seqno {seqno}) and starts first")


def _forbidden(view: GaleraView, voters: tuple[str, ...]) -> tuple[str, ...]:
    """Who was told to do without this node, so that it may not bootstrap with these voters.

    A last view that is there whole, and of which nobody was told so, outweighs an old note of one outside it.
    """
    whole = all(set(_fact(view, name).last_view or ()) == set(voters) for name in voters)
    tellers = view.given_up_by()
    return tuple(name for name, given in tellers.items() if not whole or name in voters or set(voters) <= set(given))


def _let_heal(view: GaleraView, winner: str) -> GaleraStep:
    if view.node != winner and view.running and view.seconds > STUCK:
        sentence = f"members did not find each other for {view.seconds:.0f} s; stopping so that {winner} can go first"
        return GaleraStep(RECOVER, "galera.yield", sentence)
    return GaleraStep(
        WAIT, "galera.may-heal", "a majority runs without a primary component; it may come back by itself"
    )


def _voters(view: GaleraView) -> tuple[str, ...] | GaleraStep:
    """The members whose positions decide, or why that is not known."""
    given = view.own.given_up
    reported = tuple(name for name in view.members if name not in given and _reported(view.known(name)))
    for name in reported:
        last = _fact(view, name).last_view
        if (
            last
            and set(last) <= set(reported)
            and all(set(_fact(view, one).last_view or ()) == set(last) for one in last)
        ):
            return tuple(one for one in view.members if one in last)
    if len(reported) == len(view.members):
        return reported
    missing = tuple(name for name in view.members if name not in reported)
    if given and set(missing) == set(given) and 2 * len(reported) > len(view.members):
        return _agreed(view, reported)
    if view.policy == "majority" and 2 * len(reported) > len(view.members):
        return reported if view.permit == "recovery" else _ask(view, reported, missing)
    waited = tuple(name for name in missing if name not in given)
    sentence = f"no primary component; {_list(waited or missing)} must first report its position"
    return GaleraStep(WAIT, "galera.wait-positions", sentence)


def _agreed(view: GaleraView, reported: tuple[str, ...]) -> tuple[str, ...] | GaleraStep:
    """Those that reported, once every one of them has told the same note for long enough."""
    given = view.own.given_up
    others = tuple(name for name in reported if set(_fact(view, name).given_up) != set(given))
    if others:
        sentence = f"{_list(given)} is given up, but {_list(others)} was not told so: run the command again"
        return GaleraStep(WAIT, "galera.give-up-untold", sentence)
    left = AGREED - min(_fact(view, name).given_seconds for name in reported)
    if left > 0:
        sentence = f"{_list(given)} is given up; going on in {left:.0f} s, when whoever hears one of us knows it"
        return GaleraStep(WAIT, "galera.give-up-agreed", sentence)
    return reported


def _ask(view: GaleraView, reported: tuple[str, ...], missing: tuple[str, ...]) -> GaleraStep:
    """Only the one that would bootstrap asks: in the hands of another the permit would help nobody, for ever."""
    winner = _winner(view, reported)
    if isinstance(winner, GaleraStep):
        return winner
    name, seqno, _ = winner
    if name != view.node:
        sentence = f"{name} is the most advanced of those that reported (seqno {seqno}) and asks for the permit"
        return GaleraStep(WAIT, "galera.wait-winner", sentence)
    sentence = f"{_list(missing)} did not report; a majority may go on by policy, once this node holds the permit"
    return GaleraStep(ASK, "galera.ask-permit", sentence)


def _winner(view: GaleraView, voters: tuple[str, ...]) -> tuple[str, int, str] | GaleraStep:
    """(name, seqno, reason) of the most advanced voter."""
    positions = {name: _fact(view, name).position for name in voters if _fact(view, name).has_data}
    useful = {
        name: position
        for name, position in positions.items()
        if position and position[0] != NO_UUID and position[1] >= 0
    }
    histories = sorted({uuid for uuid, _ in useful.values()})
    if len(histories) > 1:
        who = "; ".join(f"{name}: {uuid}" for name, (uuid, _) in useful.items())
        return GaleraStep(
            WAIT, "galera.histories-differ", f"the members hold different histories ({who}); a person must choose"
        )
    if not useful:
        return GaleraStep(
            WAIT, "galera.no-useful-data", f"none of {', '.join(voters)} has usable data; restore a backup"
        )
    name = max(useful, key=lambda one: (useful[one][1], -view.members.index(one)))
    missing = tuple(one for one in view.members if one not in voters)
    reason = (
        "all members reported"
        if not missing
        else f"{', '.join(voters)} reported and decide; not needed: {', '.join(missing)}"
    )
    return name, useful[name][1], reason


def _reported(fact: MemberFact | None) -> bool:
    """A joining member's data may be changing, so it has not reported."""
    if fact is None or fact.state not in ("down", "non-primary"):
        return False
    return fact.position is not None or not fact.has_data


def _fact(view: GaleraView, name: str) -> MemberFact:
    return view.facts.get(name, MemberFact())


def _list(names: tuple[str, ...]) -> str:
    return " and ".join(names)
