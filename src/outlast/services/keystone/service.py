"""Keystone: who may do what, and where everything is. Stateless (Fernet tokens), active-active.

The founder's setup step (`outlast.node.catalogue`) writes admin, service users and catalogue.
"""

from __future__ import annotations

import json

from outlast.plan.plan import Member, Plan
from outlast.services import caches, oslo
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Ini, Template, Text
from outlast.spec.program import Step
from outlast.spec.secret import SecretRef
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Option, Port, ServiceSpec

FERNET, CREDENTIAL = "/etc/keystone/fernet-keys", "/etc/keystone/credential-keys"
# Those two act for others on things they do not own (ports, servers); every other service gets along with "service".
ADMINS = ("neutron", "nova")

SAYS = '"version": {"id": "v3.'
KEPT = 5.0
"""Seconds for which Keystone knows what it had from a cache that has just failed (decision 0040)."""

SPEC = ServiceSpec(
    "keystone",
    "Keystone",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    ports=(Port("keystone", 5000),),
    frontends=(Frontend("keystone", "keystone", vips=("external", "internal"), check_path="/v3", check_says=SAYS),),
    databases=("keystone",),
    catalogue=(CatalogueEntry("keystone", "identity", "keystone", "/v3"),),
    options=(
        oslo.PROCESSES,
        oslo.THREADS,
        Option(
            "password_hash_rounds",
            12,
            "bcrypt cost of passwords that people choose. Each step down doubles the logins per second. Generated "
            "passwords (admin, services) hold 190 bits and use the lowest cost, 4, whatever is set here.",
            minimum=4,
            maximum=20,
        ),
        Option("token_seconds", 3600, "How long a token is valid.", minimum=300, maximum=86400),
    ),
    requires=("galera", "memcached", "haproxy", "keepalived"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """Keystone on one node; the founder also writes the catalogue."""
    port = plan.port("keystone", "keystone")
    env = (("OS_KEYSTONE_CONFIG_FILES", "/etc/keystone/keystone.conf"),)
    app = oslo.Wsgi("keystone", "outlast_keystone_api", port, "/v3", env, nice=oslo.KEYSTONE_NICE)
    wsgi_files, program = oslo.uwsgi(plan, member, app)
    kept: dict[str, object] = {"kept": KEPT if plan.timing.repair_after else 0.0}
    return MemberSpec(
        "keystone",
        member.node,
        files=(
            File("/etc/keystone/keystone.conf", Ini(_sections(plan), oslo="keystone"), mode=0o600),
            *_keys(FERNET, "fernet"),
            *_keys(CREDENTIAL, "credential"),
            File(f"{oslo.PYTHON_CODE}/outlast_keystone_api.py", Template("keystone", "keystone_api.py.j2", {})),
            File(f"{oslo.PYTHON_CODE}/outlast_keystone_recent.py", Template("keystone", "keystone_recent.py.j2", kept)),
            oslo.VALIDATORS,
            oslo.KEYSTONE_LAZY,
            *wsgi_files,
        ),
        directories=(Directory(FERNET, 0o700), Directory(CREDENTIAL, 0o700)),
        programs=(program,),
        setup=(_catalogue(plan),),
        needs=(oslo.needs(plan, "keystone"), *oslo.loaded(plan, member)),
        probes=(oslo.api(plan, member, "keystone", path="/v3", says=SAYS, program="keystone"),),
    )


def _sections(plan: Plan) -> dict[str, oslo.Section]:
    return {
        "DEFAULT": oslo.defaults(),
        "api": oslo.answers(),
        "database": oslo.database(plan, "keystone"),
        "cache": caches.section(plan),
        "token": {"provider": "fernet", "expiration": plan.option("keystone", "token_seconds")},
        "fernet_tokens": {"key_repository": FERNET, "max_active_keys": 3},
        "fernet_receipts": {"key_repository": FERNET, "max_active_keys": 3},
        "credential": {"key_repository": CREDENTIAL},
        # bcrypt reads no more than 72 bytes; a longer limit only brings a warning with every password.
        "identity": {
            "password_hash_rounds": plan.option("keystone", "password_hash_rounds"),
            "max_password_length": 72,
        },
        "oslo_middleware": {"enable_proxy_headers_parsing": True},
    }


def _keys(directory: str, name: str) -> tuple[File, ...]:
    """Key 0 (next) and 1 (current). Rotation owns them afterwards, and Keystone reads them at use."""
    return tuple(
        File(
            f"{directory}/{number}",
            Text(str(SecretRef(f"keystone/{name}-{number}", "fernet"))),
            mode=0o600,
            on_change="none",
            once=True,
        )
        for number in (0, 1)
    )


def _catalogue(plan: Plan) -> Step:
    return Step(
        "catalogue",
        (f"{oslo.HOME}/bin/python", "-m", "outlast.node.catalogue"),
        env=(("PYTHONPATH", "/var/lib/outlast/code"), ("LANG", "C.UTF-8")),
        # Escaped, a placeholder would no longer be one.
        stdin=json.dumps(desired(plan), sort_keys=True, ensure_ascii=False),
        timeout=120.0,
        needs=(oslo.needs(plan, "keystone"),),
    )


def desired(plan: Plan) -> dict[str, object]:
    """What Keystone shall know, as `outlast.node.catalogue` reads it. Holds placeholders of secrets."""
    users = [spec.name for spec in plan.specs.values() if spec.service_user and plan.has(spec.name)]
    return {
        "config": "/etc/keystone/keystone.conf",
        "region": plan.region,
        "admin": {"name": "admin", "password": str(SecretRef("user/admin"))},
        "users": [
            {
                "name": name,
                "password": str(SecretRef(f"user/{name}")),
                "roles": ["admin", "service"] if name in ADMINS else ["service"],
            }
            for name in sorted(users)
        ],
        "services": [
            {"name": entry.name, "type": entry.type, "endpoints": _endpoints(plan, entry)}
            for entry in sorted(plan.catalogue, key=lambda entry: entry.type)
        ],
    }


def _endpoints(plan: Plan, entry: CatalogueEntry) -> dict[str, str]:
    """URLs by interface: the external VIP for the public, the internal one (or what there is) for the others."""
    offered = {item.vip for item in plan.frontends if item.frontend.name == entry.frontend}
    internal = plan.url(entry.frontend, "internal" if "internal" in offered else "external", entry.path)
    public = plan.url(entry.frontend, "external" if "external" in offered else "internal", entry.path)
    return {"admin": internal, "internal": internal, "public": public}


SERVICE = Service(SPEC, describe)
