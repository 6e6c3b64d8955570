"""What every OpenStack program is told in the same words: database, tokens, cache, messages, uwsgi.

All functions are pure and return INI sections (or files and programs made of them). Clients reach everything by VIP;
only memcached and RabbitMQ, whose client libraries know about clusters, get a list of members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outlast.plan.plan import Member, Plan
from outlast.services import caches
from outlast.spec.file import Directory, File, Ini, Scalar, Template
from outlast.spec.probe import Probe
from outlast.spec.program import LEAVING, STACKS, Leave, Program
from outlast.spec.secret import SecretRef
from outlast.spec.service import Option

Section = dict[str, Scalar | tuple[str, ...]]

HOME = "/opt/openstack"
PYTHON_CODE = "/usr/local/lib/outlast/python"
"""Modules of our own that run inside an OpenStack program, in its PYTHONPATH."""
VALIDATORS = File(f"{PYTHON_CODE}/outlast_validators.py", Template("openstack", "validators.py.j2"))
"""For Nova and Keystone alike: docs/decisions/0022-validators-made-once.md."""
KEYSTONE_LAZY = File(f"{PYTHON_CODE}/outlast_keystone_lazy.py", Template("keystone", "keystone_lazy.py.j2"))
"""For Keystone, and for who loads it ahead."""
LOGINS = File(f"{PYTHON_CODE}/outlast_logins.py", Template("openstack", "logins.py.j2", {"again": 1.0, "pause": 0.1}))
"""For all with a database: docs/decisions/0042-a-broken-login-is-repeated.md."""
CHECKED = "outlast_checked"
"""What uwsgi loads: docs/decisions/0025-checks-share-an-answer.md."""
FRESH = 1.0
"""Seconds for which the balancers' checks are told the same."""
ENV = (("LANG", "C.UTF-8"), ("EVENTLET_NO_GREENDNS", "yes"))
"""Environment of every OpenStack program. Eventlet's own resolver takes 0.2 s of processor time to import; nobody here
looks up a name outside /etc/hosts."""
FORKSERVER = "forkserver"
FORKS = "/run/outlast/fork"
"""Folder of the fork servers' sockets (node/forkserver.py)."""
LOCKS = Directory("/run/lock/openstack")
PROCESSES = Option("processes", 1, "Worker processes of the API on each node.", minimum=1, maximum=64)
THREADS = Option("threads", 4, "Threads (requests at a time) of each worker process.", minimum=1, maximum=64)


def defaults() -> Section:
    """Keys of [DEFAULT] that every program knows: log to stderr, which the supervisor keeps."""
    return {"use_stderr": True}


def concurrency() -> Section:
    """[oslo_concurrency]. The member must list LOCKS among its directories."""
    return {"lock_path": LOCKS.path}


def answers() -> Section:
    """[api] of Nova and Keystone: no answer is checked against its schema.

    A difference would only be logged, for their developers, and to look for one takes a third of a list's time.
    """
    return {"response_validation": "ignore"}


def database_url(plan: Plan, user: str, db: str) -> str:
    """SQLAlchemy URL of a database by the internal VIP.

    The read time-out is a backstop: keepalive probes notice a vanished peer earlier, and no statement of an API runs
    that long. Without `ssl_disabled` PyMySQL reads all of the system's certificates for every connection (24 ms of CPU)
    and then speaks TLS to a server whose name it does not check.
    """
    host, port = plan.vip("galera")
    limits = "connect_timeout=3&read_timeout=20&write_timeout=20&ssl_disabled=1"
    return f"mysql+pymysql://{user}:{SecretRef(f'db/{user}')}@{host}:{port}/{db}?charset=utf8mb4&{limits}"


def database(plan: Plan, service: str, db: str = "") -> Section:
    """[database] (or [api_database], [placement_database]) of a service. Default database: the service's name.

    Connections are recycled soon, so that none outlives a move of the writer for long; a checked-out connection is
    always pinged first (oslo.db does it by itself).
    """
    return {
        "connection": database_url(plan, service, db or service),
        "max_retries": -1,
        "retry_interval": 1,
        "max_pool_size": 5,
        "max_overflow": 20,
        "pool_timeout": 10,
        "connection_recycle_time": 30,
    }


def needs(plan: Plan, service: str, db: str = "") -> Probe:
    """The question that must be answered before a service with a database starts: can it log in?"""
    host, port = plan.vip("galera")
    secret = str(SecretRef(f"db/{service}"))
    # Once good it is good for a while: logins of a dozen waiting services cost more than the wait is worth.
    return Probe("sql", host, port, path=db or service, user=service, secret=secret, interval=4.0, timeout=3.0)


def keystone(plan: Plan, user: str) -> Probe:
    """Whether Keystone, by the VIP, lets the service in: a start before that only takes its processor.

    Its user is written when the catalogue is complete. Nova's scheduler asks for the catalogue once, when it starts,
    and would call Placement disabled for as long as it runs where that was not in it yet.
    """
    address, port = plan.vip("keystone")
    secret = str(SecretRef(f"user/{user}"))
    return Probe("token", address, port, path="", user=user, secret=secret, interval=2.0, timeout=5.0)


def broker(plan: Plan) -> Probe:
    """Whether any broker lets the services in."""
    secret = str(SecretRef("rabbitmq/openstack"))
    addresses = ",".join(plan.addresses("rabbitmq"))
    port = plan.port("rabbitmq", "amqp")
    return Probe("amqp", addresses, port, user="openstack", secret=secret, interval=4.0, timeout=5.0)


def api(plan: Plan, member: Member, port: str, *, says: str, program: str, **more: Any) -> Probe:
    """A question to an API on this node, with what its answer always has (`path`, `statuses`: of spec.probe.Probe).

    The time-out is the balancers' own: who is silent that long, twice, serves nobody any more. Nova and Neutron get
    half a second more, as their few threads may all wait for a worker or for OVN.
    """
    fields: dict[str, Any] = {"path": "/", "statuses": (200,)} | more
    return Probe(
        "http", plan.address(member.node), plan.port(member.service, port), contains=says, program=program, **fields
    )


def rpc(plan: Plan, member: Member, topic: str, *, program: str) -> Probe:
    """A ping to the worker of a topic (EXCHANGE/TOPIC) on this node, by the node's own broker if it has one.

    A hang is known after two silences: 2.5 + 2.5 + 0.4 + 2.5 s at worst. With several workers of one program each is
    asked in turn, as the broker deals messages round.
    """
    brokers = [broker.node for broker in plan.members_of("rabbitmq")]
    first = brokers.index(member.node) if member.node in brokers else member.index % len(brokers)
    addresses = plan.addresses("rabbitmq")
    return Probe(
        "rpc",
        ",".join((*addresses[first:], *addresses[:first])),
        plan.port("rabbitmq", "amqp"),
        f"{topic}.{member.node}",
        user="openstack",
        secret=str(SecretRef("rabbitmq/openstack")),
        program=program,
        interval=2.5,
        timeout=2.5,
    )


def _identity(plan: Plan, user: str) -> Section:
    return {
        "auth_type": "password",
        "auth_url": plan.url("keystone"),
        "project_domain_name": "Default",
        "user_domain_name": "Default",
        "project_name": "service",
        "username": user,
        "password": str(SecretRef(f"user/{user}")),
    }


def authtoken(plan: Plan, service: str) -> Section:
    """[keystone_authtoken] of an API. Validated tokens are shared through memcached, so Keystone is rarely asked.

    `http_connect_timeout` limits whole requests, a password check included: shorter than 5 s fails on a busy machine.
    """
    section = _identity(plan, service) | {
        "www_authenticate_uri": plan.url("keystone", "external"),
        "interface": "internal",
        "region_name": plan.region,
        "http_connect_timeout": 5,
        "http_request_max_retries": 3,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }
    if plan.has("memcached"):
        section |= {
            "memcached_servers": caches.servers(plan),
            "memcache_use_advanced_pool": True,
            "memcache_pool_dead_retry": caches.retry(plan),
            "memcache_pool_socket_timeout": 1,
            "memcache_pool_conn_get_timeout": 1,
            "memcache_pool_maxsize": 20,
        }
    return section


def session() -> Section:
    """Session keys of a client section. Without a time-out a request in flight to a dead VIP holder never ends."""
    return {"timeout": 15}


def auth(plan: Plan, service_user: str) -> Section:
    """Login and session keys of a section that calls another service as `service_user`; `adapter` adds the rest.

    keystoneauth fetches tokens and version documents on the session's own retry count, which is 0 and has no option:
    an adapter's `connect_retries` do not cover them. A pooled connection whose VIP has moved therefore fails the
    request, whatever is written here; the cure is that the balancer closes connections after each answer.
    """
    return _identity(plan, service_user) | session()


def adapter(plan: Plan) -> Section:
    """Adapter keys of a client section: which endpoint, and how failures are repeated.

    Not every section takes them: Neutron's [nova] and [placement] register login and session keys only.
    """
    return {
        "region_name": plan.region,
        "valid_interfaces": "internal",
        "connect_retries": 3,
        "connect_retry_delay": 0.5,
        "status_code_retries": 3,
        "status_code_retry_delay": 0.5,
    }


def transport_url(plan: Plan) -> str:
    """rabbit:// URL with every member by node name (the client library picks the next one by itself)."""
    login = f"openstack:{SecretRef('rabbitmq/openstack')}"
    port = plan.port("rabbitmq", "amqp")
    return "rabbit://" + ",".join(f"{login}@{member.node}:{port}" for member in plan.members_of("rabbitmq")) + "/"


def messaging(plan: Plan) -> dict[str, Section]:
    """Keys of [DEFAULT] and the section [oslo_messaging_rabbit].

    All queues are quorum queues, transient ones too, with stable names from the queue manager: a restart finds its
    queues again. Those names hold the process name, which under uwsgi is "uwsgi" for every program: `uwsgi` below
    and every other program of the same name on a node must set PROCESS_NAME, or two programs share a reply queue and
    take each other's answers.
    """
    answer = plan.timing.rpc_response_timeout
    return {
        "DEFAULT": {
            "transport_url": transport_url(plan),
            "rpc_response_timeout": answer,
            # The agent asks every worker for an answer (`rpc`).
            "rpc_ping_enabled": True,
        },
        "oslo_messaging_rabbit": {
            "rabbit_quorum_queue": True,
            "rabbit_transient_quorum_queue": True,
            "rabbit_stream_fanout": False,
            "use_queue_manager": True,
            "rabbit_transient_queues_ttl": 600,
            "heartbeat_timeout_threshold": plan.timing.amqp_heartbeat,
            "heartbeat_rate": 3,
            "kombu_reconnect_delay": 0.5,
            "kombu_failover_strategy": "round-robin",
            "rabbit_retry_interval": 1,
            "rabbit_interval_max": 3,
            "kombu_missing_consumer_retry_timeout": min(15, answer),
        },
    }


PROCESS_NAME = "OS_OSLO_MESSAGING_RABBIT__PROCESSNAME"


API_NICE = 8
"""Share of APIs and their workers (spec.program.Program.nice)."""
KEYSTONE_NICE = 3
NEUTRON_NICE = 5
"""Neutron's API takes the most to load of those that load at once. Last in the queue, it left the other cores idle."""


@dataclass(frozen=True)
class Wsgi:
    """One API program: `module` has an attribute `application`, `port` is a number on the node's own address.

    `uploads`: request bodies are streams of unknown length (chunked). `check`: the path of the balancers' checks.
    """

    name: str
    module: str
    port: int
    check: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    uploads: bool = False
    nice: int = API_NICE


def uwsgi(plan: Plan, member: Member, app: Wsgi) -> tuple[tuple[File, ...], Program]:
    """uwsgi's files and its program. The service's options must contain PROCESSES and THREADS."""
    path = f"/etc/outlast/uwsgi/{app.name}.ini"
    content = Ini({"uwsgi": _uwsgi_keys(plan, member, app)})
    served = (("PYTHONPATH", PYTHON_CODE), ("OUTLAST_SERVES", app.module), ("OUTLAST_CHECK", app.check))
    env = (*app.env, *served, (PROCESS_NAME, app.name), *ENV)
    values = {"fresh": FRESH, "stacks": STACKS}
    checked = File(f"{PYTHON_CODE}/{CHECKED}.py", Template("openstack", "checked.py.j2", values))
    out = leave(plan, member, app.port)
    argv = (f"{HOME}/bin/uwsgi", "--ini", path)
    fork = forked(plan, member)
    program = Program(app.name, argv, env=env, nice=app.nice, leave=out, fork=fork, stacks=True)
    return (File(path, content), checked, LOGINS), program


def forked(plan: Plan, member: Member) -> str:
    """spec.program.Program.fork of this member's programs."""
    return member.service if plan.has(FORKSERVER) else ""


def named(program: str) -> tuple[tuple[str, str], ...]:
    """Environment of a program with messages that may be forked: there all would be called after the fork server."""
    return ((PROCESS_NAME, program), *ENV)


def loaded(plan: Plan, member: Member) -> tuple[Probe, ...]:
    """A need of who is forked: that its fork server is not at its loading, which would be done twice then.

    Where three nodes of one slow machine start at once, it has taken 40 s.
    """
    if not plan.has(FORKSERVER):
        return ()
    return (Probe("loaded", path=f"{FORKS}/{member.service}", program=FORKSERVER, interval=0.5, timeout=120.0),)


def leave(plan: Plan, member: Member, port: int) -> Leave | None:
    """How an API of this node leaves the balancers: within one interval and the fast ones, each has asked twice."""
    timing = plan.timing
    if not timing.leave:
        return None
    notice = timing.check_interval + (timing.check_fall - 1) * timing.check_fast + timing.check_timeout / 2
    return Leave(plan.address(member.node), port, round(notice, 3))


_AGAIN = "ran=/run/outlast/ran; mkdir -p $ran; [ ! -e $ran/{name} ] || sleep {pause:g}; : >$ran/{name}"
"""A second start within one boot leaves the port closed for a while (spec.timing.Timing.restart_pause)."""


def _uwsgi_keys(plan: Plan, member: Member, app: Wsgi) -> Mapping[str, Scalar]:
    pause = plan.timing.restart_pause
    return {
        # Before anything is opened.
        "exec-asap": _AGAIN.format(name=app.name, pause=pause) if pause else None,
        "module": f"{CHECKED}:application",
        "http-socket": f"{plan.address(member.node)}:{app.port}",
        "master": True,
        "processes": plan.option(member.service, "processes"),
        "threads": plan.option(member.service, "threads"),
        "enable-threads": True,
        # Forked after loading, a worker would inherit database and message connections of the master.
        "lazy-apps": True,
        "need-app": True,
        "thunder-lock": True,
        # TERM stops instead of reloading, and workers follow a killed master, so the supervisor can start it again.
        "die-on-term": True,
        "no-orphans": True,
        "exit-on-reload": False,
        "worker-reload-mercy": 5,
        # The server side of http-socket never keeps connections; saying so spares the balancer a guess.
        "add-header": "Connection: close",
        # uWSGI listens long before it has loaded. What is queued by then are checks whose askers are gone: each was
        # worked through, with a traceback for the answer that nobody took (some 150 per API and boot of a node).
        "listen": plan.timing.api_queue,
        "buffer-size": 65535,
        # Seconds of silence inside a request's body; uwsgi's own 4 s break a slow upload.
        "socket-timeout": 60 if app.uploads else 30,
        "http-chunked-input": app.uploads or None,
        "wsgi-manage-chunked-input": app.uploads or None,
        # uwsgi's own limits, 1 MiB a chunk and 4 s, break uploads of clients that send large or few chunks.
        "chunked-input-limit": 16 << 20 if app.uploads else None,
        "chunked-input-timeout": 60 if app.uploads else None,
        "disable-logging": True,
        # Who leaves says 404 to the balancers' checks, which means "no new requests" there, and serves all others.
        "route-if-not": f"exists:{LEAVING}/{app.name} last:" if plan.timing.leave else None,
        "route-user-agent": "^outlast$ break:404 Not Found" if plan.timing.leave else None,
    }
