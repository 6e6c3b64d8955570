"""Neutron's agent on compute nodes: metadata for servers, by a small proxy in a namespace per network."""

from __future__ import annotations

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.sdn import remotes
from outlast.spec.file import Directory, File, Ini, Template
from outlast.spec.probe import UNIX, Probe
from outlast.spec.program import Program
from outlast.spec.secret import SecretRef
from outlast.spec.service import MemberSpec, ServiceSpec

CONFIG = "/etc/neutron/ovn-agent.conf"
SOCKET = "/var/lib/neutron/metadata_proxy"
QUIET = "neutron.agent.ovn.metadata.server_socket=ERROR"
USERSPACE_AGENT = "/usr/local/lib/outlast/python/outlast_ovn_agent.py"
PRIVILEGED = (
    "privsep",
    "privsep_dhcp_release",
    "privsep_ovs_vsctl",
    "privsep_namespace",
    "privsep_conntrack",
    "privsep_link",
)

SPEC = ServiceSpec(
    name="ovn-agent",
    title="Neutron OVN agent (metadata)",
    kind="stateless",
    mode="active-active",
    roles=("compute",),
    packages=("haproxy", "iproute2", "iptables", "ethtool"),
    after=("openvswitch",),
    requires=("openvswitch", "neutron", "nova"),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One compute node's agent."""
    program: tuple[str, ...] = (f"{oslo.HOME}/bin/neutron-ovn-agent",)
    files: tuple[File, ...] = (File(CONFIG, _config(plan, member), mode=0o600),)
    if plan.userspace_datapath:
        program = (f"{oslo.HOME}/bin/python", USERSPACE_AGENT)
        files = (*files, File(USERSPACE_AGENT, Template("ovn-agent", "ovn_agent.py.j2")))
    argv = (*program, "--config-file", CONFIG)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(oslo.LOCKS, Directory("/run/netns"), Directory("/var/lib/neutron"), Directory("/etc/neutron")),
        files=files,
        programs=(Program("neutron-ovn-agent", argv, env=oslo.ENV, priority=60),),
        probes=(
            # Its workers' answer to a server that is in no network, after a look into their copy of OVN's database.
            Probe(
                "http",
                f"{UNIX}{SOCKET}",
                statuses=(404,),
                contains="not found on network",
                headers=(("X-Forwarded-For", "127.0.0.1"), ("X-OVN-Network-ID", "outlast")),
                program="neutron-ovn-agent",
                interval=4.0,
                timeout=2.5,
            ),
        ),
    )


def _config(plan: Plan, member: Member) -> Ini:
    host, port = plan.vip("nova-metadata")
    messages = oslo.messaging(plan)
    default: oslo.Section = {
        "host": member.node,
        "state_path": "/var/lib/neutron",
        "nova_metadata_host": host,
        "nova_metadata_port": port,
        "metadata_proxy_shared_secret": str(SecretRef("nova/metadata")),
        "metadata_workers": 1,
        "metadata_proxy_socket": SOCKET,
        "agent_down_time": 30,
        # The agent's question names a network that is not there, and would be warned of each time.
        "default_log_levels": f"{QUIET},amqp=WARN,urllib3.connectionpool=WARN,stevedore=WARN",
    }
    # There is no sudo on a node; the agent is root and starts its helpers itself.
    helper: oslo.Section = {"helper_command": f"{oslo.HOME}/bin/privsep-helper --config-file {CONFIG}"}
    return Ini(
        {
            "DEFAULT": oslo.defaults() | messages["DEFAULT"] | default,
            "agent": {"root_helper": "", "extensions": "metadata"},
            "ovs": {"ovsdb_connection": "unix:/run/openvswitch/db.sock"},
            "ovn": {
                "ovn_nb_connection": remotes(plan, "nb"),
                "ovn_sb_connection": remotes(plan, "sb"),
                "ovsdb_connection_timeout": 30,
                "ovsdb_retry_max_interval": 2,
                "ovsdb_probe_interval": 5000,
            },
            **{section: dict(helper) for section in PRIVILEGED},
            "oslo_concurrency": oslo.concurrency(),
            "oslo_messaging_rabbit": messages["oslo_messaging_rabbit"],
        },
        oslo="neutron",
    )


SERVICE = Service(SPEC, describe)
