"""Where the caches are, and what OpenStack's programs do when one fails."""

from __future__ import annotations

from outlast.plan.plan import Plan
from outlast.spec.file import Scalar


def servers(plan: Plan) -> str:
    """host:port of every memcached member, the same order everywhere (the order decides where a key lives)."""
    port = plan.port("memcached", "memcached") if plan.has("memcached") else 0
    return ",".join(f"{address}:{port}" for address in plan.addresses("memcached"))


def retry(plan: Plan) -> int:
    """Seconds for which a cache that failed is left aside.

    Without any cache Keystone answers everything itself, a token in 47 ms of a core instead of 3.5: when all three had
    hung for a second, the time for which they were left aside was what clients noticed. Where agents repair, a cache is
    back within a second, and connecting to one whose node is away fails within a round of echoes (node/vanished.py).
    """
    return 1 if plan.timing.repair_after else 10


def section(plan: Plan) -> dict[str, Scalar | tuple[str, ...]]:
    """[cache]: a pool that leaves a dead or hung memcached aside.

    A hung server costs one socket time-out every `memcache_dead_retry` seconds; the defaults (3 s, 300 s) would be
    felt in every request and keep an empty cache for minutes after a short outage.
    """
    if not plan.has("memcached"):
        return {"enabled": False}
    return {
        "enabled": True,
        "backend": "oslo_cache.memcache_pool",
        "memcache_servers": servers(plan),
        "memcache_dead_retry": retry(plan),
        "socket_timeout": 0.5,
        "memcache_pool_maxsize": 20,
        "memcache_pool_unused_timeout": 60,
        "memcache_pool_connection_get_timeout": 1,
    }
