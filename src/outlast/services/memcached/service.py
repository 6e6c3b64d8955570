"""memcached: token and region caches. Each member stands alone; the clients spread keys over all of them."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services.contract import Service
from outlast.spec.probe import Probe
from outlast.spec.program import Program
from outlast.spec.service import MemberSpec, Option, Port, ServiceSpec

SPEC = ServiceSpec(
    "memcached",
    "memcached",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    packages=("memcached",),
    ports=(Port("memcached", 11211),),
    options=(
        Option("memory_mib", 64, "Memory for cached items, MiB.", minimum=16),
        Option("max_connections", 1024, "Connections at most.", minimum=64, maximum=65535),
    ),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One cache. UDP is off; it has no configuration file.

    While it hangs each of its clients waits for it, again and again, and to start it again loses nothing.
    """
    address, port = plan.address(member.node), plan.port("memcached", "memcached")
    memory, connections = (plan.option("memcached", name) for name in ("memory_mib", "max_connections"))
    argv = ("/usr/bin/memcached", "-l", address, "-p", str(port), "-U", "0", "-m", str(memory), "-c", str(connections))
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        programs=(Program("memcached", argv, user="memcache", stop_seconds=2, priority=5, nice=-5, disposable=True),),
        probes=(Probe("memcached", address, port, program="memcached", timeout=0.3),),
    )


SERVICE = Service(SPEC, describe)
