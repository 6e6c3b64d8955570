"""A plan of three controllers for tests of the OpenStack services; what others own is a stub with the right ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from outlast.plan.plan import Member, Plan, PlannedFrontend, PlannedNode
from outlast.services.contract import Service
from outlast.services.glance.service import SERVICE as GLANCE
from outlast.services.keystone.service import SERVICE as KEYSTONE
from outlast.services.placement.service import SERVICE as PLACEMENT
from outlast.services.swift.service import SERVICE as SWIFT
from outlast.spec.file import File, Ini, Scalar
from outlast.spec.service import Frontend, Port, ServiceSpec
from outlast.spec.timing import OUTLAST

VIPS = {"external": "10.20.0.250", "internal": "10.21.0.250"}
OURS = {service.spec.name: service for service in (KEYSTONE, GLANCE, SWIFT, PLACEMENT)}


def _stub(name: str, *ports: Port, frontends: tuple[Frontend, ...] = ()) -> ServiceSpec:
    return ServiceSpec(name, name, "stateful", "active-active", ("service",), ports=ports, frontends=frontends)


STUBS = (
    _stub("galera", Port("galera", 3306), frontends=(Frontend("galera", "galera", mode="tcp"),)),
    _stub("rabbitmq", Port("amqp", 5672)),
    _stub("memcached", Port("memcached", 11211)),
)


def sample(nodes: int = 3, domains: int = 3, **options: Mapping[str, Scalar]) -> Plan:
    """c1, c2, … with every service on each; node n lies in domain n modulo `domains`."""
    specs = {spec.name: spec for spec in (*STUBS, *(service.spec for service in OURS.values()))}
    planned = tuple(_node(number, domains) for number in range(1, nodes + 1))
    members = tuple(Member(name, node.name, node.index) for name in specs for node in planned)
    frontends = tuple(
        PlannedFrontend(name, frontend, vip, VIPS[vip], port.number, (), port.number)
        for name, spec in specs.items()
        for frontend in spec.frontends
        for port in spec.ports
        if port.name == frontend.port_name
        for vip in frontend.vips
    )
    chosen = {
        name: {option.name: option.default for option in spec.options} | dict(options.get(name, {}))
        for name, spec in specs.items()
    }
    return Plan("lab", "RegionOne", OUTLAST, "safe", planned, {}, {}, specs, members, frontends, chosen)


def _node(number: int, domains: int) -> PlannedNode:
    addresses = {"management": f"10.20.0.{10 + number}", "control-data": f"10.21.0.{10 + number}"}
    return PlannedNode(f"c{number}", number - 1, ("service", "storage"), f"d{(number - 1) % domains}", addresses)


def files(plan: Plan, service: str, node: int = 0) -> dict[str, File]:
    """Files of one member by path."""
    described = _service(service).describe(plan, plan.members_of(service)[node])
    return {item.path: item for item in described.files}


def ini(plan: Plan, service: str, path: str, node: int = 0) -> Ini:
    """One file's sections."""
    content = files(plan, service, node)[path].content
    assert isinstance(content, Ini)
    return content


def without(plan: Plan, service: str) -> Plan:
    """The same plan without a service."""
    return replace(plan, members=tuple(member for member in plan.members if member.service != service))


def _service(name: str) -> Service:
    return OURS[name]
