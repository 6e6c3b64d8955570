"""Rules about `budgets:`: each is about something that the cluster has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.spec.service import ServiceSpec

SUBJECTS: Mapping[str, str] = {
    "api-killed": "haproxy",
    "api-hung": "haproxy",
    "api-wrong": "haproxy",
    "node": "haproxy",
    "haproxy": "haproxy",
    "vip": "keepalived",
    "database": "galera",
    "broker": "rabbitmq",
    "broker-nodes": "rabbitmq",
    "broker-clients": "rabbitmq",
    "tcp": "haproxy",
    "memcached": "memcached",
    "rpc": "rabbitmq",
    "ovn": "ovn",
    "ovn-clients": "ovn",
    "gateway": "neutron",
    "compute": "nova",
    "zookeeper": "zookeeper",
}
"""The service that each budget is about; the kernel's connections (tcp-others) are everywhere."""


def budget_rules(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> Iterator[Problem]:
    """Whether the settings keep a budget is not known here: that takes a plan (outlast.predict)."""
    chosen = derive.chosen_services(cluster, specs)
    for name in cluster.budgets.given():
        service = SUBJECTS.get(name, "")
        if service and service not in chosen:
            sentence = f"budgets.{name} has no effect: {service} is not in this cluster"
            hint = "remove it, or choose the service"
            yield Problem("budget.absent", sentence, hint=hint, severity="warning", path=("budgets", name))
