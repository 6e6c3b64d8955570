"""Neutron: its API and the worker that keeps OVN's databases in step with Neutron's own.

Not run: `neutron-rpc-server` (it answers agents by AMQP; with OVN none asks) and `neutron-periodic-workers` (it only
deletes rows of expired quota reservations, which are not counted anyway). Either would cost 130 MB on each node.
"""

from __future__ import annotations

from dataclasses import replace

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.sdn import PHYSICAL_NETWORK, remotes, ring_file, ring_times
from outlast.spec.file import Directory, File, Ini, Template
from outlast.spec.probe import Probe
from outlast.spec.program import Program
from outlast.spec.service import CatalogueEntry, Frontend, MemberSpec, Option, Port, ServiceSpec

PORT = 9696
SAYS = '"id": "v2.0", "status": "CURRENT"'
CONFIG, ML2 = "/etc/neutron/neutron.conf", "/etc/neutron/ml2.ini"

SPEC = ServiceSpec(
    name="neutron",
    title="Neutron (networks)",
    kind="stateless",
    mode="active-active",
    roles=("service",),
    packages=("openvswitch-common",),
    ports=(Port("api", PORT),),
    frontends=(Frontend("neutron", "api", ("external", "internal"), check_says=SAYS),),
    databases=("neutron",),
    catalogue=(CatalogueEntry("neutron", "network", "neutron"),),
    service_user=True,
    options=(
        oslo.PROCESSES,
        oslo.THREADS,
        Option(
            "gateway_failover",
            0.6,
            "Seconds of silence after which a gateway's routers move to another one (three BFD intervals).",
            minimum=0.3,
            maximum=30,
        ),
        Option(
            "dead_worker",
            8,
            "Seconds after which other API workers take over the OVN events of one that died; longer than the "
            "database needs to fail over.",
            minimum=4,
            maximum=120,
        ),
        Option(
            "sync_mode",
            "log",
            "At each start compare OVN with Neutron's database and say (log) or cure (repair) what differs.",
            choices=("off", "log", "repair"),
        ),
        Option(
            "mtu",
            1500,
            "MTU of the physical networks; tenant networks get what tunnels leave.",
            minimum=1280,
            maximum=9216,
        ),
    ),
    after=("galera", "rabbitmq", "memcached", "keystone", "ovn", "openvswitch"),
    requires=("galera", "rabbitmq", "keystone", "ovn", "openvswitch"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One node's API and maintenance worker."""
    wsgi = oslo.Wsgi(
        "neutron-api",
        "outlast_neutron_api",
        PORT,
        env=(("OS_NEUTRON_CONFIG_FILES", f"{CONFIG};{ML2}"),),
        nice=oslo.NEUTRON_NICE,
    )
    uwsgi, api = oslo.uwsgi(plan, member, wsgi)
    wrapper = Template("neutron", "neutron_api.py.j2", ring_times(plan))
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(oslo.LOCKS, Directory("/var/lib/neutron"), Directory("/etc/neutron")),
        files=(
            File(CONFIG, _config(plan, member), mode=0o600),
            File(ML2, _ml2(plan), mode=0o644),
            File(f"{oslo.PYTHON_CODE}/outlast_neutron_api.py", wrapper),
            ring_file(plan),
            *uwsgi,
        ),
        programs=(
            replace(api, priority=52),
            _maintenance(plan, member),
        ),
        needs=(oslo.needs(plan, "neutron"), oslo.keystone(plan, "neutron"), _ovn(plan), *oslo.loaded(plan, member)),
        probes=(
            oslo.api(plan, member, "api", says=SAYS, program="neutron-api", timeout=1.5),
            # It has no port and takes no messages; its thread for OVN's databases wakes twice a second.
            Probe("pulse", path="group", program="neutron-ovn-maintenance", interval=2.0, timeout=3.0),
        ),
    )


def _maintenance(plan: Plan, member: Member) -> Program:
    name, script = "neutron-ovn-maintenance", f"{oslo.HOME}/bin/neutron-ovn-maintenance-worker"
    argv = (script, "--config-file", CONFIG, "--config-file", ML2)
    return Program(name, argv, env=oslo.named(name), priority=60, nice=12, fork=oslo.forked(plan, member))


def _ovn(plan: Plan) -> Probe:
    """Whether the NB cluster has a leader and its first row (by northd). ovsdb-client takes one remote only."""
    argv = ("ovn-nbctl", "--timeout=3", f"--db={remotes(plan, 'nb')}", "get", "NB_Global", ".", "nb_cfg")
    return Probe("command", argv=argv, interval=2.0, timeout=4.0)


def _config(plan: Plan, member: Member) -> Ini:
    messages = oslo.messaging(plan)
    default: oslo.Section = {
        "host": member.node,
        "state_path": "/var/lib/neutron",
        "core_plugin": "ml2",
        "service_plugins": "ovn-router",
        "api_paste_config": f"{oslo.HOME}/etc/neutron/api-paste.ini",
        "global_physnet_mtu": plan.option("neutron", "mtu"),
        "rpc_workers": 0,
        "rpc_state_report_workers": 0,
        "dhcp_agent_notification": False,
        # Silence of a chassis after which ports are no longer bound there.
        "agent_down_time": 30,
    }
    client: oslo.Section = {"region_name": plan.region, "endpoint_type": "internal"}
    return Ini(
        {
            "DEFAULT": oslo.defaults() | messages["DEFAULT"] | default,
            "database": oslo.database(plan, "neutron"),
            "keystone_authtoken": oslo.authtoken(plan, "neutron"),
            "nova": oslo.auth(plan, "nova") | client,
            "placement": oslo.auth(plan, "placement") | client,
            "oslo_concurrency": oslo.concurrency(),
            "oslo_messaging_rabbit": messages["oslo_messaging_rabbit"],
            "oslo_messaging_notifications": {"driver": "noop"},
        },
        oslo="neutron",
    )


def _ml2(plan: Plan) -> Ini:
    return Ini(
        {
            "ml2": {
                "type_drivers": "flat,vlan,geneve",
                "project_network_types": "geneve",
                "mechanism_drivers": "ovn",
                "extension_drivers": "port_security",
                "overlay_ip_version": 4,
            },
            "ml2_type_flat": {"flat_networks": PHYSICAL_NETWORK},
            "ml2_type_vlan": {"network_vlan_ranges": PHYSICAL_NETWORK},
            "ml2_type_geneve": {"vni_ranges": "1:65536", "max_header_size": 38},
            "securitygroup": {"enable_security_group": True},
            "ovn": _ovn_section(plan),
        },
        oslo="neutron",
    )


def _ovn_section(plan: Plan) -> oslo.Section:
    interval = round(float(plan.option("neutron", "gateway_failover") or 0) * 1000 / 3)
    return {
        "ovn_nb_connection": remotes(plan, "nb"),
        "ovn_sb_connection": remotes(plan, "sb"),
        "ovsdb_connection_timeout": 30,
        "ovsdb_retry_max_interval": 2,
        # Longer than that of OVN's own daemons: a Python process may be busy for a second or two.
        "ovsdb_probe_interval": 5000,
        "neutron_sync_mode": plan.option("neutron", "sync_mode"),
        "ovn_l3_scheduler": "leastloaded",
        "ovn_metadata_enabled": True,
        "enable_distributed_floating_ip": bool(plan.option("openvswitch", "external_on_computes")),
        # The maintenance worker writes these to OVN, which takes them to every tunnel between chassis.
        "ha_failover_strategy": "manual",
        "bfd_min_rx": interval,
        "bfd_min_tx": min(100, interval),
        "bfd_mult": 3,
    }


SERVICE = Service(SPEC, describe)
