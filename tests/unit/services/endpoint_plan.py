"""A plan of three endpoint nodes with two VIPs, for tests of the balancer and of Keepalived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from outlast.plan.plan import Member, Plan, PlannedFrontend, PlannedNetwork, PlannedNode, PlannedVip
from outlast.render.tree import text
from outlast.services.contract import Service
from outlast.services.haproxy.service import SERVICE as HAPROXY
from outlast.services.keepalived.service import SERVICE as KEEPALIVED
from outlast.spec.file import Scalar
from outlast.spec.service import Frontend
from outlast.spec.timing import OUTLAST, Timing

NODES = ("c1", "c2", "c3")
SERVICES: dict[str, Service] = {"haproxy": HAPROXY, "keepalived": KEEPALIVED}
KEYSTONE = Frontend("keystone", "api", ("external", "internal"), check_path="/v3", check_statuses=(200, 300))
GALERA = Frontend("galera", "sql", mode="tcp", check_port=9200, single=True)


def sample(timing: Timing = OUTLAST, **options: Mapping[str, Scalar]) -> Plan:
    """Keystone on both VIPs, Galera on the internal one; `options` by service."""
    chosen = {
        name: {item.name: item.default for item in one.spec.options} | dict(options.get(name, {}))
        for name, one in SERVICES.items()
    }
    return Plan(
        cluster="lab",
        region="RegionOne",
        timing=timing,
        recovery="safe",
        nodes=tuple(_node(number) for number in (1, 2, 3)),
        networks={
            "management": PlannedNetwork("management", "10.20.0.0/24", 24, "mgmt"),
            "control-data": PlannedNetwork("control-data", "10.21.0.0/24", 24, "ctl"),
        },
        vips={
            "external": _vip("external", "10.20.0.250", "management", "mgmt", 61, timing),
            "internal": _vip("internal", "10.21.0.250", "control-data", "ctl", 62, timing),
        },
        specs={name: one.spec for name, one in SERVICES.items()},
        members=tuple(Member(name, node, index) for name in SERVICES for index, node in enumerate(NODES)),
        frontends=(
            _frontend(KEYSTONE, "external", "10.20.0.250", 5000),
            _frontend(KEYSTONE, "internal", "10.21.0.250", 5000),
            _frontend(GALERA, "internal", "10.21.0.250", 3306),
        ),
        options=chosen,
    )


def _node(number: int) -> PlannedNode:
    addresses = {"management": f"10.20.0.{10 + number}", "control-data": f"10.21.0.{10 + number}"}
    return PlannedNode(f"c{number}", number - 1, ("endpoint", "service"), f"d{number}", addresses)


def _vip(name: str, address: str, network: str, interface: str, number: int, timing: Timing) -> PlannedVip:
    priorities = dict(zip(NODES, timing.vrrp_priorities, strict=True))
    return PlannedVip(name, address, 24, network, interface, number, priorities)


def _frontend(frontend: Frontend, vip: str, address: str, port: int) -> PlannedFrontend:
    servers = tuple((node, f"10.21.0.{11 + index}", port) for index, node in enumerate(NODES))
    return PlannedFrontend(frontend.name, frontend, vip, address, port, servers, frontend.check_port or port)


def files(plan: Plan, service: str, node: str = "c1") -> dict[str, str]:
    """Text of a member's files by path, the operator's raw settings merged in."""
    member = next(item for item in plan.members_of(service) if item.node == node)
    overrides = plan.overrides.get(service, {})
    described = SERVICES[service].describe(plan, member)
    return {file.path: text(file, overrides.get(file.path.rsplit("/", 1)[-1], {})) for file in described.files}


def overridden(plan: Plan, service: str, sections: Mapping[str, Mapping[str, Scalar]]) -> Plan:
    """The plan with raw settings for the service's main file."""
    return replace(plan, overrides={service: {f"{service}.{'cfg' if service == 'haproxy' else 'conf'}": sections}})
