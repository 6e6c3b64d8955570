"""Which workloads there are, how often each sends, and in which order it makes, lists and removes. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from outlast.record.history import Kind

Origin = Literal["client", "compute"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """One workload.

    weight: requests per second when all workloads together send 40. every: seconds between two requests where the rate
    is fixed (then weight is 0). steps: kinds in turn; a step that has nothing to work on becomes a list. keep: things
    alive at most, beyond it a create becomes a delete (projects have quotas of 100). origin: where its clients live.
    """

    service: str
    weight: float = 0.0
    every: float = 0.0
    steps: tuple[Kind, ...] = ("read",)
    keep: int = 30
    origin: Origin = "client"


# More is made than removed, so that something is always there that must not get lost.
_CYCLE: tuple[Kind, ...] = ("create", "list", "create", "delete", "list")

# What one request costs the cluster, in CPU milliseconds over all its processes, decides the weight. Version documents
# cost 2–4 and show at once when a balancer or an API is gone: most of the rate. Reads cost 10–40, tokens and rows of
# one database the same, a network 100–200; a server goes through six programs and a hypervisor (thousands). With
# nothing but real reads and writes at 40 a second two cores could not keep up: all checks of the balancer timed out.
MIX: Mapping[str, Share] = {
    "keystone-version": Share(service="keystone", weight=5.0),
    "keystone-tokens": Share(service="keystone", weight=1.0),
    "keystone-projects": Share(service="keystone", weight=0.4, steps=_CYCLE),
    "keystone-read": Share(service="keystone", weight=1.2),
    "glance-version": Share(service="glance", weight=4.5),
    "glance-read": Share(service="glance", weight=0.8),
    "glance-images": Share(service="glance", weight=0.3, steps=_CYCLE),
    "placement-version": Share(service="placement", weight=4.5),
    "placement-read": Share(service="placement", weight=0.8),
    "placement-traits": Share(service="placement", weight=0.4, steps=_CYCLE),
    "nova-version": Share(service="nova", weight=4.5),
    "nova-read": Share(service="nova", weight=0.7),
    "nova-keypairs": Share(service="nova", weight=0.4, steps=_CYCLE),
    "nova-servers": Share(service="nova", every=30.0, steps=("create", "delete"), keep=1),
    "neutron-version": Share(service="neutron", weight=4.5),
    "neutron-read": Share(service="neutron", weight=0.7),
    "neutron-networks": Share(service="neutron", weight=0.2, steps=_CYCLE),
    "swift-health": Share(service="swift", weight=2.0),
    "swift-objects": Share(service="swift", weight=0.8, steps=("create", "read", "create", "delete", "read"), keep=60),
    "sql-rows": Share(
        service="galera", weight=4.5, steps=("create", "read", "create"), keep=1_000_000, origin="compute"
    ),
    "mq-notices": Share(service="rabbitmq", weight=2.0, steps=("create",), keep=1_000_000, origin="compute"),
    "mq-rpc": Share(service="rabbitmq", weight=0.8, origin="compute"),
}


def rates(workloads: Iterable[str], rate: float) -> dict[str, float]:
    """Requests per second of each workload: `rate` shared by weight, fixed ones beside it."""
    named = list(dict.fromkeys(workloads))
    total = sum(MIX[name].weight for name in named)
    return {name: 1.0 / MIX[name].every if MIX[name].every else rate * MIX[name].weight / total for name in named}


def by_origin(workloads: Iterable[str], rate: float) -> dict[Origin, tuple[tuple[str, ...], float]]:
    """Workloads and their part of the rate, by the place from which they are sent; a place without any is left out."""
    shares = rates(workloads, rate)
    found: dict[Origin, tuple[tuple[str, ...], float]] = {}
    for origin in ("client", "compute"):
        mine = tuple(name for name in shares if MIX[name].origin == origin)
        if mine:
            found[origin] = (mine, sum(shares[name] for name in mine if MIX[name].weight))
    return found
