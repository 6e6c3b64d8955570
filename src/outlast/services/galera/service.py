"""MariaDB with Galera: one database on all service nodes, written through one member at a time.

pc.recovery stays on: when all members die at once and are restarted where they stand, Galera itself restores the
primary component as soon as all members of its last view are back, faster than an agent could and by the same argument.
It cannot get in the agent's way: a bootstrap ignores and removes the node's own view file (gvwstate.dat), and members
that still wait for the old view join the new primary component when they meet it.

wsrep_sync_wait is left alone: whether a read must see what was written elsewhere is each client's own question.
"""

from __future__ import annotations

import hashlib

from outlast.plan.plan import Member, Plan
from outlast.services.contract import Service
from outlast.services.galera import facts
from outlast.spec.file import Directory, File, Ini, Scalar, Template
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Space, Step
from outlast.spec.secret import SecretRef
from outlast.spec.service import Frontend, MemberSpec, Option, Port, ServiceSpec
from outlast.spec.timing import Timing

SPEC = ServiceSpec(
    "galera",
    "MariaDB Galera",
    kind="stateful",
    mode="active-active",
    roles=("service",),
    packages=("mariadb-server", "galera-4", "mariadb-backup", "socat", "nftables"),
    ports=(
        Port("galera", 3306),
        Port("cluster", 4567),
        Port("ist", 4568),
        Port("sst", 4444),
        Port("check", 9200),
    ),
    frontends=(
        # Sessions may idle for long (pools keep them); whoever owns one notices a dead peer by keepalive.
        Frontend("galera", "galera", mode="tcp", check_port=9200, single=True, server_timeout=3600.0),
    ),
    options=(
        Option("buffer_pool_mib", 192, "Memory for cached pages (innodb_buffer_pool_size), MiB.", minimum=32),
        Option("log_mib", 64, "Size of the redo log, MiB.", minimum=8),
        Option(
            "gcache_mib",
            128,
            "Changes kept for members that were away, MiB on disk: within it they return without a full copy.",
            minimum=16,
        ),
        Option(
            "disk_free_mib",
            100,
            "Free disk space below which a member is stopped while the others go on without it, MiB.",
            minimum=10,
        ),
        Option("max_connections", 1000, "Sessions at most.", minimum=50, maximum=20000),
        Option("applier_threads", 4, "Threads that apply the other members' changes.", minimum=1, maximum=64),
    ),
    quorum=True,
)
SOCKET = "/run/mysqld/mysqld.sock"
PROVIDER = "/usr/lib/galera/libgalera_smm.so"
CONFIG = "/etc/mysql/mariadb.conf.d/99-outlast.cnf"
LIBRARY = "/usr/local/lib/outlast"
SCRIPTS = ("galera-seed", "galera-position", "galera-start", "galera-notify", "galera-schema", "galera-check")


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One database member with the responder that HAProxy asks about it."""
    address = plan.address(member.node)
    responder = ("/opt/outlast/bin/outlast-node", "responder", "--listen", f"{address}:{plan.port('galera', 'check')}")
    variables = _variables(plan)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(
            Directory("/run/mysqld", 0o755, "mysql", "mysql"),
            Directory(facts.RUN, 0o755),
            Directory(facts.BASE, 0o755, "mysql", "mysql"),
        ),
        files=(
            File(CONFIG, Ini(_config(plan, member))),
            *(
                File(f"{LIBRARY}/{name}", Template("galera", f"{name}.sh.j2", variables), mode=0o755, on_change="none")
                for name in SCRIPTS
            ),
        ),
        prepare=(
            Step(
                "galera-seed",
                (f"{LIBRARY}/galera-seed",),
                timeout=120.0,
                unless=("test", "-d", facts.DATA),
            ),
            _check(plan, member),
        ),
        programs=(
            # The start script needs the bootstrap flag; mariadbd runs as mysql.
            # MariaDB 11.8 forgets a TERM that comes while it joins, and then serves nobody until it is killed. What it
            # was given so far is committed or transferred anew: a joiner has nothing that the others do not have.
            Program(
                "galera",
                (f"{LIBRARY}/galera-start",),
                stop_seconds=60,
                priority=10,
                respawn=False,
                deaf_start=True,
            ),
            # A donor serves on (IST and mariabackup do not block it). Were it taken out, the first joiner of a new
            # cluster would take the only member away from everybody who has just begun to use it.
            Program("galera-responder", (*responder, "--socket", SOCKET, "--donor-ok"), stop_seconds=2, priority=11),
        ),
        setup=_setup(plan),
        probes=(
            Probe("wsrep", path=SOCKET, program="galera"),
            # Whatever it says of the database, it has answered.
            Probe(
                "http",
                address,
                plan.port("galera", "check"),
                statuses=(200, 503),
                program="galera-responder",
                interval=2.0,
            ),
        ),
        start="galera",
        space=Space(facts.BASE, int(str(plan.option("galera", "disk_free_mib")))),
        facts=(
            ("base", facts.BASE),
            ("data", facts.DATA),
            ("socket", SOCKET),
            ("members", ",".join(other.node for other in plan.members_of("galera"))),
        ),
    )


def _check(plan: Plan, member: Member) -> Step:
    """The server itself reads its new configuration before the running one is stopped for it."""
    wanted = repr((_config(plan, member), plan.overrides.get("galera")))
    # The digest makes the step run again for every new configuration.
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    return Step("check", (f"{LIBRARY}/galera-check",), env=(("OUTLAST_CONFIGURATION", digest),), timeout=30.0)


def _setup(plan: Plan) -> tuple[Step, ...]:
    """Tables first, then the users: whoever can log in finds its tables."""
    if not databases(plan):
        return ()
    return (
        Step("galera-schema", (f"{LIBRARY}/galera-schema",), timeout=300.0),
        Step(
            "galera-users",
            ("mariadb", "--no-defaults", f"--socket={SOCKET}", "--batch"),
            stdin=users_sql(plan),
            timeout=30.0,
        ),
    )


def databases(plan: Plan) -> tuple[str, ...]:
    """Databases of all services that are in the plan."""
    return tuple(name for spec in plan.specs.values() if plan.has(spec.name) for name in spec.databases)


def users_sql(plan: Plan) -> str:
    """One user per service, all rights on its own databases and none elsewhere. Safe to repeat."""
    lines: list[str] = []
    for spec in plan.specs.values():
        if not spec.databases or not plan.has(spec.name):
            continue
        user = f"'{spec.name}'@'%'"
        password = f"IDENTIFIED BY '{SecretRef(f'db/{spec.name}')}'"
        lines.append(f"CREATE USER IF NOT EXISTS {user} {password};")
        lines.append(f"ALTER USER {user} {password};")
        for name in spec.databases:
            # In a GRANT an underscore stands for any letter unless escaped.
            pattern = name.replace("_", "\\_")
            lines.append(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO {user};")
    return "\n".join(lines) + "\n"


def _config(plan: Plan, member: Member) -> dict[str, dict[str, Scalar | tuple[str, ...]]]:
    address = plan.address(member.node)
    # The founder comes first in the balancer's list, so it is the last to be burdened with a state transfer.
    donors = [other.node for other in reversed(plan.members_of("galera")) if other.node != member.node]
    mariadbd: dict[str, Scalar | tuple[str, ...]] = {
        "user": "mysql",
        "datadir": facts.DATA,
        "socket": SOCKET,
        "pid-file": "/run/mysqld/mysqld.pid",
        "bind-address": address,
        "port": plan.port("galera", "galera"),
        "skip-name-resolve": "ON",
        "max_connections": plan.option("galera", "max_connections"),
        "performance_schema": "OFF",
        "binlog_format": "ROW",
        "default_storage_engine": "InnoDB",
        "innodb_autoinc_lock_mode": 2,
        # On by default since 11.6. Of two logins of one user at once (each notes the day of the last one) Keystone then
        # answers one with an error (1020, "Record has changed since last read"), and whoever asked for a token fails.
        "innodb_snapshot_isolation": "OFF",
        "innodb_flush_log_at_trx_commit": plan.timing.flush_at_commit,
        "innodb_buffer_pool_size": f"{plan.option('galera', 'buffer_pool_mib')}M",
        "innodb_log_file_size": f"{plan.option('galera', 'log_mib')}M",
        "wsrep_on": "ON",
        "wsrep_provider": PROVIDER,
        "wsrep_cluster_name": plan.cluster,
        "wsrep_cluster_address": f"gcomm://{','.join(plan.addresses('galera'))}",
        "wsrep_node_name": member.node,
        "wsrep_node_address": address,
        "wsrep_node_incoming_address": f"{address}:{plan.port('galera', 'galera')}",
        "wsrep_slave_threads": plan.option("galera", "applier_threads"),
        "wsrep_notify_cmd": f"{LIBRARY}/galera-notify",
        "wsrep_sst_method": "mariabackup",
        # The unix user mysql, who owns the data anyway, logs in by the socket: no password to keep.
        "wsrep_sst_auth": "mysql:",
        "wsrep_sst_donor": f"{','.join(donors)}," if donors else None,
        "wsrep_provider_options": f'"{provider_options(plan, address)}"',
    }
    # Both ends of a state transfer bind the node's own address only.
    return {"mariadbd": mariadbd, "sst": {"sockopt": f'",bind={address}"'}}


def provider_options(plan: Plan, address: str) -> str:
    """Galera's own options, as one string."""
    options = {
        "base_host": address,
        "gmcast.listen_addr": f"tcp://{address}:{plan.port('galera', 'cluster')}",
        "ist.recv_addr": f"{address}:{plan.port('galera', 'ist')}",
        "ist.recv_bind": address,
        **evs(plan.timing),
        "gcache.size": f"{plan.option('galera', 'gcache_mib')}M",
        "pc.recovery": "TRUE",
    }
    return ";".join(f"{name}={value}" for name, value in options.items())


def evs(timing: Timing) -> dict[str, str]:
    """Group communication timers.

    They hold to: check period ≤ suspect/2, keepalive ≤ suspect/3, and install < inactive (Galera refuses to start
    otherwise). Lost join messages are repeated as often as keepalives: with the default of 1 s two members that join
    together run into the install time-out again and again (17 s instead of 6 s measured).
    """
    return {
        "evs.suspect_timeout": f"PT{timing.galera_suspect}S",
        "evs.inactive_timeout": f"PT{timing.galera_inactive}S",
        "evs.inactive_check_period": f"PT{timing.galera_check_period}S",
        "evs.keepalive_period": f"PT{timing.galera_keepalive}S",
        "evs.install_timeout": f"PT{timing.galera_install}S",
        "evs.join_retrans_period": f"PT{timing.galera_keepalive}S",
    }


def _variables(plan: Plan) -> dict[str, object]:
    return {
        "base": facts.BASE,
        "config": CONFIG,
        "data": facts.DATA,
        "run": facts.RUN,
        "socket": SOCKET,
        "provider": PROVIDER,
        "library": LIBRARY,
        "seed_seqno": facts.SEED_SEQNO,
        "log_mib": plan.option("galera", "log_mib"),
        "databases": databases(plan),
        "ports": {port.name: port.number for port in SPEC.ports},
    }


SERVICE = Service(SPEC, describe)
