"""What a plan has to break: programs by node, controllers, computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from outlast.plan.plan import Plan
from outlast.services.registry import DESCRIBE

# The others, compute and client, carry tenants or stand outside.
_INSIDE = frozenset({"endpoint", "service", "sdn", "storage", "network"})
# A service's program under supervisord is the guard, what it guards has a name of its own.
_GUARDED = ("haproxy", "keepalived")
# On every node, of no service.
WATCHERS = ("outlast-agent", "supervisord")


@dataclass(frozen=True)
class Inventory:
    """programs: by node, in start order. service_of: by program, "" for what belongs to no service.

    inside: nodes that are not only compute or client. controllers: nodes that run API services.
    """

    programs: Mapping[str, tuple[str, ...]]
    service_of: Mapping[str, str]
    inside: tuple[str, ...]
    controllers: tuple[str, ...]
    computes: tuple[str, ...]
    gateways: tuple[str, ...]
    endpoints: tuple[str, ...]


def inventory(plan: Plan) -> Inventory:
    """Everything that can be killed, and the nodes by what they are."""
    found = [
        (member.node, member.service, name)
        for member in plan.members
        for program in DESCRIBE[member.service](plan, member).programs
        for name in (program.name, *([f"{program.name}-guard"] if program.name in _GUARDED else ()))
    ]
    programs = {node.name: tuple(name for where, _, name in found if where == node.name) for node in plan.nodes}
    return Inventory(
        programs={node: (*names, *WATCHERS) if names else () for node, names in programs.items()},
        service_of={**dict.fromkeys(WATCHERS, ""), **{name: service for _, service, name in found}},
        inside=_with(plan, _INSIDE),
        controllers=_with(plan, frozenset({"service"})),
        computes=_with(plan, frozenset({"compute"})),
        gateways=_with(plan, frozenset({"network"})),
        endpoints=_with(plan, frozenset({"endpoint"})),
    )


def _with(plan: Plan, roles: frozenset[str]) -> tuple[str, ...]:
    return tuple(node.name for node in plan.nodes if roles & set(node.roles))
