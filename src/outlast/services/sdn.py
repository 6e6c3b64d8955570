"""What the services of the network tell each other: where OVN's databases are, and the physical network's name."""

from __future__ import annotations

from outlast.plan.plan import Plan

PHYSICAL_NETWORK = "physnet1"
"""Neutron's word for the external network, mapped to a bridge on every gateway."""


def remotes(plan: Plan, database: str) -> str:
    """Every member of a database ("nb" or "sb"): its clients choose, and find the leader, by themselves."""
    port = plan.port("ovn", database)
    return ",".join(f"tcp:{address}:{port}" for address in plan.addresses("ovn"))


def probe_ms(plan: Plan) -> int:
    """Milliseconds of silence after which a connection to a database is questioned."""
    return round(float(plan.option("ovn", "probe_interval") or 0) * 1000)
