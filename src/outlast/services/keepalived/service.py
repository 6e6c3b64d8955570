"""Keepalived on every endpoint node: moves the virtual addresses by VRRP. Its guard never leaves one behind.

Raw settings (`overrides: keepalived: keepalived.conf:`) are lines by section, "global_defs" or "vrrp_instance <vip>".
`track_file: false` in an instance takes the balancer's track file out of it: that VIP stays where nobody serves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from outlast.plan.plan import CONTROL_DATA, Member, Plan, PlannedVip
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Template, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.service import MemberSpec, Option, ServiceSpec

CONFIG = "/etc/keepalived/keepalived.conf"
GUARD_CONFIG = "/etc/outlast/guard-keepalived.json"
GUARD = ("/opt/outlast/bin/outlast-node", "guard", "keepalived", "--config", GUARD_CONFIG)
TRACK, STATE, FIFO, RUN = (
    "/run/outlast/track/haproxy",
    "/run/outlast/guard",
    "/run/outlast/vrrp.fifo",
    "/run/keepalived",
)
VOTERS = frozenset({"endpoint", "service"})
"""Roles of the nodes whose majority a node must hear: what serves clients, and what serves them."""
ROUND = 0.1
"""Seconds between two questions to each of them."""
SILENCES = {"gap": 0.4, "doubt": 0.1, "within": 10.0, "hold": 2.0, "hold_most": 16.0, "forget": 60.0}
"""The guard's limits (outlast.node.guard.quorum) in seconds; it counts in rounds."""
GENERATION = "3"
"""Of the guard: one that runs with older code would refuse the settings of this one, so it is started again."""

SPEC = ServiceSpec(
    name="keepalived",
    title="Virtual IP addresses",
    kind="stateless",
    mode="active-passive",
    roles=("endpoint",),
    packages=("keepalived",),
    options=(
        Option("unicast", False, "send adverts to each peer, where the network drops multicast"),
        Option("rt_priority", 10, "real-time priority of the VRRP process; 0: none", minimum=0, maximum=99),
        Option("fencing", True, "give up VIPs that need a network on which most controllers answer no ICMP echo"),
        Option("garp_refresh", 5, "seconds between gratuitous ARPs of a VIP's holder; 0: none", minimum=0, maximum=300),
    ),
    after=("haproxy",),
    requires=("haproxy",),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """The virtual addresses that one node may hold."""
    settings, guard = variables(plan, member.node), guard_settings(plan, member.node)
    digest = hashlib.sha256((repr(settings) + guard + repr(plan.overrides.get("keepalived"))).encode()).hexdigest()
    return MemberSpec(
        service="keepalived",
        node=member.node,
        files=(
            File(CONFIG, Template("keepalived", "keepalived.conf.j2", settings), on_change="reload"),
            File(GUARD_CONFIG, Text(guard), on_change="reload"),
        ),
        directories=tuple(Directory(path) for path in (RUN, "/run/outlast/track", STATE)),
        programs=(Program("keepalived", GUARD, env=(("OUTLAST_GUARD", GENERATION),), stop_seconds=10, priority=20),),
        # The digest makes the step run again for every new configuration.
        prepare=(Step("check", (*GUARD, "--check"), env=(("OUTLAST_CONFIGURATION", digest),)),),
        probes=(
            Probe("process", path="keepalived"),
            Probe("guard", path=f"{STATE}/keepalived.json"),
            # Of the guard, which watches keepalived itself.
            Probe("pulse", path="main", program="keepalived", interval=3.0, timeout=3.0),
        ),
        reload=(*GUARD, "--reload"),
        facts=(("guard", f"{STATE}/keepalived.json"), ("track", TRACK)),
    )


def held(plan: Plan, node: str) -> tuple[PlannedVip, ...]:
    """VIPs that the node may hold."""
    return tuple(vip for vip in plan.vips.values() if node in vip.priorities)


def variables(plan: Plan, node: str) -> dict[str, object]:
    """What the template needs."""
    return {
        "node": node,
        "version": plan.timing.vrrp_version,
        "advert": f"{plan.timing.vrrp_advert:g}",
        "fifo": FIFO,
        "track": TRACK,
        "garp_refresh": plan.option("keepalived", "garp_refresh"),
        "instances": [_instance(plan, vip, node) for vip in held(plan, node)],
        "networks": [(name, network_track(name)) for name in quorum_networks(plan, node)],
    }


def _instance(plan: Plan, vip: PlannedVip, node: str) -> Mapping[str, object]:
    unicast = bool(plan.option("keepalived", "unicast"))
    return {
        "name": vip.name,
        "address": vip.address,
        "prefix": vip.prefix,
        "interface": vip.interface,
        "router_id": vip.router_id,
        "priority": vip.priorities[node],
        "source": plan.address(node, vip.network),
        "peers": [plan.address(peer, vip.network) for peer in vip.priorities if peer != node] if unicast else [],
        "track": _track(plan, vip),
        "networks": _needed(plan, vip, node),
    }


def _track(plan: Plan, vip: PlannedVip) -> list[str]:
    """Interfaces that a holder needs besides the VIP's own (tracked anyway): control-data leads to all servers."""
    network = plan.networks.get(CONTROL_DATA)
    return [network.interface] if network and network.interface != vip.interface else []


def network_track(name: str) -> str:
    """The file by which the guard says that the node is cut off on a network."""
    return f"/run/outlast/track/network-{name}"


def quorum_networks(plan: Plan, node: str) -> Mapping[str, Mapping[str, str]]:
    """Other voters' addresses by node, for each network on which the node must hear most of them.

    Those of the VIPs that it may hold, and control-data, which leads to all servers. Networks that share an interface
    are one. Empty where profile or operator switched it off; fewer than three voters have no majority worth the name.
    """
    found: dict[str, Mapping[str, str]] = {}
    if not plan.timing.network_silence or not plan.option("keepalived", "fencing"):
        return found
    interfaces: set[str] = set()
    for role in (*(vip.network for vip in held(plan, node)), CONTROL_DATA):
        network = plan.networks.get(role)
        if not network or network.interface in interfaces:
            continue
        interfaces.add(network.interface)
        voters = {
            one.name: one.addresses[role] for one in plan.nodes if VOTERS & set(one.roles) and role in one.addresses
        }
        if len(voters) > 2 and voters.pop(node, ""):
            found[role] = voters
    return found


def _needed(plan: Plan, vip: PlannedVip, node: str) -> list[str]:
    """Networks without whose majority the node may not hold a VIP: the same whose carrier it needs."""
    interfaces = {vip.interface, *_track(plan, vip)}
    return [name for name in quorum_networks(plan, node) if plan.networks[name].interface in interfaces]


def guard_settings(plan: Plan, node: str) -> str:
    """The guard's own file (outlast.node.guard.settings reads it)."""
    settings = {
        "name": "keepalived",
        "binary": "/usr/sbin/keepalived",
        "file": CONFIG,
        "fifo": FIFO,
        "state": STATE,
        "run": RUN,
        "instances": [
            {
                "name": vip.name,
                "address": vip.address,
                "prefix": vip.prefix,
                "interface": vip.interface,
                "networks": _needed(plan, vip, node),
            }
            for vip in held(plan, node)
        ],
        "networks": [
            {
                "name": name,
                "interface": plan.networks[name].interface,
                "address": plan.address(node, name),
                "peers": peers,
                "track": network_track(name),
            }
            for name, peers in quorum_networks(plan, node).items()
        ],
        "quorum": {
            "interval": ROUND,
            "limit": plan.timing.network_silence,
            **{name: round(seconds / ROUND) for name, seconds in SILENCES.items()},
        },
        "advert": plan.timing.vrrp_advert,
        "rt_priority": plan.option("keepalived", "rt_priority"),
        "stop_seconds": 3.0,
    }
    return json.dumps(settings, indent=2) + "\n"


SERVICE = Service(SPEC, describe)
