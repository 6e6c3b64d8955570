"""Placement: the inventory of what compute nodes have left. Stateless (all state in its database), active-active."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.spec.file import File, Ini
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Port, ServiceSpec

SAYS = '"max_version": "1.'

SPEC = ServiceSpec(
    "placement",
    "Placement",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    ports=(Port("placement", 8778),),
    frontends=(Frontend("placement", "placement", vips=("external", "internal"), check_says=SAYS),),
    databases=("placement",),
    catalogue=(CatalogueEntry("placement", "placement", "placement"),),
    service_user=True,
    options=(oslo.PROCESSES, oslo.THREADS),
    after=("keystone",),
    requires=("keystone", "galera"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """Placement on one node."""
    port = plan.port("placement", "placement")
    wsgi_files, program = oslo.uwsgi(plan, member, oslo.Wsgi("placement", "placement.wsgi.api", port))
    sections: dict[str, oslo.Section] = {
        "DEFAULT": oslo.defaults(),
        "placement_database": oslo.database(plan, "placement"),
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": oslo.authtoken(plan, "placement"),
        "oslo_middleware": {"enable_proxy_headers_parsing": True},
    }
    return MemberSpec(
        "placement",
        member.node,
        files=(File("/etc/placement/placement.conf", Ini(sections, oslo="placement"), mode=0o600), *wsgi_files),
        programs=(program,),
        needs=(oslo.needs(plan, "placement"), oslo.keystone(plan, "placement"), *oslo.loaded(plan, member)),
        probes=(oslo.api(plan, member, "placement", says=SAYS, program="placement"),),
    )


SERVICE = Service(SPEC, describe)
