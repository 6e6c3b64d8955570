"""Open vSwitch and ovn-controller: a node's part of the network (a chassis), on network and compute nodes.

The switch's database lives in /run: what the node should be is declared at each start, so nothing stale survives a
boot, while a restart of any program alone finds its ports again.
"""

from __future__ import annotations

from outlast.plan.plan import EXTERNAL, TUNNEL, Member, Plan
from outlast.services.contract import Service
from outlast.services.sdn import PHYSICAL_NETWORK, probe_ms, remotes
from outlast.spec.file import Directory, File, Template
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.service import MemberSpec, Option, ServiceSpec

EXTERNAL_BRIDGE, TUNNEL_BRIDGE = "br-ex", "br-tun"
DATABASE = "/run/openvswitch/conf.db"
SWITCH = "/usr/local/lib/outlast/ovs-switch"
OFFER = "enable-chassis-as-gw"
"""ovn-cms-options of a chassis that Neutron may schedule routers to."""

SPEC = ServiceSpec(
    name="openvswitch",
    title="Open vSwitch with ovn-controller",
    kind="stateless",
    mode="active-active",
    roles=("network", "compute"),
    packages=("openvswitch-switch", "ovn-host", "ethtool", "iproute2"),
    options=(
        Option(
            "external_on_computes",
            False,
            "Connect compute nodes to the external network too: needed for distributed floating addresses and for "
            "servers placed directly on it.",
        ),
    ),
    after=("ovn",),
    requires=("ovn",),
)


def is_gateway(plan: Plan, node: str) -> bool:
    """Whether routers may have their way out of the cluster on this node."""
    return "network" in plan.node_by_name[node].roles and EXTERNAL in plan.networks


def has_external(plan: Plan, node: str) -> bool:
    """Whether the node's switch is connected to the external network."""
    everywhere = bool(plan.option("openvswitch", "external_on_computes")) and EXTERNAL in plan.networks
    return everywhere or is_gateway(plan, node)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One chassis."""
    variables = _variables(plan, member.node)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(Directory("/run/openvswitch"), Directory("/run/ovn"), Directory("/etc/openvswitch")),
        files=(File(SWITCH, Template("openvswitch", "ovs-switch.sh.j2", variables), mode=0o755),),
        prepare=(_database(),),
        programs=_programs(),
        probes=_probes(plan, member.node),
        facts=_turns(plan) + (_uplink(plan) if is_gateway(plan, member.node) else ()),
    )


def _turns(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What the agent watches for turning in a loop; profiles without repairs have no such agent."""
    return (("turns", "/run/ovn/ovn-controller"),) if plan.timing.repair_after else ()


def _uplink(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What the agent withdraws while the node has no way out of the cluster (node/uplink.py), if it repairs at all."""
    if not plan.timing.repair_after:
        return ()
    return (("uplink", plan.networks[EXTERNAL].interface), ("offer", OFFER))


def _variables(plan: Plan, node: str) -> dict[str, object]:
    gateway, external = is_gateway(plan, node), has_external(plan, node)
    tunnel = plan.networks[TUNNEL]
    bridges = {EXTERNAL_BRIDGE: plan.networks[EXTERNAL].interface} if external else {}
    if plan.userspace_datapath:
        bridges[TUNNEL_BRIDGE] = tunnel.interface
    ids = {
        "system-id": node,
        "hostname": node,
        "ovn-remote": remotes(plan, "sb"),
        "ovn-remote-probe-interval": str(probe_ms(plan)),
        "ovn-monitor-all": "true",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": plan.address(node, TUNNEL),
        "ovn-bridge-datapath-type": _datapath(plan),
    }
    optional = {
        "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:{EXTERNAL_BRIDGE}" if external else "",
        "ovn-cms-options": OFFER if gateway else "",
    }
    return {
        "external_ids": ids | {key: value for key, value in optional.items() if value},
        "absent_ids": tuple(key for key, value in optional.items() if not value),
        # The lab's many nodes share few cores; on a host the switch counts its own.
        "other_config": {"n-handler-threads": 1, "n-revalidator-threads": 1} if plan.userspace_datapath else {},
        "datapath": _datapath(plan),
        "bridges": bridges,
        "userspace": plan.userspace_datapath,
        "carries_tunnel": plan.userspace_datapath,
        "tunnel_bridge": TUNNEL_BRIDGE,
        "tunnel_interface": tunnel.interface,
        "tunnel_address": f"{plan.address(node, TUNNEL)}/{tunnel.prefix}",
    }


def _datapath(plan: Plan) -> str:
    return "netdev" if plan.userspace_datapath else "system"


def _database() -> Step:
    return Step(
        "ovs-database",
        ("ovsdb-tool", "create", DATABASE, "/usr/share/openvswitch/vswitch.ovsschema"),
        unless=("test", "-s", DATABASE),
        every_boot=True,
    )


def _programs() -> tuple[Program, ...]:
    log = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
    server = (
        "/usr/sbin/ovsdb-server",
        DATABASE,
        "--remote=punix:/run/openvswitch/db.sock",
        "--unixctl=/run/openvswitch/ovsdb-server.ctl",
        "--pidfile=/run/openvswitch/ovsdb-server.pid",
        *log,
    )
    controller = (
        "/usr/bin/ovn-controller",
        "unix:/run/openvswitch/db.sock",
        "--unixctl=/run/ovn/ovn-controller.ctl",
        "--pidfile=/run/ovn/ovn-controller.pid",
        *log,
    )
    return (
        # Tenants' packets go before everything that computes; so does what moves their gateway when it dies: the switch
        # tells its database, and the controller reads it there.
        Program("ovsdb", server, priority=15, nice=-10),
        Program("ovs-vswitchd", (SWITCH,), priority=16, nice=-10),
        Program("ovn-controller", controller, priority=17, nice=-5),
    )


def _probes(plan: Plan, node: str) -> tuple[Probe, ...]:
    """Does each daemon's main loop turn, and is the tunnel address where the switch can use it?"""
    sockets = {
        "ovsdb": "/run/openvswitch/ovsdb-server.ctl",
        "ovs-vswitchd": "/run/openvswitch/ovs-vswitchd.ctl",
        "ovn-controller": "/run/ovn/ovn-controller.ctl",
    }
    probes = tuple(
        Probe("unixctl", path=path, argv=("version",), program=program, interval=2.0, timeout=2.0)
        for program, path in sockets.items()
    )
    if is_gateway(plan, node):
        probes += (Probe("carrier", path=plan.networks[EXTERNAL].interface),)
    if not plan.userspace_datapath:
        return probes
    address = plan.address(node, TUNNEL)
    argv = ("ip", "-o", "address", "show", "to", address, "dev", TUNNEL_BRIDGE)
    return (*probes, Probe("command", argv=argv, contains=address, program="ovs-vswitchd", interval=5.0, timeout=2.0))


SERVICE = Service(SPEC, describe)
