"""HAProxy on every endpoint node, in front of every API and of Galera, with the guard that holds its sockets.

Raw settings (`overrides: haproxy: haproxy.cfg:`) are lines by section: `{"backend keystone": {"balance": "leastconn"}}`
adds `balance leastconn` at the end of that section, where it wins; `true` writes the key alone; a section that is not
there yet is added at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from outlast.plan.plan import Member, Plan, PlannedFrontend
from outlast.services.contract import Service
from outlast.spec.file import Directory, File, Template, Text
from outlast.spec.probe import UNIX, Probe
from outlast.spec.program import Program, Step
from outlast.spec.service import MemberSpec, Option, ServiceSpec
from outlast.spec.timing import Timing

CONFIG = "/etc/haproxy/haproxy.cfg"
GUARD_CONFIG = "/etc/outlast/guard-haproxy.json"
GUARD = ("/opt/outlast/bin/outlast-node", "guard", "haproxy", "--config", GUARD_CONFIG)
ALIVE, ADMIN = "/run/haproxy/alive.sock", "/run/haproxy/admin.sock"
TRACK, STATE = "/run/outlast/track/haproxy", "/run/outlast/guard"
KEEPALIVE = (2, 1, 3)
STREAM_TIMEOUT = 3600.0
PUT_OFF = 0.3
"""Seconds for which requests under way may end before an ordered stop moves the VIPs. With what the move takes (0.4) it
must stay below one second: so long a client waits before it asks a second time."""

SPEC = ServiceSpec(
    name="haproxy",
    title="Load balancer",
    kind="stateless",
    mode="active-active",
    roles=("endpoint",),
    packages=("haproxy",),
    options=(
        Option("maxconn", 4000, "connections at a time, over all frontends", minimum=100, maximum=100000),
        Option("threads", 1, "threads of the balancer", minimum=1, maximum=64),
        Option(
            "client_keepalive",
            False,
            "let clients keep connections open: fewer connects, but a client's pool holds dead ones after a VIP moved",
        ),
    ),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """The balancer of one endpoint node: the same on each."""
    settings, guard = variables(plan), guard_settings(plan)
    digest = hashlib.sha256((repr(settings) + guard + repr(plan.overrides.get("haproxy"))).encode()).hexdigest()
    return MemberSpec(
        service="haproxy",
        node=member.node,
        files=(
            File(CONFIG, Template("haproxy", "haproxy.cfg.j2", settings), on_change="reload"),
            File(GUARD_CONFIG, Text(guard), on_change="reload"),
        ),
        directories=tuple(Directory(path) for path in ("/run/haproxy", "/run/outlast/track", STATE)),
        programs=(Program("haproxy", GUARD, stop_seconds=20, priority=10),),
        # The digest makes the step run again for every new configuration.
        prepare=(Step("check", (*GUARD, "--check"), env=(("OUTLAST_CONFIGURATION", digest),)),),
        probes=(
            Probe("process", path="haproxy"),
            # The guard watches the balancer five times a second; here the two of them are watched together.
            Probe("http", f"{UNIX}{ALIVE}", statuses=(200,), program="haproxy", interval=2.0),
            Probe("pulse", path="main", program="haproxy", interval=3.0, timeout=3.0),
        ),
        reload=(*GUARD, "--reload"),
        facts=(("guard", f"{STATE}/haproxy.json"), ("admin", ADMIN), ("track", TRACK)),
    )


def variables(plan: Plan) -> dict[str, object]:
    """What the template needs; several VIPs with the same frontend share one backend, so servers are checked once."""
    timing = plan.timing
    by_name = {item.frontend.name: item for item in reversed(plan.frontends)}
    backends = [_backend(plan, by_name[name]) for name in dict.fromkeys(item.frontend.name for item in plan.frontends)]
    frontends = [_frontend(item) for item in plan.frontends]
    sections = ["global", "defaults", "frontend alive"]
    sections += [f"frontend {item['name']}" for item in frontends] + [f"backend {item['name']}" for item in backends]
    return {
        "admin": ADMIN,
        "alive": ALIVE,
        "maxconn": plan.option("haproxy", "maxconn"),
        "threads": plan.option("haproxy", "threads"),
        "client_keepalive": plan.option("haproxy", "client_keepalive"),
        "connect": milliseconds(timing.connect_timeout),
        "retries": timing.connect_retries,
        "check_timeout": milliseconds(timing.check_timeout),
        "redispatch": timing.redispatch,
        "observe": timing.observe,
        "keepalive": KEEPALIVE,
        "user_timeout": milliseconds(timing.tcp_user_timeout) if timing.tcp_user_timeout else "",
        "timers": _timers(timing),
        "frontends": frontends,
        "backends": backends,
        "sections": sections,
    }


def guard_settings(plan: Plan) -> str:
    """The guard's own file (outlast.node.guard.settings reads it)."""
    singles = {
        item.frontend.name: [node for node, _, _ in item.servers]
        for item in plan.frontends
        if item.frontend.single and item.servers
    }
    settings = {
        "name": "haproxy",
        "binary": "/usr/sbin/haproxy",
        "file": CONFIG,
        "alive": ALIVE,
        "admin": ADMIN,
        "track": TRACK,
        "state": STATE,
        "listeners": [
            {"variable": socket_variable(item), "address": item.address, "port": item.port} for item in plan.frontends
        ],
        "singles": [{"backend": name, "servers": servers} for name, servers in singles.items()],
        "tcp_user_timeout": plan.timing.tcp_user_timeout,
        "keepalive": list(KEEPALIVE),
        "limits": {"interval": 0.2, "limit": 0.6, "start_limit": 3.0, "fault_after": 0.6},
        "shut_after": round(plan.timing.connect_timeout + 0.2, 3) if plan.timing.sessions_shut_by == "guard" else 0,
        "put_off_seconds": PUT_OFF if plan.timing.leave else 0.0,
        "leave_seconds": round(0.3 + 2 * plan.timing.vrrp_advert, 3),
        "stop_seconds": 10.0,
    }
    return json.dumps(settings, indent=2) + "\n"


def milliseconds(seconds: float) -> str:
    """HAProxy's way to write a time."""
    return f"{round(seconds * 1000)}ms"


def _variable(*parts: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", "_".join(parts).upper())


def socket_variable(item: PlannedFrontend) -> str:
    """Environment variable that holds the number of a frontend's socket."""
    return _variable("OUTLAST_FD", item.frontend.name, item.vip)


def _timeout(item: PlannedFrontend) -> str:
    """Streams (database sessions) may be silent for long; requests may not."""
    seconds = item.frontend.server_timeout
    return milliseconds(max(seconds, STREAM_TIMEOUT) if item.frontend.mode == "tcp" else seconds)


def _frontend(item: PlannedFrontend) -> Mapping[str, object]:
    return {
        "name": f"{item.frontend.name}.{item.vip}",
        "address": item.address,
        "port": item.port,
        "variable": socket_variable(item),
        "mode": item.frontend.mode,
        "timeout": _timeout(item),
        "backend": item.frontend.name,
    }


def _backend(plan: Plan, item: PlannedFrontend) -> Mapping[str, object]:
    frontend, timing = item.frontend, plan.timing
    asks_http = frontend.http_check and (frontend.mode == "http" or bool(frontend.check_port))
    http_check = asks_http and timing.check_level == "application"
    return {
        "name": frontend.name,
        "mode": frontend.mode,
        "balance": frontend.balance,
        "timeout": _timeout(item),
        "single": frontend.single,
        "last_resort": timing.last_resort and frontend.mode == "http" and not frontend.single,
        "http_check": http_check,
        "check_path": frontend.check_path,
        "check_says": frontend.check_says,
        "statuses": ",".join(str(status) for status in frontend.check_statuses),
        "leaves": http_check and timing.leave and frontend.mode == "http",
        "host": item.address,
        "watch": _watch(frontend.mode) if timing.observe else "",
        "slow": _slow_start(timing) if frontend.mode == "http" and not frontend.single else "",
        "shut": " on-marked-down shutdown-sessions" if timing.sessions_shut_by == "balancer" else "",
        "servers": [
            {
                "name": node,
                "address": address,
                "port": port,
                "check_port": f" port {item.check_port}" if http_check and item.check_port != port else "",
                "role": f' "${{{_variable("OUTLAST_ROLE", frontend.name, node)}}}"' if frontend.single else "",
            }
            for node, address, port in item.servers
        ],
    }


def _timers(timing: Timing) -> str:
    return (
        f"inter {milliseconds(timing.check_interval)} fastinter {milliseconds(timing.check_fast)} "
        f"downinter {milliseconds(timing.check_down)} fall {timing.check_fall} rise {timing.check_rise}"
    )


def _slow_start(timing: Timing) -> str:
    return f" slowstart {milliseconds(timing.slow_start)}" if timing.slow_start else ""


def _watch(mode: str) -> str:
    """A failed request makes the next check come early and count for good.

    Not mark-down: a request that makes every server answer 500 would take them all out; each still passes its check.
    """
    return f" observe {'layer7' if mode == 'http' else 'layer4'} error-limit 1 on-error sudden-death"


SERVICE = Service(SPEC, describe)
