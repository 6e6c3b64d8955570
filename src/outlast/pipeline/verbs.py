"""Verbs that fit in a few lines each: down, status, events, node power, plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from outlast.errors import InputError
from outlast.lab import ownership
from outlast.observe.collect import Answer, collect
from outlast.observe.status import ClusterStatus, status
from outlast.pipeline.budgets import keep_budgets
from outlast.pipeline.bundles import bundles
from outlast.pipeline.events import Wanted, find
from outlast.pipeline.target import NOTE, Target
from outlast.pipeline.up import only_one
from outlast.record.events import Event
from outlast.rollout import secrets
from outlast.rollout.rollout import current, planned_changes
from outlast.rollout.waves import Change


def down(target: Target, keep_secrets: bool = False) -> Mapping[str, object]:
    """Removes the lab and everything that belongs to it; what was removed, by kind. The cached image stays.

    Raises InputError while an `up` works on it, LabError where something could not be removed.
    """
    if not target.is_lab:
        raise InputError(
            "down.hosts", f"{target.path} names real hosts; `down` removes labs only, hosts stay as they are"
        )
    target.check_owner()
    with only_one(target):
        note = target.state_dir / NOTE
        note.unlink(missing_ok=True)
        removed: dict[str, object] = {
            kind: found for kind, found in asdict(ownership.destroy(target.state_dir)).items() if found
        }
        generated = secrets.path_for(target.path)
        if generated.exists() and not keep_secrets:
            generated.unlink()
            removed["secrets"] = str(generated)
    return removed


async def look(target: Target) -> tuple[ClusterStatus, Mapping[str, Answer]]:
    """The cluster's status now, from the nodes themselves."""
    async with target.reached() as connectors:
        answers = await collect(connectors)
    return status(target.plan, answers), answers


async def all_events(target: Target, node: str = "", service: str = "") -> list[Event]:
    """Events of all nodes (or one), in time order; nodes out of reach are left out."""
    return list((await find(target, Wanted(node, service))).events)


async def differences(target: Target) -> tuple[Change, ...]:
    """What `up` would change on the running nodes; everything is new where nothing was brought up yet.

    Raises RemoteError while a node is out of reach: what would change there is not known; ClusterFileError where the
    settings break a budget, for then `up` would change nothing.
    """
    keep_budgets(target)
    new, _ = bundles(target, dry=True)
    try:
        async with target.reached() as connectors:
            old = await current(connectors)
    except InputError as error:
        if error.code != "cluster.not-up":
            raise
        old = {}
    return planned_changes(old, new)


def resolve(target: Target, wanted: str, answers: Mapping[str, Answer]) -> str:
    """A node's name from a name or a description (`vip-holder`, `writer`). Raises InputError when nobody fits."""
    if wanted in target.plan.node_by_name:
        return wanted
    seen = status(target.plan, answers)
    if wanted == "vip-holder":
        for name in ("external", "internal"):
            if seen.holders.get(name):
                return seen.holders[name][0]
        raise InputError("node.no-holder", "no node holds a VIP now; see: outlast status")
    known = ", ".join(node.name for node in target.plan.nodes)
    raise InputError("node.unknown", f"no node {wanted}; there are {known}, and vip-holder")
