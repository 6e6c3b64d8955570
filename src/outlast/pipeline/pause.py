"""`outlast pause` and `outlast resume`: one small file on the node, which its agent reads in every cycle."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outlast.errors import InputError, RemoteError, RolloutError
from outlast.node import disk
from outlast.observe.answer import Answer, Unreachable
from outlast.observe.collect import snapshot
from outlast.pipeline.target import Target
from outlast.remote.base import Connector

NOTICE = 6.0
"""Seconds that an agent gets to say that it has seen the file: its longest cycle is about a second."""

_REMOVE = """
[ -e "$1" ] || exit 3
rm -f -- "$1" && sync -- "$(dirname -- "$1")"
"""
_NOT_THERE = 3


@dataclass(frozen=True)
class Done:
    """What was done on one node. `well`: it is so, and its agent says so."""

    node: str
    well: bool
    sentence: str


def signed(reason: str, now: float) -> str:
    """The reason on one line, with who gave it and when (`now`: seconds since the epoch)."""
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    when = datetime.fromtimestamp(now).astimezone().strftime("%Y-%m-%d %H:%M")
    words, name = " ".join(reason.split()), f"{user}@{socket.gethostname()}, {when}"
    return f"{words} ({name})" if words else name


async def pause(target: Target, nodes: Sequence[str], reason: str) -> tuple[Done, ...]:
    """Holds back the agents of the nodes (none: of all). Raises InputError for a name that is no node with members."""

    async def one(node: str, connector: Connector) -> Done:
        await connector.put(str(disk.PAUSE), f"{reason}\n".encode(), mode=0o644)
        heard = await _heard(connector, lambda paused: paused == reason)
        return Done(node, not heard, f"paused{heard}: {reason}")

    return await _each(target, nodes, one)


async def resume(target: Target, nodes: Sequence[str]) -> tuple[Done, ...]:
    """Lets the agents of the nodes (none: of all) go on. Raises as `pause`."""

    async def one(node: str, connector: Connector) -> Done:
        output = await connector.run(("/bin/sh", "-c", _REMOVE, "resume", str(disk.PAUSE)), timeout=30)
        if output.status == _NOT_THERE:
            return Done(node, True, "was not paused")
        if output.status:
            words = output.stderr.decode(errors="replace").strip()
            return Done(node, False, f"still paused: {words}")
        heard = await _heard(connector, lambda paused: not paused)
        return Done(node, not heard, f"resumed{heard}")

    return await _each(target, nodes, one)


async def _each(
    target: Target, nodes: Sequence[str], work: Callable[[str, Connector], Coroutine[Any, Any, Done]]
) -> tuple[Done, ...]:
    """The work on all nodes at once; one that cannot be reached keeps nobody else from it."""

    async def tried(node: str, connector: Connector) -> Done:
        try:
            return await work(node, connector)
        except RemoteError as error:
            return Done(node, False, f"nothing was done: {error.message}")

    async with target.reached() as all_of_them:
        chosen = choose(target, all_of_them, nodes)
        return tuple(await asyncio.gather(*(tried(node, all_of_them[node]) for node in chosen)))


def choose(target: Target, have: Mapping[str, Connector], nodes: Sequence[str]) -> tuple[str, ...]:
    """The nodes meant, once each, in the plan's order."""
    for node in nodes:
        if node not in have:
            known = ", ".join(have)
            raise InputError("node.unknown", f"no node {node} with an agent in {target.path}; there are {known}")
    return tuple(node for node in have if node in nodes or not nodes)


async def _heard(connector: Connector, agrees: Callable[[str], bool]) -> str:
    """ "" as soon as the agent says so, otherwise what is wrong with it, as a part of a sentence."""
    end = time.monotonic() + NOTICE
    answer: Answer = Unreachable("not asked")
    while time.monotonic() < end:
        answer = await snapshot(connector)
        if not isinstance(answer, Unreachable) and agrees(answer.paused):
            return ""
        await asyncio.sleep(0.1)
    reason = answer.reason if isinstance(answer, Unreachable) else f"it says: {answer.sentence}"
    return f" (written, but its agent did not confirm it: {reason})"


async def refuse_paused(target: Target) -> None:
    """Raises RolloutError rollout.paused where a node is paused: a roll-out would wait for it until it gives up.

    Nodes that cannot be reached are passed over: that is for others to say.
    """
    try:
        async with target.reached() as connectors:
            found = await asyncio.gather(*(_reason(connector) for connector in connectors.values()))
    except InputError as error:
        if error.code != "cluster.not-up":
            raise
        return
    paused = {node: reason for node, reason in zip(connectors, found, strict=True) if reason}
    if paused:
        raise RolloutError(
            "rollout.paused", f"repair is paused on {in_words(paused)}; to go on: outlast resume {' '.join(paused)}"
        )


async def _reason(connector: Connector) -> str:
    try:
        return (await connector.get(str(disk.PAUSE))).decode(errors="replace").strip()
    except RemoteError:
        return ""


def in_words(paused: Mapping[str, str]) -> str:
    """Nodes by reason: "c1, c2 (kernel update)"."""
    reasons: dict[str, list[str]] = {}
    for node, reason in paused.items():
        reasons.setdefault(reason, []).append(node)
    return "; ".join(f"{', '.join(nodes)} ({reason})" for reason, nodes in reasons.items())
