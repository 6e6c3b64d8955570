"""Scenarios that follow from a plan: every program of a controller and of a compute node, killed and hung."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from outlast.drill.inventory import inventory
from outlast.drill.scenario import Fault, Scenario
from outlast.drill.scenario_file import write
from outlast.plan.plan import Plan
from outlast.services.registry import SPECS

Budgets = Mapping[str, float]
_SAFE: Budgets = {"lost": 0, "duplicated": 0}


@dataclass(frozen=True)
class _Kind:
    """What a kind of program is judged by. Figures: issue table of the agent, conformance table of PROVING."""

    kill_class: str
    hang_class: str
    kill: Budgets
    hang: Budgets


def _stalled(seconds: float) -> Budgets:
    return {"new-failed": 0, "stall": seconds, "message-stall": 5}


_API = _Kind("api-kill", "api-hang", {"new-failed": 0, "repair": 2, "redundancy": 6}, {"detect": 2, "redundancy": 10})
_WORKER = _Kind("worker-kill", "worker-hang", {"new-failed": 0, "detect": 10}, {"new-failed": 0, "detect": 10})
_KINDS: Mapping[str, _Kind] = {
    "api": _API,
    "worker": _WORKER,
    "agent": replace(_WORKER, kill_class="agent-kill", hang_class="agent-hang"),
    "balancer": _Kind("balancer", "balancer", {"new-failed": 0, "mask": 0.3}, {"new-failed": 0, "mask": 1}),
    "vrrp": _Kind(
        "vrrp",
        "vrrp",
        {"new-failed": 0, "owners": 0.3, "no-owner": 1},
        {"new-failed": 0, "owners": 0.3, "no-owner": 1},
    ),
    "database": _Kind("database", "database", _stalled(2.5), _stalled(2.5)),
    "broker": _Kind(
        "broker", "broker", {"new-failed": 0, "mask": 5, "message-stall": 5}, {"mask": 5, "message-stall": 5}
    ),
    "cache": _Kind("cache", "cache", _stalled(1), _stalled(1)),
    "coordination": _Kind(
        "coordination", "coordination", {"new-failed": 0, "failed": 0}, {"new-failed": 0, "failed": 0}
    ),
    "sdn": _Kind("sdn", "sdn", {"new-failed": 0, "stream-lost": 0, "repair": 30}, {"new-failed": 0, "stream-lost": 0}),
    "switch": _Kind("sdn", "sdn", {"stream-gap": 20, "repair": 30}, {"stream-gap": 20}),
    "watcher": _Kind(
        "watcher",
        "watcher",
        {"new-failed": 0, "failed": 0, "stream-lost": 0},
        {"new-failed": 0, "failed": 0, "stream-lost": 0},
    ),
}

# By service; a service that is not here is an API if it has a frontend, else a worker.
_OF_SERVICE: Mapping[str, str] = {
    "haproxy": "balancer",
    "keepalived": "vrrp",
    "galera": "database",
    "rabbitmq": "broker",
    "memcached": "cache",
    "zookeeper": "coordination",
    "ovn": "sdn",
    "openvswitch": "sdn",
    "nova-compute": "agent",
    "ovn-agent": "agent",
    "forkserver": "watcher",
    "": "watcher",
}
# Programs that are something else than their service.
_OF_PROGRAM: Mapping[str, str] = {
    "nova-scheduler": "worker",
    "nova-conductor": "worker",
    "neutron-ovn-maintenance": "worker",
    "swift-storage": "worker",
    "swift-rsync": "worker",
    "swift-upkeep": "worker",
    "ovs-vswitchd": "switch",
    "haproxy-guard": "watcher",
    "keepalived-guard": "watcher",
}
# Where it hurts most. Every other program is killed on one controller, or on a compute node.
_TARGETS: Mapping[str, str] = {
    "haproxy": "vip-holder",
    "haproxy-guard": "vip-holder",
    "keepalived": "vip-holder",
    "keepalived-guard": "vip-holder",
    "galera": "writer",
    "galera-responder": "writer",
    "rabbitmq": "leader-of:rabbitmq",
    "zookeeper": "leader-of:zookeeper",
    "ovn-nb": "leader-of:ovn-nb",
    "ovn-sb": "leader-of:ovn-sb",
    "ovn-northd": "leader-of:ovn-northd",
    "ovs-vswitchd": "leader-of:gateway",
    "ovsdb": "leader-of:gateway",
    "ovn-controller": "leader-of:gateway",
}
_CASES: Mapping[str, str] = {
    "kill-nova-api": "TC019",
    "kill-neutron-api": "TC045",
    "kill-keystone": "TC046",
    "kill-glance": "TC047",
    "kill-swift-proxy": "TC049",
    "kill-haproxy": "TC053",
    "kill-rabbitmq": "TC056",
    "kill-zookeeper": "TC057",
    "kill-keepalived": "TC057",
    "kill-nova-scheduler": "TC088",
    "kill-nova-conductor": "TC089",
    "kill-galera": "TC090",
}
_REQUIREMENTS: Mapping[str, str] = {"balancer": "D3", "vrrp": "D3", "agent": "D12"}
QUICK = frozenset({"kill-keystone", "kill-haproxy", "hang-nova-api", "kill-galera"})
# PID 1 of a node: killing it is a power cut.
_UNKILLABLE = frozenset({"supervisord"})


def generated(plan: Plan) -> tuple[Scenario, ...]:
    """`kill-PROGRAM` and `hang-PROGRAM` for every program; `-compute` where it runs on controllers too."""
    there = inventory(plan)
    on_controllers = dict.fromkeys(name for node in there.inside for name in there.programs[node])
    on_computes = dict.fromkeys(name for node in there.computes for name in there.programs[node])
    found: list[Scenario] = []
    for program in on_controllers:
        target = _TARGETS.get(program, "one")
        found.extend(_pair(program, there.service_of[program], target, ""))
    for program in on_computes:
        suffix = "-compute" if program in on_controllers else ""
        found.extend(_pair(program, there.service_of[program], "any-compute", suffix))
    return tuple(found)


def kind_of(program: str, service: str) -> str:
    """Which kind of program it is: a key of the table of figures."""
    known = _OF_PROGRAM.get(program) or _OF_SERVICE.get(service)
    return known or ("api" if service in SPECS and SPECS[service].frontends else "worker")


def _pair(program: str, service: str, target: str, suffix: str) -> Iterator[Scenario]:
    kind = kind_of(program, service)
    if program not in _UNKILLABLE:
        yield _row("kill", program, kind, target, suffix)
    yield _row("hang", program, kind, target, suffix)


def _row(how: str, program: str, kind: str, target: str, suffix: str) -> Scenario:
    form, name = _KINDS[kind], f"{how}-{program}{suffix}"
    fault_class, figures = (form.kill_class, form.kill) if how == "kill" else (form.hang_class, form.hang)
    case = _CASES.get(name, "")
    verb, title = ("kill", "is killed") if how == "kill" else ("pause", "hangs")
    where = " on a compute node" if target == "any-compute" else ""
    member_of = {"conformance": bool(case), "quick": name in QUICK, "figures": kind != "watcher"}
    scenario = Scenario(
        name=name,
        title=f"{program} {title}{where}",
        fault_class=fault_class,
        faults=(Fault(verb=verb, target=target, options={"program": program}),),
        covers=(_requirement(how, kind), *([case] if case else [])),
        suites=tuple(suite for suite, wanted in member_of.items() if wanted),
        recover=60.0,
        # The product has to notice and to restart it; but nobody watches over the watchers.
        undo=how == "hang" and kind == "watcher",
        budgets={key: float(value) for key, value in {**figures, **_SAFE}.items()},
    )
    return replace(scenario, text=write(scenario))


def _requirement(how: str, kind: str) -> str:
    return _REQUIREMENTS.get(kind, "D1" if how == "kill" else "D2")
