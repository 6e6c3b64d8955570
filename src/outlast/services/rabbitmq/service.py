"""RabbitMQ: three brokers as one cluster, every queue replicated, its own records in Khepri (Raft) instead of Mnesia.

Khepri is what makes the return after any outage automatic: a majority is enough, whoever stopped last.
"""

from __future__ import annotations

import hashlib

from outlast.plan.plan import Member, Plan
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Ini, Scalar, Template, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Space, Step
from outlast.spec.secret import SecretRef
from outlast.spec.service import MemberSpec, Option, Port, ServiceSpec

SPEC = ServiceSpec(
    "rabbitmq",
    "RabbitMQ",
    kind="stateful",
    mode="active-active",
    roles=("service",),
    packages=("rabbitmq-server",),
    ports=(Port("amqp", 5672), Port("distribution", 25672), Port("epmd", 4369)),
    options=(
        Option("memory_mib", 512, "Memory above which publishers are slowed down, MiB.", minimum=128),
        Option("disk_free_mib", 200, "Free disk space below which publishers are stopped, MiB.", minimum=50),
        Option("schedulers", 1, "Erlang scheduler threads (processor cores it may use).", minimum=1, maximum=64),
    ),
    quorum=True,
)
HOME = "/var/lib/rabbitmq"
CONFIG = "/etc/rabbitmq/rabbitmq.conf"
LIBRARY = "/usr/local/lib/outlast"
CHECK, START, REPLACE = (f"{LIBRARY}/rabbitmq-{name}" for name in ("check", "start", "replace"))
LOG = "/var/log/outlast/rabbitmq.log"
ACCOUNT = "rabbitmq"
USER = "openstack"
USER_TIMEOUT = "{{raw, 6, 18, <<{}:32/native>>}}"
"""TCP_USER_TIMEOUT (tcp(7)) in milliseconds, in Erlang's words; RabbitMQ's networking guide gives the same for AMQP."""
SETUP = 2
"""Seconds for each step of connecting to another broker (kernel(6), net_setuptime; 7 by itself)."""
STARTS_IN_VAIN = 3
"""Starts in a row that ended before the broker listened, after which its data count as unreadable."""
FEATURE_FLAGS = (
    "message_containers_deaths_v2",
    "quorum_queue_non_voters",
    "rabbit_exchange_type_local_random",
    "rabbitmq_4.0.0",
    "khepri_db",
)
"""Everything stable that 4.0 does not require anyway, and Khepri. The list must be whole: 4.0.5 does not know the
short form "+khepri_db" and refuses to form a cluster with it (incompatible_feature_flags)."""


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One broker."""
    address = plan.address(member.node)
    cookie = SecretRef("rabbitmq/cookie")
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(
            Directory("/run/rabbitmq", 0o755, ACCOUNT, ACCOUNT),
            Directory(HOME, 0o750, ACCOUNT, ACCOUNT),
            Directory("/var/log/rabbitmq", 0o750, ACCOUNT, ACCOUNT),
        ),
        files=(
            File(CONFIG, Ini({"": _config(plan, address)}), 0o640, ACCOUNT, ACCOUNT),
            File("/etc/rabbitmq/advanced.config", Text(_kernel(plan, address))),
            File("/etc/rabbitmq/enabled_plugins", Text("[].\n")),
            File(f"{HOME}/.erlang.cookie", Text(f"{cookie}"), 0o400, ACCOUNT, ACCOUNT),
            File(CHECK, Template("rabbitmq", "rabbitmq-check.sh.j2", {"config": CONFIG}), 0o755, on_change="none"),
            File(
                START,
                Template("rabbitmq", "rabbitmq-start.sh.j2", _start(plan, member)),
                0o755,
                on_change="none",
            ),
            File(
                REPLACE,
                Template("rabbitmq", "rabbitmq-replace.sh.j2", {"home": HOME, "node": _name(member), "start": START}),
                0o755,
                on_change="none",
            ),
        ),
        facts=(("raft-log", LOG), ("replace-replica", REPLACE)),
        prepare=(_check(plan, address),),
        programs=(_program(plan, member),),
        space=Space(HOME, _space(plan)),
        probes=(
            Probe(
                "amqp",
                address,
                plan.port("rabbitmq", "amqp"),
                user=USER,
                secret=str(SecretRef("rabbitmq/openstack")),
                program="rabbitmq",
                interval=2.0,
                timeout=2.0,
            ),
        ),
    )


def _start(plan: Plan, member: Member) -> dict[str, object]:
    port = plan.port("rabbitmq", "amqp")
    peers = _peers(plan, member)
    return {"home": HOME, "node": _name(member), "peers": peers, "port": port, "starts": STARTS_IN_VAIN}


def _name(member: Member) -> str:
    return f"rabbit@{member.node}"


def _space(plan: Plan) -> int:
    """More than at what RabbitMQ raises its alarm: that blocks publishers at every broker, until this one is gone."""
    return round(1.25 * float(str(plan.option("rabbitmq", "disk_free_mib"))))


def _peers(plan: Plan, member: Member) -> list[str]:
    return [f"rabbit@{other.node}" for other in plan.members_of("rabbitmq") if other.node != member.node]


def _config(plan: Plan, address: str) -> dict[str, Scalar | tuple[str, ...]]:
    peers = {
        f"cluster_formation.classic_config.nodes.{number}": f"rabbit@{member.node}"
        for number, member in enumerate(plan.members_of("rabbitmq"), start=1)
    }
    return {
        "listeners.tcp.1": f"{address}:{plan.port('rabbitmq', 'amqp')}",
        "cluster_formation.peer_discovery_backend": "classic_config",
        **peers,
        # All start at the same time, and whoever is not the first waits for it, as long as it may take. Each look
        # starts an Erlang of its own (half a second of processor time), which the first one lacks if they are many.
        "cluster_formation.discovery_retry_interval": 2000,
        "cluster_formation.discovery_retry_limit": 100,
        # Khepri and quorum queues decide by majority themselves; this is for what little is left outside them.
        "cluster_partition_handling": "pause_minority",
        "net_ticktime": plan.timing.net_ticktime,
        # How often queues look whether their leader's node is still there; RabbitMQ's own 5 s are most of an outage.
        "raft.adaptive_failure_detector.poll_interval": round(plan.timing.broker_poll * 1000),
        "heartbeat": plan.timing.amqp_heartbeat,
        "default_queue_type": "quorum",
        # A member that came back as a new one (its data were gone) gets its share of every queue again.
        "quorum_queue.continuous_membership_reconciliation.enabled": "true",
        "quorum_queue.continuous_membership_reconciliation.auto_remove": "true",
        "quorum_queue.continuous_membership_reconciliation.target_group_size": min(3, len(plan.members_of("rabbitmq"))),
        # Made once, when the cluster is formed, instead of guest.
        "default_user": USER,
        "default_pass": str(SecretRef("rabbitmq/openstack")),
        "vm_memory_high_watermark.absolute": f"{plan.option('rabbitmq', 'memory_mib')}MiB",
        "disk_free_limit.absolute": f"{plan.option('rabbitmq', 'disk_free_mib')}MiB",
        "collect_statistics_interval": 60000,
        "log.console": True,
        "log.console.level": "info",
        "log.console.formatter": "plaintext",
        "log.file": False,
    }


def _check(plan: Plan, address: str) -> Step:
    """The broker's own reader takes its new configuration before the running broker is stopped for it."""
    wanted = repr((_config(plan, address), plan.overrides.get("rabbitmq")))
    # The digest makes the step run again for every new configuration.
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    return Step("check", (CHECK,), env=(("OUTLAST_CONFIGURATION", digest),), timeout=30.0)


def _kernel(plan: Plan, address: str) -> str:
    """Erlang's own connections: on the node's address only, on one port, and broken by the kernel where nobody answers.

    Net ticks notice a vanished broker after 3.75 to 6.25 s of their 5, and until then its queues' other members wait
    for it in calls that they make. Something is always under way: the failure detector speaks ten times a second.
    A call to one that is away is an attempt to connect, which Erlang gives seven seconds.
    """
    port = plan.port("rabbitmq", "distribution")
    settings = [
        f"{{inet_dist_use_interface, {{{address.replace('.', ',')}}}}}",
        f"{{inet_dist_listen_min, {port}}}, {{inet_dist_listen_max, {port}}}",
    ]
    if plan.timing.broker_silence:
        option = USER_TIMEOUT.format(round(plan.timing.broker_silence * 1000))
        settings += [f"{{inet_dist_{end}_options, [{{nodelay, true}}, {option}]}}" for end in ("connect", "listen")]
        settings.append(f"{{net_setuptime, {SETUP}}}")
    return "[{kernel, [" + ",\n           ".join(settings) + "]}].\n"


def _program(plan: Plan, member: Member) -> Program:
    schedulers = plan.option("rabbitmq", "schedulers")
    # Waiting schedulers that spin cost 20 % of a core per idle broker.
    erl = f"+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none"
    return Program(
        "rabbitmq",
        # Ends in /usr/lib/rabbitmq/bin; Debian's wrapper in /usr/sbin would become rabbitmq by su and log elsewhere.
        (START,),
        env=(
            ("HOME", HOME),
            ("LANG", "C.UTF-8"),
            ("RABBITMQ_NODENAME", f"rabbit@{member.node}"),
            ("RABBITMQ_LOG_BASE", "/var/log/rabbitmq"),
            ("RABBITMQ_FEATURE_FLAGS", ",".join(FEATURE_FLAGS)),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erl),
            ("ERL_EPMD_ADDRESS", plan.address(member.node)),
            ("ERL_CRASH_DUMP_SECONDS", "0"),
        ),
        user=ACCOUNT,
        directory=HOME,
        stop_seconds=30,
        priority=10,
    )


SERVICE = Service(SPEC, describe)
