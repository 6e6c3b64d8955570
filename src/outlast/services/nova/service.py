"""Nova on the controllers: API, metadata, scheduler, conductor."""

from __future__ import annotations

from dataclasses import replace

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.nova.config import shared
from outlast.spec.file import Directory, File, Ini, Template
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.secret import SecretRef
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Option, Port, ServiceSpec

API, METADATA = 8774, 8775
SAYS, METADATA_SAYS = '"id": "v2.1", "status": "CURRENT"', "2009-04-04"
CONFIG, CLIENT = "/etc/nova/nova.conf", "/etc/nova/mariadb.cnf"
PASTE = f"{oslo.HOME}/etc/nova/api-paste.ini"

SPEC = ServiceSpec(
    name="nova",
    title="Nova (servers)",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    packages=("mariadb-client",),
    ports=(Port("api", API), Port("metadata", METADATA)),
    frontends=(
        Frontend("nova", "api", ("external", "internal"), check_says=SAYS),
        Frontend("nova-metadata", "metadata", check_says=METADATA_SAYS),
    ),
    databases=("nova_api", "nova_cell0", "nova"),
    catalogue=(CatalogueEntry("nova", "compute", "nova", "/v2.1"),),
    service_user=True,
    options=(
        oslo.PROCESSES,
        oslo.THREADS,
        Option("scheduler_workers", 1, "Processes of the scheduler on each node.", minimum=1, maximum=64),
        Option("conductor_workers", 1, "Processes of the conductor on each node.", minimum=1, maximum=64),
        Option("discover_interval", 5, "Seconds between two looks for new compute nodes.", minimum=1, maximum=3600),
        Option(
            "report_interval",
            3,
            "Seconds between signs of life of every service; after five without one it counts as down.",
            minimum=1,
            maximum=60,
        ),
    ),
    after=("galera", "rabbitmq", "memcached", "keystone", "placement", "glance", "neutron"),
    requires=("galera", "rabbitmq", "keystone", "placement", "glance", "neutron"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One node's four programs."""
    env = (("OS_NOVA_CONFIG_FILES", f"{PASTE};{CONFIG}"),)
    api_files, api = oslo.uwsgi(plan, member, oslo.Wsgi("nova-api", "outlast_nova_api", API, env=env))
    of_metadata = oslo.Wsgi("nova-metadata", "nova.wsgi.metadata", METADATA, env=env)
    metadata_files, metadata = oslo.uwsgi(plan, member, of_metadata)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(oslo.LOCKS, Directory("/var/lib/nova"), Directory("/etc/nova")),
        files=(
            File(CONFIG, _config(plan, member), mode=0o600),
            File(CLIENT, _client(plan), mode=0o600, on_change="none"),
            File(f"{oslo.PYTHON_CODE}/outlast_nova_api.py", Template("nova", "nova_api.py.j2")),
            oslo.VALIDATORS,
            *api_files,
            metadata_files[0],
        ),
        prepare=(_cells(plan),),
        programs=(
            replace(api, priority=52),
            replace(metadata, priority=53),
            _program(plan, member, "nova-scheduler"),
            _program(plan, member, "nova-conductor"),
        ),
        needs=(*_needs(plan), oslo.keystone(plan, "nova"), *oslo.loaded(plan, member)),
        probes=(
            oslo.api(plan, member, "api", says=SAYS, program="nova-api", timeout=1.5),
            oslo.api(plan, member, "metadata", says=METADATA_SAYS, program="nova-metadata"),
            oslo.rpc(plan, member, "nova/scheduler", program="nova-scheduler"),
            oslo.rpc(plan, member, "nova/conductor", program="nova-conductor"),
        ),
    )


def _program(plan: Plan, member: Member, name: str) -> Program:
    argv = (f"{oslo.HOME}/bin/{name}", "--config-file", CONFIG)
    fork = oslo.forked(plan, member)
    return Program(name, argv, env=oslo.named(name), priority=60, nice=oslo.API_NICE, fork=fork)


def _needs(plan: Plan) -> tuple[Probe, ...]:
    return tuple(oslo.needs(plan, "nova", database) for database in SPEC.databases)


def _config(plan: Plan, member: Member) -> Ini:
    sections = shared(plan, member.node) | {
        "database": oslo.database(plan, "nova"),
        "api_database": oslo.database(plan, "nova", "nova_api"),
        "keystone_authtoken": oslo.authtoken(plan, "nova"),
        "wsgi": {"api_paste_config": PASTE},
        "api": oslo.answers(),
        "scheduler": {
            "workers": plan.option("nova", "scheduler_workers"),
            "discover_hosts_in_cells_interval": plan.option("nova", "discover_interval"),
        },
        "conductor": {"workers": plan.option("nova", "conductor_workers")},
    }
    # The first look for new computes comes up to this many seconds after a start; Nova's default of 60 spreads the
    # load of many computes, which these few schedulers are not.
    # Nova alone logs every request, and the balancers ask three times a second on each controller.
    quiet = "nova.api.openstack.requestlog=WARN,amqp=WARN,sqlalchemy=WARN,urllib3.connectionpool=WARN,stevedore=WARN"
    sections["DEFAULT"] = {**sections["DEFAULT"], "periodic_fuzzy_delay": 1, "default_log_levels": quiet}
    return Ini(sections, oslo="nova")


def _client(plan: Plan) -> Ini:
    host, port = plan.vip("galera")
    password = str(SecretRef("db/nova"))
    return Ini({"client": {"host": host, "port": port, "user": "nova", "password": password, "connect-timeout": 5}})


def _cells(plan: Plan) -> Step:
    """Where the two cells are, told before any program of Nova starts (each looks at once, and remembers).

    Written as templates that Nova fills from its own configuration, so the database holds no password and a changed
    one needs no second place. On every node, because none knows whether the founder has done it; it changes nothing
    the second time.
    """
    address = "{scheme}://{username}:{password}@{hostname}:{port}"
    rows = (
        ("cell0", "none:///", f"{address}/nova_cell0?{{query}}"),
        ("cell1", _messages(len(plan.members_of("rabbitmq"))), f"{address}/{{path}}?{{query}}"),
    )
    sql = "".join(
        f"UPDATE cell_mappings SET transport_url='{messages}', database_connection='{database}' WHERE name='{name}';\n"
        for name, messages, database in rows
    )
    argv = ("mariadb", f"--defaults-file={CLIENT}", "nova_api")
    return Step("nova-cells", argv, stdin=sql, needs=_needs(plan))


def _messages(count: int) -> str:
    """Template of a RabbitMQ address with `count` members: Nova numbers their parts from 1, but only if several."""
    numbers = [""] if count < 2 else [str(number) for number in range(1, count + 1)]
    parts = (f"{{username{n}}}:{{password{n}}}@{{hostname{n}}}:{{port{n}}}" for n in numbers)
    return "{scheme}://" + ",".join(parts) + "/{path}"


SERVICE = Service(SPEC, describe)
