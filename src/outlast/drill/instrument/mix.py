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

# What a request costs the cluster in CPU time decides its weight. Rough figures from uWSGI's CPU time on two shared
# cores: a GET of Keystone, Glance or Placement 15–25 ms, of Nova or Neutron 60–120 ms, a token or a small write about
# twice its service's GET, a network several hundred (two databases), a server goes through six programs and a
# hypervisor (seconds). The whole mix at 40/s asks for about one core.
MIX: Mapping[str, Share] = {
    "keystone-tokens": Share(service="keystone", weight=2.0),
    "keystone-projects": Share(service="keystone", weight=1.0, steps=_CYCLE),
    "keystone-read": Share(service="keystone", weight=8.0),
    "glance-read": Share(service="glance", weight=6.0),
    "glance-images": Share(service="glance", weight=1.0, steps=_CYCLE),
    "placement-read": Share(service="placement", weight=7.0),
    "placement-traits": Share(service="placement", weight=1.5, steps=_CYCLE),
    "nova-read": Share(service="nova", weight=2.5),
    "nova-keypairs": Share(service="nova", weight=0.5, steps=_CYCLE),
    "nova-servers": Share(service="nova", every=5.0, steps=("create", "delete"), keep=1),
    "neutron-read": Share(service="neutron", weight=2.0),
    "neutron-networks": Share(service="neutron", weight=0.25, steps=_CYCLE),
    "swift-objects": Share(service="swift", weight=2.5, steps=("create", "read", "create", "delete", "read"), keep=60),
    "sql-rows": Share(
        service="galera", weight=4.0, steps=("create", "read", "create"), keep=1_000_000, origin="compute"
    ),
    "mq-notices": Share(service="rabbitmq", weight=1.25, steps=("create",), keep=1_000_000, origin="compute"),
    "mq-rpc": Share(service="rabbitmq", weight=0.5, origin="compute"),
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
