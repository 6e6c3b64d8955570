"""What the services of the network tell each other: where OVN's databases are, and the physical network's name."""

from __future__ import annotations

from outlast.plan.plan import Plan
from outlast.services.oslo import PYTHON_CODE
from outlast.spec.file import File, Template

PHYSICAL_NETWORK = "physnet1"
"""Neutron's word for the external network, mapped to a bridge on every gateway."""


def remotes(plan: Plan, database: str) -> str:
    """Every member of a database ("nb" or "sb"): its clients choose, and find the leader, by themselves."""
    port = plan.port("ovn", database)
    return ",".join(f"tcp:{address}:{port}" for address in plan.addresses("ovn"))


def probe_ms(plan: Plan) -> int:
    """Milliseconds of silence after which a connection to a database is questioned."""
    return round(float(plan.option("ovn", "probe_interval") or 0) * 1000)


def ring_file(plan: Plan) -> File:
    """The module that sets those times; who loads Neutron's OVN driver loads it before."""
    template = Template("neutron", "neutron_ring.py.j2", ring_times(plan))
    return File(f"{PYTHON_CODE}/outlast_neutron_ring.py", template)


def ring_times(plan: Plan) -> dict[str, object]:
    """Times of the hash ring, in seconds; of the search for a leader, in milliseconds.

    A worker is remembered as alive for `dead` and, in a cache, `cache` more.
    """
    dead = int(plan.option("neutron", "dead_worker") or 0)
    touch = max(1, dead // 4)
    ring: dict[str, object] = {"touch": touch, "dead": dead, "cache": 2 * touch, "remember": 3 * dead}
    return ring | {"search_min": 200, "search_max": 400}
