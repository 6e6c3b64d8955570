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
        programs=(Program("keepalived", GUARD, stop_seconds=10, priority=20),),
        # The digest makes the step run again for every new configuration.
        prepare=(Step("check", (*GUARD, "--check"), env=(("OUTLAST_CONFIGURATION", digest),)),),
        probes=(Probe("process", path="keepalived"),),
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
    }


def _track(plan: Plan, vip: PlannedVip) -> list[str]:
    """Interfaces that a holder needs besides the VIP's own (tracked anyway): control-data leads to all servers."""
    network = plan.networks.get(CONTROL_DATA)
    return [network.interface] if network and network.interface != vip.interface else []


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
            {"name": vip.name, "address": vip.address, "prefix": vip.prefix, "interface": vip.interface}
            for vip in held(plan, node)
        ],
        "advert": plan.timing.vrrp_advert,
        "rt_priority": plan.option("keepalived", "rt_priority"),
        "stop_seconds": 3.0,
    }
    return json.dumps(settings, indent=2) + "\n"


SERVICE = Service(SPEC, describe)
