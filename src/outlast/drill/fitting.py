"""Whether a cluster can run a scenario at all, from its plan alone."""

from __future__ import annotations

from collections.abc import Iterator

from outlast.drill.inventory import Inventory, inventory
from outlast.drill.scenario import Fault, Scenario
from outlast.plan.plan import Plan

_LEADERS_SERVICE = {"ovn-nb": "ovn", "ovn-sb": "ovn", "ovn-northd": "ovn", "gateway": "openvswitch"}


def fits(scenario: Scenario, plan: Plan) -> str:
    """Why this cluster cannot run the scenario; "" when it can."""
    return fits_in(scenario, plan, inventory(plan))


def fits_in(scenario: Scenario, plan: Plan, there: Inventory) -> str:
    """The same with an inventory that was made before."""
    return next(_reasons(scenario, plan, there), "")


def counted(number: int, what: str) -> str:
    """1 controller, 3 controllers"""
    return f"{number} {what if number != 1 else what.removesuffix('s')}"


def _reasons(scenario: Scenario, plan: Plan, there: Inventory) -> Iterator[str]:
    for what, wanted in scenario.needs.items():
        have = len(getattr(there, what))
        if have < wanted:
            yield f"it needs {counted(wanted, what)}; this cluster has {have or 'none'}"
    for fault in scenario.faults:
        for target in _targets(fault):
            yield from _target(target, plan, there)
        yield from _programs(fault, plan, there)
        yield from _networks(fault, plan)


def _targets(fault: Fault) -> tuple[str, ...]:
    groups = fault.options.get("groups")
    return tuple(item for group in groups for item in group) if isinstance(groups, tuple) else (fault.target,)


def _target(target: str, plan: Plan, there: Inventory) -> Iterator[str]:
    kind, _, who = target.partition(":")
    if kind == "node" and who not in plan.node_by_name:
        yield f"no node {who} in this cluster"
    if kind == "vip-holder" and (who not in plan.vips if who else not plan.vips):
        yield f"no VIP {who}".rstrip() + " in this cluster"
    if kind == "writer" and not plan.has("galera"):
        yield "no galera in this cluster"
    if kind == "leader-of" and not plan.has(_LEADERS_SERVICE.get(who, who)):
        yield f"no {_LEADERS_SERVICE.get(who, who)} in this cluster"
    if who == "gateway" and not there.gateways:
        yield "it needs a node with the role network; this cluster has none"
    if kind in ("any-compute", "computes", "compute-with") and not plan.has("nova-compute"):
        yield "no nova-compute in this cluster"
    if kind in ("minority", "majority") and len(there.controllers) < 3:
        yield f"a minority needs 3 controllers; this cluster has {len(there.controllers) or 'none'}"


def _programs(fault: Fault, plan: Plan, there: Inventory) -> Iterator[str]:
    program, damage = str(fault.options.get("program", "")), str(fault.options.get("what", ""))
    known = {*there.service_of, *(plan.specs if fault.verb == "answer-wrong" else ())}
    for name in program.split(",") if program else ():
        if name.strip() not in known:
            yield f"no node of this cluster runs {name.strip()}"
    wanted = damage.partition("-")[0]
    if wanted and not plan.has(wanted):
        yield f"no {wanted} in this cluster"


def _networks(fault: Fault, plan: Plan) -> Iterator[str]:
    named = str(fault.options.get("network", "all"))
    for name in [] if named == "all" else [word.strip() for word in named.split(",")]:
        if name not in plan.networks:
            yield f"no {name} network in this cluster"
        elif (
            next(item for item in plan.networks.values() if item.interface == plan.networks[name].interface).role
            != name
        ):
            yield f"the {name} network has no interface of its own in this cluster"
