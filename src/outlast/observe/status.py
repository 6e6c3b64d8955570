"""Snapshots → the cluster's status. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from outlast.observe.answer import Answer, Unreachable
from outlast.plan.plan import Plan


@dataclass(frozen=True)
class Cell:
    """One member: `health` as its agent says, or "unknown" where the node does not answer."""

    health: str
    sentence: str
    settled: bool


@dataclass(frozen=True)
class ClusterStatus:
    """The whole cluster. `code`: ok, paused (well, but held back), changing (well but not settled), degraded, or down.

    `holders`: nodes that carry each VIP (one is right; none or two is a finding). `paused`: why, by node.
    """

    code: str
    sentence: str
    nodes: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Cell]]
    holders: Mapping[str, tuple[str, ...]]
    paused: Mapping[str, str] = field(default_factory=dict)


def status(plan: Plan, answers: Mapping[str, Answer]) -> ClusterStatus:
    """One value for one screen."""
    nodes: dict[str, str] = {}
    cells: dict[str, dict[str, Cell]] = {name: {} for name in plan.specs}
    for node in plan.nodes:
        answer = answers.get(node.name, Unreachable("not asked"))
        if isinstance(answer, Unreachable):
            nodes[node.name] = f"no answer: {answer.reason}"
            for member in plan.members_on(node.name):
                cells[member.service][node.name] = Cell("unknown", answer.reason, False)
            continue
        nodes[node.name] = answer.sentence
        known = {state.service: state for state in answer.members}
        for member in plan.members_on(node.name):
            state = known.get(member.service)
            cells[member.service][node.name] = (
                Cell(state.health.status, state.sentence, state.phase == "settled")
                if state
                else Cell("unknown", "its agent does not know this member yet", False)
            )
    holders = {
        vip.name: tuple(
            name
            for name, answer in answers.items()
            if not isinstance(answer, Unreachable) and vip.address in answer.vips
        )
        for vip in plan.vips.values()
    }
    paused = {
        name: answer.paused for name, answer in answers.items() if not isinstance(answer, Unreachable) and answer.paused
    }
    code, sentence = _summary(cells, holders)
    if paused:
        code, sentence = "paused" if code == "ok" else code, f"{sentence}; repair is paused on {', '.join(paused)}"
    return ClusterStatus(code, sentence, nodes, cells, holders, paused)


def without(seen: ClusterStatus, apart: Collection[str]) -> tuple[str, str]:
    """Code and sentence of a status as if these nodes had no members: what the others are by themselves."""
    rows = {name: {node: cell for node, cell in row.items() if node not in apart} for name, row in seen.cells.items()}
    return _summary(rows, seen.holders)


def waiting(seen: ClusterStatus, missing: Collection[str]) -> str:
    """What a member says that is not well and waits for exactly these nodes; "" where none says so."""
    others = set(seen.nodes) - set(missing)
    for name, row in seen.cells.items():
        for node, cell in row.items():
            named = set(re.findall(r"[\w-]+", cell.sentence))
            if node in others and cell.health != "ok" and named >= set(missing) and not named & others:
                return f"{name} on {node}: {cell.sentence}"
    return ""


def _summary(cells: Mapping[str, Mapping[str, Cell]], holders: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    dead = [name for name, row in cells.items() if row and not any(cell.health == "ok" for cell in row.values())]
    if dead:
        return "down", f"no healthy member of {', '.join(dead)}"
    wrong = [f"{name} on {', '.join(nodes) or 'no node'}" for name, nodes in holders.items() if len(nodes) != 1]
    if wrong:
        return "degraded", f"VIP {'; '.join(wrong)}"
    ill = [f"{name} on {node}" for name, row in cells.items() for node, cell in row.items() if cell.health != "ok"]
    if ill:
        more = f" and {len(ill) - 4} more" if len(ill) > 4 else ""
        return "degraded", f"not well: {', '.join(ill[:4])}{more}"
    unsettled = [f"{name} on {node}" for name, row in cells.items() for node, cell in row.items() if not cell.settled]
    if unsettled:
        return "changing", f"on their way: {', '.join(unsettled[:4])}"
    return "ok", "every member is well"
