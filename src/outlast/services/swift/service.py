"""Swift: objects on the storage nodes, three copies in three failure domains. Stateful, active-active.

Four programs per node instead of Swift's thirteen: the proxy; account, container and object server in one process;
all maintenance in a second one; rsync, by which maintenance copies. The rings are computed on every node from the
same input, so nothing has to be distributed.
"""

from __future__ import annotations

import json

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.swift import config
from outlast.spec.file import Directory, File, Ini
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Option, Port, ServiceSpec

SPEC = ServiceSpec(
    "swift",
    "Swift",
    kind="stateful",
    mode="active-active",
    roles=("storage",),
    packages=("rsync",),
    ports=(
        Port("swift", 8080),
        Port("account", 6202),
        Port("container", 6201),
        Port("object", 6200),
        Port("rsync", 873),
    ),
    frontends=(
        Frontend(
            "swift",
            "swift",
            vips=("external", "internal"),
            check_path="/healthcheck",
            check_says="OK",
            balance="leastconn",
        ),
    ),
    catalogue=(CatalogueEntry("swift", "object-store", "swift", "/v1/AUTH_%(project_id)s"),),
    service_user=True,
    options=(
        Option(
            "replicas", 3, "Copies of every object (fewer when there are fewer storage nodes).", minimum=1, maximum=7
        ),
        Option("part_power", 8, "Binary logarithm of the number of partitions; fixed for good.", minimum=4, maximum=20),
        Option("upkeep_seconds", 30, "Pause between two rounds of replication.", minimum=1, maximum=3600),
        Option("mount_check", False, "Refuse to write when /srv/node/d1 is not a mounted disk of its own."),
    ),
    quorum=True,
    after=("memcached",),
    requires=("keystone", "memcached"),
)

PYTHON = f"{oslo.HOME}/bin/python"
CODE = (("PYTHONPATH", "/var/lib/outlast/code"), *oslo.ENV)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """Proxy and storage of one node."""
    address = plan.address(member.node)
    servers = ("account", "container", "object")
    return MemberSpec(
        "swift",
        member.node,
        files=(
            File("/etc/swift/swift.conf", Ini(config.hashes()), mode=0o600),
            File("/etc/swift/proxy-server.conf", Ini(config.proxy(plan, member)), mode=0o600),
            *(File(f"/etc/swift/{name}-server.conf", Ini(config.storage(plan, member, name))) for name in servers),
            File("/etc/swift/rsyncd.conf", Ini(config.rsync(plan, member))),
        ),
        directories=(
            Directory("/srv/node"),
            Directory("/srv/node/d1"),
            Directory("/var/cache/swift"),
            Directory("/run/lock/swift"),
        ),
        programs=_programs(plan, member),
        prepare=(_rings(plan),),
        probes=(
            oslo.api(plan, member, "swift", path="/healthcheck", says="OK", program="swift-proxy"),
            *(
                Probe(
                    "http",
                    address,
                    plan.port("swift", name),
                    "/healthcheck",
                    (200,),
                    "OK",
                    program="swift-storage",
                    interval=4.0,
                )
                for name in servers
            ),
            Probe(
                "tcp",
                address,
                plan.port("swift", "rsync"),
                contains="@RSYNCD:",
                program="swift-rsync",
                interval=4.0,
                timeout=2.0,
            ),
            # It works for long without a pause and then rests; on a busy node its turn comes late.
            Probe("pulse", path="group", program="swift-upkeep", interval=10.0, timeout=_upkeep(plan) + 30.0),
        ),
    )


def _upkeep(plan: Plan) -> float:
    return float(str(plan.option("swift", "upkeep_seconds")))


def _programs(plan: Plan, member: Member) -> tuple[Program, ...]:
    pause = f"{_upkeep(plan):g}"
    return (
        Program(
            "swift-storage", (PYTHON, "-m", "outlast.node.swift_storage"), env=CODE, priority=40, nice=oslo.API_NICE
        ),
        Program(
            "swift-rsync", ("/usr/bin/rsync", "--daemon", "--no-detach", "--config=/etc/swift/rsyncd.conf"), priority=40
        ),
        Program("swift-upkeep", (PYTHON, "-m", "outlast.node.swift_upkeep", pause), env=CODE, nice=15),
        Program(
            "swift-proxy",
            (f"{oslo.HOME}/bin/swift-proxy-server", "/etc/swift/proxy-server.conf", "-v"),
            nice=oslo.API_NICE,
            leave=oslo.leave(plan, member, plan.port("swift", "swift")),
        ),
    )


def rings(plan: Plan) -> dict[str, object]:
    """Input of `outlast.node.swift_rings`: the same on every node, and the same input gives the same files.

    A zone is a failure domain; zones are numbered in the order of members, devices too.
    """
    members = plan.members_of("swift")
    domains = list(dict.fromkeys(plan.node_by_name[member.node].domain for member in members))
    replicas = plan.option("swift", "replicas")
    assert isinstance(replicas, int)
    return {
        "part_power": plan.option("swift", "part_power"),
        "replicas": min(replicas, len(members)),
        "seed": 1,
        "ports": {name: plan.port("swift", name) for name in ("account", "container", "object")},
        "devices": [
            {
                "id": member.index,
                "region": 1,
                "zone": domains.index(plan.node_by_name[member.node].domain) + 1,
                "ip": plan.address(member.node),
                "device": "d1",
                "weight": 100,
            }
            for member in members
        ],
    }


def _rings(plan: Plan) -> Step:
    return Step(
        "rings",
        (PYTHON, "-m", "outlast.node.swift_rings", "/etc/swift"),
        env=CODE,
        stdin=json.dumps(rings(plan), sort_keys=True),
        timeout=120.0,
    )


SERVICE = Service(SPEC, describe)
