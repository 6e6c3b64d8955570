"""ZooKeeper: the agents' shared memory."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Ini, Scalar, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program
from outlast.spec.service import MemberSpec, Option, Port, ServiceSpec

SPEC = ServiceSpec(
    "zookeeper",
    "ZooKeeper",
    kind="stateful",
    mode="active-active",
    roles=("service",),
    packages=("zookeeper", "default-jre-headless"),
    ports=(Port("client", 2181), Port("quorum", 2888), Port("election", 3888)),
    options=(
        Option("heap_mib", 96, "Java heap, MiB.", minimum=48),
        Option("tick_ms", 500, "Milliseconds of a tick: sessions last 2 to 20 ticks.", minimum=100, maximum=10000),
    ),
    quorum=True,
)
DATA = "/var/lib/zookeeper"
# Debian's /etc/zookeeper/conf is a symbolic link to an absolute path, which leads elsewhere seen from outside the node.
FOLDER = "/etc/outlast/zookeeper"


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One member of the ensemble; its id is its place among the members plus one."""
    address = plan.address(member.node)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(Directory(DATA, 0o750, "zookeeper", "zookeeper"),),
        files=(
            File(f"{FOLDER}/zoo.cfg", Ini({"": _config(plan, address)}, separator="=")),
            File(f"{DATA}/myid", Text(f"{member.index + 1}\n"), owner="zookeeper", group="zookeeper"),
        ),
        programs=(Program("zookeeper", _argv(plan), user="zookeeper", directory=DATA, stop_seconds=5, priority=5),),
        probes=(Probe("zookeeper", address, plan.port("zookeeper", "client"), program="zookeeper", interval=2.0),),
    )


def hosts(plan: Plan) -> str:
    """Connection string for clients: they choose among the members by themselves."""
    port = plan.port("zookeeper", "client")
    return ",".join(f"{address}:{port}" for address in plan.addresses("zookeeper"))


def _config(plan: Plan, address: str) -> dict[str, Scalar | tuple[str, ...]]:
    quorum, election = plan.port("zookeeper", "quorum"), plan.port("zookeeper", "election")
    members = plan.members_of("zookeeper")
    servers = {f"server.{one.index + 1}": f"{plan.address(one.node)}:{quorum}:{election}" for one in members}
    return {
        "dataDir": DATA,
        "clientPort": plan.port("zookeeper", "client"),
        "clientPortAddress": address,
        "quorumListenOnAllIPs": False,
        "tickTime": plan.option("zookeeper", "tick_ms"),
        "initLimit": 20,
        "syncLimit": 4,
        "maxClientCnxns": 200,
        "admin.enableServer": False,
        "4lw.commands.whitelist": "srvr,ruok,mntr",
        "autopurge.snapRetainCount": 3,
        "autopurge.purgeInterval": 1,
        "snapCount": 10000,
        # The log file is written in pieces of this size: small ones suit a small disk.
        "preAllocSize": 4096,
        **(servers if len(members) > 1 else {}),
    }


def _argv(plan: Plan) -> tuple[str, ...]:
    return (
        "/usr/bin/java",
        f"-Xmx{plan.option('zookeeper', 'heap_mib')}m",
        "-XX:+UseSerialGC",
        # The fast compiler only: little memory, and half the time to the first answer.
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.net.preferIPv4Stack=true",
        "-cp",
        "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        f"{FOLDER}/zoo.cfg",
    )


SERVICE = Service(SPEC, describe)
