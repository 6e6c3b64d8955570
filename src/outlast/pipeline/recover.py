"""`outlast recover`: what the agents would do next, or why they do not. Reads; only `accept_loss` writes one note."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from outlast.errors import InputError, RemoteError
from outlast.observe.answer import Answer, Unreachable
from outlast.observe.collect import collect
from outlast.pipeline.events import Wanted
from outlast.pipeline.events import find as find_events
from outlast.pipeline.pause import Done
from outlast.pipeline.target import Target
from outlast.plan.plan import Plan
from outlast.record.events import Event
from outlast.remote.base import Connector
from outlast.services.galera import facts, recovery
from outlast.services.galera.recovery import GaleraView, MemberFact
from outlast.spec.snapshot import GaleraFact, MemberState

GALERA = "galera"

_WRITE = """
set -e
folder=$(dirname -- "$1")
draft=$(mktemp "$folder/.given-up.XXXXXX")
trap 'rm -f -- "$draft"' EXIT
echo "$2" >"$draft"
[ ! -e "$3" ] || cat -- "$3" >>"$draft"
sync "$draft"
mv -f -- "$draft" "$1"
sync "$folder"
"""
"""The note, with the last primary view as it is now: a later one that names a member says that it is back."""


@dataclass(frozen=True)
class Row:
    """A member that is not well. `next`: what its agent would do, or what it waits for, and since when (wall time, 0:
    not known); `evidence` of the last event about it. `held`: a pause is all that keeps the agent from it."""

    node: str
    service: str
    health: str
    next: str
    code: str = ""
    evidence: str = ""
    since: float = 0.0
    held: bool = False


@dataclass(frozen=True)
class Position:
    """What is known of one database member. `position`: seqno and history, or why there is none. `permit`: it holds."""

    node: str
    state: str
    position: str
    last_view: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    permit: str = ""


@dataclass(frozen=True)
class Database:
    """The recovery rule in words. `waits_for`: who must report; `choices`: what would accept the risk."""

    sentence: str
    members: tuple[Position, ...]
    waits_for: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outlook:
    """Everything that `recover` tells. `database`: None while one has a primary component, or none is in the plan."""

    well: bool
    rows: tuple[Row, ...]
    database: Database | None = None
    paused: Mapping[str, str] | None = None


async def recover(target: Target) -> Outlook:
    """What would happen next, from all nodes' own words."""
    async with target.reached() as connectors:
        answers = await collect(connectors)
    found = await find_events(target, Wanted())
    return outlook(target.plan, target.cluster.recovery, answers, found.events)


# --- pure -------------------------------------------------------------------------------------------------------------


def outlook(plan: Plan, policy: str, answers: Mapping[str, Answer], events: Iterable[Event]) -> Outlook:
    """Snapshots and events to rows."""
    latest = {(event.node, event.service): event for event in events}
    rows = tuple(
        row for node in plan.nodes if plan.members_on(node.name) for row in _rows(plan, node.name, answers, latest)
    )
    paused = {
        node: answer.paused for node, answer in answers.items() if not isinstance(answer, Unreachable) and answer.paused
    }
    database = _database(plan, policy, answers) if plan.has(GALERA) else None
    return Outlook(not rows and not paused and database is None, rows, database, paused)


def _rows(
    plan: Plan, node: str, answers: Mapping[str, Answer], latest: Mapping[tuple[str, str], Event]
) -> Iterable[Row]:
    answer = answers.get(node, Unreachable("not asked"))
    if isinstance(answer, Unreachable):
        yield Row(node, "", "unknown", f"its agent does not answer ({answer.reason}); what it does is not known")
        return
    known = {state.service: state for state in answer.members}
    for member in plan.members_on(node):
        state = known.get(member.service)
        if state is None:
            yield Row(node, member.service, "unknown", "its agent does not know this member yet: run `up`")
        elif state.phase != "settled":
            yield _row(node, state, latest.get((node, member.service)), bool(answer.paused))


def _row(node: str, state: MemberState, last: Event | None, paused: bool) -> Row:
    """The agent's present sentence; its last event says since when, where it is about the same."""
    held = paused and "; would do: " in state.sentence
    if last is None:
        return Row(node, state.service, state.health.status, state.sentence, held=held)
    return Row(node, state.service, state.health.status, state.sentence, last.code, last.evidence, last.at, held)


def _database(plan: Plan, policy: str, answers: Mapping[str, Answer]) -> Database | None:
    members = tuple(member.node for member in plan.members_of(GALERA))
    told = facts_of(members, answers)
    if any(fact.state == "primary" for fact in told.values()):
        return None
    step = rule(members, told, policy)
    missing = tuple(name for name in members if name not in told or damaged(told[name]))
    positions = tuple(_position(name, told.get(name)) for name in members)
    choices = _choices(members, told, missing, policy) if step.code == "galera.wait-positions" else ()
    return Database(step.sentence, positions, missing, choices)


def _choices(
    members: tuple[str, ...], told: Mapping[str, GaleraFact], missing: tuple[str, ...], policy: str
) -> tuple[str, ...]:
    names = " and ".join(missing)
    if not missing:
        return ()
    if 2 * (len(members) - len(missing)) <= len(members):
        return (f"power on more of {names}: without a majority nothing can be accepted",)
    command = f"outlast recover {' '.join(f'--accept-loss {name}' for name in missing)}"
    risk = f"what only {names} had is lost for good"
    first = [f"power on {names}: nothing is lost"] if not set(missing) & set(told) else []
    found = [*first, f"{command}: go on without, once; {risk}"]
    if policy != "majority":
        found.append("for the next time: `recovery: majority` in the cluster file; then a majority goes on by itself")
    return tuple(found)


def _position(name: str, fact: GaleraFact | None) -> Position:
    if fact is None:
        return Position(name, "no answer", "not known")
    if not fact.has_data:
        words = "no data yet"
    elif damaged(fact):
        words = f"cannot be read: {fact.unreadable[-1]}"
    elif not fact.uuid:
        words = "not read yet"
    else:
        words = "unusable data" if fact.uuid == recovery.NO_UUID else f"seqno {fact.seqno} of {fact.uuid}"
    return Position(name, fact.state, words, fact.view, fact.given_up, fact.permit)


def facts_of(members: Iterable[str], answers: Mapping[str, Answer]) -> dict[str, GaleraFact]:
    """What the members' agents say of the database, by node."""
    found = ((name, answers.get(name)) for name in members)
    return {
        name: answer.galera
        for name, answer in found
        if answer is not None and not isinstance(answer, Unreachable) and answer.galera is not None
    }


def rule(members: tuple[str, ...], told: Mapping[str, GaleraFact], policy: str) -> recovery.GaleraStep:
    """What the recovery rule says to the first member that answers and may report; a step to wait where none does."""
    answer = sorted((name for name in members if name in told), key=lambda name: damaged(told[name]))
    node = answer[0] if answer else ""
    if not node:
        return recovery.GaleraStep(recovery.WAIT, "galera.peers-unknown", "no member of the database answers")
    running = told[node].state != "down"
    known = {name: _fact(fact) for name, fact in told.items()}
    return recovery.next_step(GaleraView(node, members, known, running, policy=policy, seconds=recovery.STUCK))


def _fact(fact: GaleraFact) -> MemberFact:
    position = (fact.uuid, fact.seqno) if fact.uuid else None
    return MemberFact(
        True, fact.state, fact.has_data, position, fact.view or None, fact.view_number,
        unreadable=fact.unreadable, given_up=fact.given_up, given_seconds=fact.given_seconds,
    )  # fmt: skip


# --- the one command --------------------------------------------------------------------------------------------------


def refusal(members: tuple[str, ...], lost: frozenset[str], told: Mapping[str, GaleraFact]) -> tuple[str, str]:
    """Code and sentence why these members cannot be given up now; ("", "") when they can."""
    stay = tuple(name for name in members if name not in lost)
    names = " and ".join(sorted(lost))
    if strangers := sorted(lost - set(members)):
        return "recover.no-member", f"{', '.join(strangers)} has no database member; there are {', '.join(members)}"
    if primary := [name for name, fact in told.items() if fact.state == "primary"]:
        return "recover.not-needed", f"{', '.join(primary)} is in the primary component; {names} is not waited for"
    already = {name for fact in told.values() for name in fact.given_up}
    if reached := sorted(name for name in (lost & set(told)) - already if not damaged(told[name])):
        return "recover.reachable", f"{', '.join(reached)} answers: the cluster goes on by itself when it has reported"
    if 2 * len(stay) <= len(members):
        return "recover.minority", f"{', '.join(stay)} is no majority of {', '.join(members)}: nobody may go on alone"
    if other := sorted(already - lost):
        return "recover.given-up", f"{', '.join(other)} is given up already; name it too"
    return _unready(stay, told)


def _unready(stay: tuple[str, ...], told: Mapping[str, GaleraFact]) -> tuple[str, str]:
    late = [name for name in stay if name not in told or not _has_reported(told[name])]
    if late:
        return "recover.not-reported", f"{', '.join(late)} must report first, or be given up by name too"
    useful = {name: fact.uuid for name, fact in told.items() if name in stay and _is_useful(fact)}
    if len(set(useful.values())) > 1:
        who = "; ".join(f"{name}: {uuid}" for name, uuid in useful.items())
        return "recover.histories-differ", f"the members hold different histories ({who}); a person must choose"
    if not useful:
        return "recover.no-data", f"none of {', '.join(stay)} has usable data; restore a backup"
    return "", ""


def damaged(fact: GaleraFact) -> bool:
    """Whether it answers and will still never report."""
    return fact.state == "down" and len(fact.unreadable) >= recovery.UNREADABLE


def _has_reported(fact: GaleraFact) -> bool:
    return fact.state in ("down", "non-primary") and bool(fact.uuid or not fact.has_data)


def _is_useful(fact: GaleraFact) -> bool:
    return fact.has_data and fact.uuid not in ("", recovery.NO_UUID) and fact.seqno >= 0


async def accept_loss(target: Target, lost: Sequence[str]) -> tuple[Done, ...]:
    """Tells every other member that these are given up until they are back; their agents do the rest.

    Raises InputError with the reason where that may not be (see `refusal`). A node that could not be told is named:
    nobody goes on before all are, so the same command again completes it.
    """
    members = tuple(member.node for member in target.plan.members_of(GALERA))
    if not members:
        raise InputError("recover.no-member", f"{target.path} has no database")
    async with target.reached() as connectors:
        told = facts_of(members, await collect(connectors))
        code, sentence = refusal(members, frozenset(lost), told)
        if not code:
            code, sentence = _needless(members, frozenset(lost), told)
        if code:
            raise InputError(code, sentence)
        if on := [name for name in lost if name not in told and await _is_on(connectors[name])]:
            raise InputError(
                "recover.reachable", f"{', '.join(on)} is on, and may run the database: power it off first"
            )
        words = " ".join(name for name in members if name in lost)
        stay = [name for name in members if name not in lost]
        return tuple(await asyncio.gather(*(_tell(name, connectors[name], words) for name in stay)))


def _needless(members: tuple[str, ...], lost: frozenset[str], told: Mapping[str, GaleraFact]) -> tuple[str, str]:
    """Where the rule goes on without them anyway."""
    step = rule(members, {name: fact for name, fact in told.items() if name not in lost}, "safe")
    waits = step.code in ("galera.wait-positions", "galera.give-up-untold", "galera.give-up-agreed")
    return (
        ("", "")
        if waits
        else ("recover.not-needed", f"{' and '.join(sorted(lost))} is not waited for: {step.sentence}")
    )


async def _is_on(connector: Connector) -> bool:
    try:
        await connector.run(("/bin/true",), timeout=10)
    except RemoteError as error:
        return error.code not in ("remote.unreachable", "remote.timeout", "remote.lost")
    return True


async def _tell(node: str, connector: Connector, names: str) -> Done:
    try:
        argv = ("/bin/sh", "-c", _WRITE, "recover", facts.GIVEN_UP, names, facts.VIEW)
        output = await connector.run(argv, timeout=30)
    except RemoteError as error:
        return Done(node, False, f"was not told: {error.message}")
    if output.status:
        return Done(node, False, f"was not told: {output.stderr.decode(errors='replace').strip()}")
    return Done(node, True, f"goes on without {names} in {recovery.AGREED:.0f} s, when all others know it too")
