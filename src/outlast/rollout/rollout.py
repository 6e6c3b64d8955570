"""Hands the plan's bundles to the nodes, in waves, and waits until each is well. The agents do the work."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from outlast.errors import RemoteError, RolloutError
from outlast.observe.collect import Answer, Unreachable, collect
from outlast.remote.base import Connector
from outlast.render.bundle import Code
from outlast.rollout.waves import Change, changes, disturbed, unreadable, waves
from outlast.spec import bundle as bundles
from outlast.spec.bundle import Bundle

BUNDLE_PATH = "/var/lib/outlast/bundle.json"
ACCEPT = (Path(__file__).parent / "accept.py").read_text()
POLL = 0.25
PATIENCE = 60.0
"""Seconds that members get to become well with what they have, before a change that may cure them goes on."""

Observer = Callable[[Mapping[str, Answer]], None]


@dataclass(frozen=True)
class Rollout:
    """What was done: the changes by node, and seconds until all were well."""

    changes: tuple[Change, ...]
    seconds: float


async def current(connectors: Mapping[str, Connector]) -> dict[str, Bundle | None]:
    """Each node's present bundle; None where there is none yet. Raises RemoteError for a node out of reach."""

    async def one(connector: Connector) -> Bundle | None:
        try:
            return bundles.decode(await connector.get(BUNDLE_PATH))
        except RemoteError as error:
            if error.code == "remote.not-found":
                return None
            raise
        except ValueError:
            return unreadable()

    found = await asyncio.gather(*(one(connector) for connector in connectors.values()))
    return dict(zip(connectors, found, strict=True))


def planned_changes(old: Mapping[str, Bundle | None], new: Mapping[str, Bundle]) -> tuple[Change, ...]:
    """Everything that a rollout would do."""
    return tuple(change for node, bundle in new.items() for change in changes(old.get(node), bundle))


async def roll(
    new: Mapping[str, Bundle],
    code: Code,
    connectors: Mapping[str, Connector],
    observer: Observer,
    deadline: float = 600.0,
) -> Rollout:
    """Brings every node to its bundle. `deadline`: seconds allowed for each wave.

    Raises RolloutError when a wave does not become well in time; what was handed over stays, the next call goes on.
    """
    begun = time.monotonic()
    old = await current(connectors)
    found = planned_changes(old, new)
    permits = await _permits(new, old, connectors)
    handed = dict(old)

    async def look() -> Mapping[str, Answer]:
        answers = await collect(connectors)
        observer(answers)
        return answers

    for wave in waves(old, new):
        for node in wave:
            await _others_well(node, disturbed(old.get(node), new[node]), new, handed, look, deadline)
        await asyncio.gather(*(_hand_over(connectors[node], new[node], code, permits.get(node, ())) for node in wave))
        handed.update({node: new[node] for node in wave})
        # A member added to several nodes may need all of them: a wave waits only for those that were there before.
        await settle(new, wave, connectors, observer, deadline, added=_added(found, wave))
    await settle(new, tuple(new), connectors, observer, deadline)
    return Rollout(found, time.monotonic() - begun)


async def _others_well(
    node: str,
    services: frozenset[str],
    new: Mapping[str, Bundle],
    handed: Mapping[str, Bundle | None],
    look: Callable[[], Awaitable[Mapping[str, Answer]]],
    deadline: float,
) -> None:
    """Before members on `node` go down: until those services are well on all other nodes, with what these were handed.

    An interrupted rollout may have left a member on its way. One that is to be changed yet, and does not get well by
    itself within PATIENCE, is not waited for: the change may be its cure. Raises RolloutError after `deadline` seconds.
    """
    begun = time.monotonic()
    while services:
        answers = await look()
        ill = [other for other in new if other != node and _ill(answers[other], services, handed.get(other))]
        waited = time.monotonic() - begun
        final = [other for other in ill if _has_bundle(answers[other], new[other])]
        if not ill or (waited > PATIENCE and not final):
            return
        if waited > deadline:
            reasons = "; ".join(f"{other}: {_reason(answers[other])}" for other in ill)
            sentence = f"{node} was not touched, two members at once would be away. {reasons}. Run it again to continue"
            raise RolloutError("rollout.others-not-well", sentence)
        await asyncio.sleep(POLL)


def _ill(answer: Answer, services: frozenset[str], handed: Bundle | None) -> bool:
    if isinstance(answer, Unreachable):
        return True
    # Handed over by a roll-out that was killed the moment after, and not taken yet: it speaks of the bundle before.
    if handed is not None and handed != unreadable() and answer.bundle != handed.digest:
        return True
    return any(state.service in services and state.phase != "settled" for state in answer.members)


def _has_bundle(answer: Answer, bundle: Bundle) -> bool:
    return not isinstance(answer, Unreachable) and answer.bundle == bundle.digest


async def _permits(
    new: Mapping[str, Bundle], old: Mapping[str, Bundle | None], connectors: Mapping[str, Connector]
) -> dict[str, tuple[str, ...]]:
    """Single-use permits for a first bootstrap: only where no member of the service has any data yet."""
    granted: dict[str, tuple[str, ...]] = {}
    for service in sorted(
        {member.service for item in new.values() for member in item.members if member.start != "plain"}
    ):
        holders = {node: member for node, item in new.items() for member in item.members if member.service == service}
        answers = await asyncio.gather(*(_has_data(connectors[node]) for node in holders))
        if not any(answers):
            founder = next(node for node, member in holders.items() if member.index == 0)
            granted[founder] = (*granted.get(founder, ()), service)
    return granted


async def _has_data(connector: Connector) -> bool:
    """Whether the node was ever part of the database's primary component. Raises RemoteError out of reach."""
    try:
        memory = json.loads(await connector.get("/var/lib/outlast/memory.json"))
    except RemoteError as error:
        if error.code == "remote.not-found":
            return False
        raise
    return bool(memory.get("view"))


async def _hand_over(connector: Connector, bundle: Bundle, code: Code, permits: Iterable[str]) -> None:
    head = {"permits": list(permits), "code": code.digest, "bundle": bundles.encode(bundle).decode()}
    given = json.dumps(head).encode() + b"\n" + code.archive
    output = await connector.run(("/usr/bin/python3", "-c", ACCEPT), timeout=60, input=given)
    if output.status:
        words = output.stderr.decode(errors="replace").strip().splitlines()
        raise RolloutError("rollout.refused", f"{bundle.node} did not take its bundle: {words[-1] if words else '?'}")


async def settle(
    new: Mapping[str, Bundle],
    nodes: tuple[str, ...],
    connectors: Mapping[str, Connector],
    observer: Observer,
    deadline: float,
    added: frozenset[tuple[str, str]] | None = None,
) -> None:
    """Waits until the nodes run their bundles and their members are well, except the `added` (node, service).

    Without `added`, every VIP must have one holder too. Raises RolloutError after `deadline` seconds, and as soon as a
    program says that it would not take its new configuration.
    """
    until = time.monotonic() + deadline
    while True:
        answers = await collect(connectors)
        observer(answers)
        waiting = [node for node in nodes if not _is_well(answers[node], new[node], added or frozenset())]
        if not waiting and (added is not None or not _homeless(new, answers)):
            return
        if paused := [node for node in nodes if _is_paused(answers[node])]:
            sentence = (
                f"repair was paused on {', '.join(paused)} meanwhile; outlast resume, then run it again to continue"
            )
            raise RolloutError("rollout.paused", sentence)
        if refused := _refused(nodes, answers, new):
            raise RolloutError("rollout.config-refused", f"{refused}. What runs goes on as before")
        if time.monotonic() > until:
            reasons = "; ".join(f"{node}: {_reason(answers[node])}" for node in waiting)
            reasons = reasons or f"VIP {', '.join(_homeless(new, answers))} has not exactly one holder"
            raise RolloutError(
                "rollout.not-well", f"not well after {deadline:.0f} s: {reasons}. Run it again to continue"
            )
        await asyncio.sleep(POLL)


def _refused(nodes: tuple[str, ...], answers: Mapping[str, Answer], new: Mapping[str, Bundle]) -> str:
    """Who refuses what it was handed, and why; "" when nobody does."""
    for node in nodes:
        answer = answers[node]
        if isinstance(answer, Unreachable) or answer.bundle != new[node].digest:
            continue
        for state in answer.members:
            if state.phase == "refused":
                return f"{state.service} on {node}: {state.sentence}"
    return ""


def _is_paused(answer: Answer) -> bool:
    return not isinstance(answer, Unreachable) and bool(answer.paused)


def _is_well(answer: Answer, bundle: Bundle, added: frozenset[tuple[str, str]]) -> bool:
    if isinstance(answer, Unreachable) or answer.bundle != bundle.digest:
        return False
    phases = {state.service: state.phase for state in answer.members}
    return all(
        phases.get(member.service) == "settled"
        for member in bundle.members
        if (bundle.node, member.service) not in added
    )


def _added(found: tuple[Change, ...], wave: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((item.node, item.service) for item in found if item.kind == "add" and item.node in wave)


def _homeless(new: Mapping[str, Bundle], answers: Mapping[str, Answer]) -> list[str]:
    """VIPs that not exactly one node carries."""
    vips = {vip for bundle in new.values() for vip in bundle.vips if _balances(bundle)}
    held = [vip for answer in answers.values() if not isinstance(answer, Unreachable) for vip in answer.vips]
    return sorted(vip for vip in vips if held.count(vip) != 1)


def _balances(bundle: Bundle) -> bool:
    return any(member.service == "keepalived" for member in bundle.members)


def _reason(answer: Answer) -> str:
    return answer.reason if isinstance(answer, Unreachable) else answer.sentence
