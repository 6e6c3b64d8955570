"""Glance: images, kept in Swift so that every controller has all of them (C7). Stateless, active-active."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Ini
from outlast.spec.secret import SecretRef
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Option, Port, ServiceSpec

STATE = "/var/lib/glance"
DIRECTORIES = (STATE, f"{STATE}/staging", f"{STATE}/tasks", f"{STATE}/buffer")

# The list of versions, which it answers with 300 as nobody else does. /healthcheck says no more than "OK".
SAYS = '"id": "v2.9", "status": "SUPPORTED"'

SPEC = ServiceSpec(
    "glance",
    "Glance",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    ports=(Port("glance", 9292),),
    frontends=(
        Frontend(
            "glance",
            "glance",
            vips=("external", "internal"),
            check_statuses=(300,),
            check_says=SAYS,
            balance="leastconn",
            # The answer to an upload comes when Swift has all of it.
            server_timeout=600.0,
        ),
    ),
    databases=("glance",),
    catalogue=(CatalogueEntry("glance", "image", "glance"),),
    service_user=True,
    options=(
        oslo.PROCESSES,
        oslo.THREADS,
        Option("segment_mib", 200, "Images are stored in objects of this size.", minimum=1, maximum=5120),
    ),
    after=("keystone", "swift"),
    requires=("keystone", "galera", "swift"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """Glance on one node."""
    port = plan.port("glance", "glance")
    app = oslo.Wsgi("glance", "glance.wsgi.api", port, uploads=True, env=(("OS_GLANCE_CONFIG_DIR", "/etc/glance"),))
    wsgi_files, program = oslo.uwsgi(plan, member, app)
    return MemberSpec(
        "glance",
        member.node,
        files=(
            File("/etc/glance/glance-api.conf", Ini(_sections(plan, member), oslo="glance"), mode=0o600),
            File("/etc/glance/glance-swift.conf", Ini({"outlast": _swift_login(plan)}), mode=0o600),
            *wsgi_files,
        ),
        directories=(oslo.LOCKS, *(Directory(path, 0o750) for path in DIRECTORIES)),
        programs=(program,),
        needs=(oslo.needs(plan, "glance"), oslo.keystone(plan, "glance"), *oslo.loaded(plan, member)),
        probes=(oslo.api(plan, member, "glance", statuses=(300,), says=SAYS, program="glance"),),
    )


def _sections(plan: Plan, member: Member) -> dict[str, oslo.Section]:
    own = f"http://{plan.address(member.node)}:{plan.port('glance', 'glance')}"
    return {
        "DEFAULT": oslo.defaults()
        | {
            "enabled_backends": "swift:swift",
            # A staged upload lies on the node that took it: the others send its import there, to the node itself.
            "worker_self_reference_url": own,
            "enabled_import_methods": "[glance-direct,copy-image]",
            "use_keystone_limits": False,
        },
        "database": oslo.database(plan, "glance"),
        "glance_store": {"default_backend": "swift"},
        "swift": _swift_store(plan),
        "os_glance_tasks_store": {"filesystem_store_datadir": f"{STATE}/tasks"},
        "os_glance_staging_store": {"filesystem_store_datadir": f"{STATE}/staging"},
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": f"{oslo.HOME}/etc/glance/glance-api-paste.ini",
        },
        "oslo_concurrency": oslo.concurrency(),
        "oslo_middleware": {"enable_proxy_headers_parsing": True},
        "keystone_authtoken": oslo.authtoken(plan, "glance"),
    }


def _swift_store(plan: Plan) -> oslo.Section:
    """The store of type swift. With a buffer directory a segment whose upload fails half-way is sent again."""
    segment = plan.option("glance", "segment_mib")
    return {
        "swift_store_config_file": "/etc/glance/glance-swift.conf",
        "default_swift_reference": "outlast",
        "swift_store_region": plan.region,
        "swift_store_endpoint_type": "internalURL",
        "swift_store_container": "glance",
        "swift_store_create_container_on_put": True,
        "swift_store_large_object_size": segment,
        "swift_store_large_object_chunk_size": segment,
        "swift_store_retry_get_count": 3,
        "swift_store_use_trusts": False,
        "swift_upload_buffer_dir": f"{STATE}/buffer",
    }


def _swift_login(plan: Plan) -> oslo.Section:
    return {
        "auth_version": 3,
        "auth_address": plan.url("keystone", path="/v3"),
        "user": "service:glance",
        "key": str(SecretRef("user/glance")),
        "project_domain_id": "default",
        "user_domain_id": "default",
    }


SERVICE = Service(SPEC, describe)
