"""How often each class of fault happens, and who says so.

A figure is for one member and year; `members` says how many there are of them. `weight` is the shape of the gamma
distribution of the true rate around it (its spread is 1/sqrt(weight)): 4 where counts of large fleets were published,
2 where one study was carried over to another kind of program, 1 for an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Members = Literal["controller", "compute", "site"]
Target = Literal["api", "tenant"]

FLEET, CARRIED, ASSUMED = 4.0, 2.0, 1.0
REPAIR_HOURS = 24.0
"""Mean hours until a broken part of a node is replaced. Schroeder and Gibson, "A large-scale study of failures in
high-performance computing systems" (2006): mean repair times of 20 systems lie between less than one hour and more
than a day; this is the long end."""
OPERATOR_HOURS = 1.0
"""Hours until a person has repaired what did not come back alone. The short end of the same study: no spare part."""

_DEAN = (
    'J. Dean, talk at Google I/O (2008), reported by Data Center Knowledge, "Failure Rates in Google Data Centers": '
    "1,000 machine failures in the first year of a cluster of 1,800 servers = 0.56 per server and year"
)
_RACK = f"{_DEAN.partition(':')[0]}: of about 45 racks with 40 servers each,"
_PROGRAM = (
    'R. Chillarege, S. Biyani, J. Rosenthal, "Measurement of Failure Rate in Widely Distributed Software" (1995): '
    "time between failures of an installed copy 4 and 2 years for two releases; the worse, 0.5 per program and year"
)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Failures of one class per member and year.

    hardware: share of the failures after which a part must be replaced, so that the member stays away for the repair.
    takes: what a failing member takes with it: "node" everything on it, a class's own name that service's member,
    "" nothing that counts for a majority. least: controllers without which the class cannot happen. targets: whose
    availability it counts for.
    """

    per_year: float
    members: Members
    weight: float
    source: str
    hardware: float = 0.0
    takes: str = ""
    least: int = 1
    targets: tuple[Target, ...] = ("api", "tenant")


def _programs(count: int, which: str, takes: str = "", members: Members = "controller") -> Rate:
    said = f"{_PROGRAM}; times {count}: {which}"
    return Rate(per_year=0.5 * count, members=members, weight=CARRIED, source=said, takes=takes)


def _assumed(per_year: float, members: Members, why: str) -> Rate:
    return Rate(per_year=per_year, members=members, weight=ASSUMED, source=f"assumption: {why}")


DEFAULT_RATES: Mapping[str, Rate] = {
    "api-kill": _programs(5, "Keystone, Glance, Placement, Neutron, Nova"),
    "api-hang": _assumed(0.6, "controller", "one hang for every four crashes of an API program"),
    "worker-kill": _programs(3, "nova-scheduler, nova-conductor, Swift"),
    "worker-hang": _assumed(0.4, "controller", "one hang for every four crashes of a worker"),
    "agent-kill": _programs(3, "nova-compute, ovn-controller, the metadata agent", members="compute"),
    "agent-hang": _assumed(0.4, "compute", "one hang for every four crashes of an agent"),
    "wrong-answer": _assumed(0.1, "controller", "one program in ten controller years answers nonsense without dying"),
    "balancer": _programs(
        1,
        "HAProxy. Gill, Jain, Nagappan, Understanding Network Failures in Data Centers (2011) has 1 of 5 hardware "
        "load balancers failing in a year",
    ),
    "vrrp": _programs(1, "Keepalived"),
    "database": _programs(1, "MariaDB with Galera", "database"),
    "broker": _programs(1, "RabbitMQ", "broker"),
    "cache": _programs(1, "memcached"),
    "coordination": _programs(1, "ZooKeeper", "coordination"),
    "sdn": _programs(3, "OVN's two databases and northd", "sdn"),
    "watcher": _programs(2, "the agent and supervisord"),
    "node-power": Rate(
        per_year=0.56,
        members="controller",
        weight=FLEET,
        hardware=0.14,
        takes="node",
        source=f"{_DEAN}. Of these 0.08 (a share of 0.14) need a part: K. Vishwanath, N. Nagappan, "
        '"Characterizing Cloud Computing Hardware Reliability" (2010), 8 % of servers a year',
    ),
    "nodes-power": Rate(
        per_year=0.44,
        members="site",
        weight=CARRIED,
        least=5,
        source=f"{_RACK} 20 fail in a year = 0.44 per rack, with two controllers in one of them",
    ),
    "reboot": _assumed(4.0, "controller", "a new kernel each quarter"),
    "network": Rate(
        per_year=0.08,
        members="controller",
        weight=FLEET,
        hardware=0.32,
        takes="node",
        source='R. Singh and others, "Surviving switch failures in cloud datacenters" (2021): 2 % of switches fail '
        "within three months, 32 % of failures are hardware; every controller on a switch of its own. "
        "Gill and others (2011) have 5 % of top-of-rack switches a year",
    ),
    "partition": _assumed(0.2, "site", "a switch or filter that lets some pairs of nodes talk and not others"),
    "network-quality": Rate(
        per_year=0.11,
        members="site",
        weight=CARRIED,
        source=f"{_RACK} 5 lose half of their packets for a time in a year = 0.11 per rack",
    ),
    "disk": Rate(
        per_year=0.0314,
        members="controller",
        weight=FLEET,
        hardware=1.0,
        takes="node",
        source='Backblaze, "Drive Stats for 2024" (2025): 1.57 % of drives a year, repeated in "Drive Stats for '
        'Q3 2025"; times 2 drives that are not mirrored. A full file system is not in this figure',
    ),
    "overload": _assumed(1.0, "site", "one burst a year that the controllers were not sized for"),
    "all-power": Rate(
        per_year=0.14,
        members="site",
        weight=CARRIED,
        source='Uptime Institute, "Annual outage analysis 2025": 53 % of operators had an outage within three years '
        "= 0.25 a year if independent; power caused 54 % of those with an impact; every one taken as total",
    ),
    "controllers-down": Rate(
        per_year=0.14,
        members="site",
        weight=ASSUMED,
        targets=("tenant",),
        source="assumption: as often as all-power, which is where the API pays for it",
    ),
    "damage": _assumed(0.05, "controller", "files of one member unusable once in twenty controller years"),
    "maintenance": _assumed(12.0, "site", "a rolling restart of everything each month"),
    "compute": Rate(per_year=0.56, members="compute", weight=FLEET, source=_DEAN, hardware=0.14),
}
