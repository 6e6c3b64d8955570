"""Swift's files. A dead storage node costs a request half a second at most, and only the first few requests."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services import caches, oslo
from outlast.spec.program import LEAVING
from outlast.spec.secret import SecretRef

DEVICES = "/srv/node"
PIPELINE = "catch_errors gatekeeper healthcheck cache listing_formats authtoken keystoneauth copy slo dlo proxy-server"


def hashes() -> dict[str, oslo.Section]:
    """swift.conf. Changing these secrets loses every object: they decide where each one lies."""
    return {
        "swift-hash": {
            "swift_hash_path_prefix": str(SecretRef("swift/hash-prefix", "hex")),
            "swift_hash_path_suffix": str(SecretRef("swift/hash-suffix", "hex")),
        },
        "storage-policy:0": {"name": "default", "default": "yes"},
    }


def _server(plan: Plan, member: Member, port: str) -> oslo.Section:
    """[DEFAULT] of every server. No fork (workers = 0), and no syslog: a node has none, `-v` writes to stderr."""
    return {
        "bind_ip": plan.address(member.node),
        "bind_port": plan.port("swift", port),
        "workers": 0,
        "user": "root",
        "swift_dir": "/etc/swift",
        "log_level": "WARNING",
        "log_address": "/nonexistent",
    }


def proxy(plan: Plan, member: Member) -> dict[str, oslo.Section]:
    """proxy-server.conf."""
    filters: dict[str, oslo.Section] = {
        f"filter:{name}": {"use": f"egg:swift#{name}"}
        for name in ("catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo")
    }
    return {
        "DEFAULT": _server(plan, member, "swift"),
        "pipeline:main": {"pipeline": PIPELINE},
        "app:proxy-server": _proxy_app(),
        **filters,
        # While the file is there the check fails and requests are answered.
        "filter:healthcheck": {
            "use": "egg:swift#healthcheck",
            "disable_path": f"{LEAVING}/swift-proxy" if plan.timing.leave else None,
        },
        "filter:cache": _cache(plan),
        "filter:authtoken": _authtoken(plan),
        "filter:keystoneauth": {
            "use": "egg:swift#keystoneauth",
            "operator_roles": "admin, member, service",
            "reseller_prefix": "AUTH",
        },
    }


def _proxy_app() -> oslo.Section:
    """A node that failed is left aside for five seconds, so a dead one is not asked again by each request.

    No longer than that: of three nodes restarted one after the other, two must never be left aside at once. Not after
    several failures either: they are counted per proxy, and a hung node's come three seconds apart. Reads ask a
    second node after 0.3 s of silence instead of waiting for the first one's time-out.
    """
    return {
        "use": "egg:swift#proxy",
        "account_autocreate": True,
        "conn_timeout": 0.3,
        "node_timeout": 3,
        "recoverable_node_timeout": 2,
        "post_quorum_timeout": 0.3,
        "error_suppression_limit": 0,
        "error_suppression_interval": 5,
        "concurrent_gets": True,
        "concurrency_timeout": 0.3,
    }


def _cache(plan: Plan) -> oslo.Section:
    """A cache that failed once is left aside: a request that asks it for three things would wait three times."""
    return {
        "use": "egg:swift#memcache",
        "memcache_servers": caches.servers(plan),
        "connect_timeout": 0.3,
        "pool_timeout": 1,
        "io_timeout": 0.5,
        "tries": 3,
        "error_suppression_limit": 0,
        "error_suppression_interval": caches.retry(plan),
    }


def _authtoken(plan: Plan) -> oslo.Section:
    """[filter:authtoken]; validated tokens go to Swift's own cache, which knows dead memcached servers."""
    section = {key: value for key, value in oslo.authtoken(plan, "swift").items() if not key.startswith("memcache")}
    return {
        "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
        **section,
        "delay_auth_decision": True,
        "cache": "swift.cache",
    }


def storage(plan: Plan, member: Member, name: str) -> dict[str, oslo.Section]:
    """account-, container- or object-server.conf with the sections of the maintenance that belongs to it."""
    server = _server(plan, member, name) | {
        "devices": DEVICES,
        "mount_check": plan.option("swift", "mount_check"),
        "conn_timeout": 0.3,
        "node_timeout": 3,
        # Preallocating would count against the small volumes of a lab twice and saves nothing on modern disks.
        "disable_fallocate": True,
        "db_preallocation": False,
    }
    app: oslo.Section = {"use": f"egg:swift#{name}", "log_requests": False}
    upkeep: dict[str, oslo.Section] = {
        f"{name}-replicator": {"concurrency": 2, "node_timeout": 10},
        f"{name}-auditor": {},
    }
    if name == "account":
        upkeep["account-reaper"] = {"concurrency": 2}
    else:
        upkeep[f"{name}-updater"] = {"concurrency": 2}
    if name == "object":
        # An upload waits that long for the container's listing; with a dead node in it the updater brings it later.
        app["container_update_timeout"] = 0.2
        upkeep["object-replicator"] |= {"concurrency": 1, "rsync_timeout": 120, "rsync_io_timeout": 10}
    return {
        "DEFAULT": server,
        "pipeline:main": {"pipeline": f"healthcheck {name}-server"},
        "filter:healthcheck": {"use": "egg:swift#healthcheck"},
        f"app:{name}-server": app,
        **upkeep,
    }


def rsync(plan: Plan, member: Member) -> dict[str, oslo.Section]:
    """rsyncd.conf: three modules that only storage nodes may reach."""
    module: oslo.Section = {"path": DEVICES, "read only": False, "max connections": 8}
    return {
        "": {
            "uid": "root",
            "gid": "root",
            "address": plan.address(member.node),
            "port": plan.port("swift", "rsync"),
            "pid file": "/run/swift-rsync.pid",
            "use chroot": False,
            "reverse lookup": False,
            "timeout": 30,
            "hosts allow": " ".join(plan.addresses("swift")),
            "hosts deny": "*",
        },
        **{name: module | {"lock file": f"/run/lock/swift/{name}.lock"} for name in ("account", "container", "object")},
    }
