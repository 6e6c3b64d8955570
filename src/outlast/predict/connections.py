"""What the two ends of a connection notice: the kernel's TCP, clients of the broker, caches, signs of life."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from outlast.node.standing import ROUND, SILENT
from outlast.plan.kernel import SYSCTLS
from outlast.plan.plan import Plan
from outlast.predict.files import Described, Value, as_number
from outlast.predict.haproxy_checks import keepalive, user_timeout
from outlast.predict.prediction import NEVER, Prediction, number, said
from outlast.services.haproxy.service import CONFIG as HAPROXY
from outlast.services.haproxy.service import GUARD_CONFIG
from outlast.spec.probe import EAGER

_Sections = Mapping[str, Mapping[str, Value]]
RTO_FIRST, RTO_MOST = 0.2, 120.0
"""Linux, TCP_RTO_MIN and TCP_RTO_MAX in seconds."""
_LINUX = {"tcp_retries2": 15, "tcp_keepalive_time": 7200, "tcp_keepalive_intvl": 75, "tcp_keepalive_probes": 9}
RESPAWN = 1.0
"""supervisord looks for dead children once a second."""


def connections(plan: Plan) -> Iterator[Prediction]:
    """Of the services that the plan has."""
    if plan.has("haproxy"):
        yield from _through_balancer(plan)
    yield from _kernel()
    yield from _programs(plan)
    yield from _oslo(plan)
    yield Prediction(
        fault="program killed: started again",
        best=0.0,
        worst=RESPAWN,
        formula=f"{number(RESPAWN)} s",
        source="supervisord: its main loop",
        measures=("repair",),
        note="plus the program's own start; Galera waits for its agent",
    )


def retransmissions(retries: int) -> float:
    """Seconds until the kernel gives a connection up whose packets are not acknowledged (tcp(7), tcp_retries2): the
    first time-out of 0.2 s doubles up to 120 s, and the last one is waited for too. 15: 924.6 s."""
    return math.fsum(min(math.ldexp(RTO_FIRST, retry), RTO_MOST) for retry in range(retries + 1))


def silence(probes: tuple[float, float, float], limit: float = 0.0) -> float:
    """Seconds until keepalive gives up an idle connection, from the last packet (tcp(7)). With TCP_USER_TIMEOUT
    (`limit`, 0: none) the first probe after it counts, and the number of probes does not.

    probes: seconds until the first and between two of them, and their number.
    """
    idle, interval, count = probes
    if limit <= 0:
        return idle + count * interval
    return idle + max(1, math.ceil(round((limit - idle) / interval, 6))) * interval if interval else idle


def _sysctl(name: str) -> int:
    return int(dict(SYSCTLS).get(f"net.ipv4.{name}", _LINUX[name]))


def _through_balancer(plan: Plan) -> Iterator[Prediction]:
    described = Described(plan, "haproxy")
    config = described.text(HAPROXY.rsplit("/", 1)[-1])
    guard = described.json(GUARD_CONFIG.rsplit("/", 1)[-1])
    retries = _sysctl("tcp_retries2")
    # To servers as HAProxy's file says, to clients as the guard sets its sockets: the slower one counts.
    idle, interval, count = guard["keepalive"]
    clients = (float(guard["tcp_user_timeout"]), (float(idle), float(interval), float(count)))
    sides = ((user_timeout(config), keepalive(config)), clients)
    waits = [limit or retransmissions(retries) for limit, _ in sides]
    limited = all(limit for limit, _ in sides)
    yield Prediction(
        fault="established TCP to a vanished peer (balancer, data under way)",
        best=min(waits),
        worst=max(waits),
        formula=f"{number(max(waits))} s" if limited else _doubling(retries),
        source="tcp(7): TCP_USER_TIMEOUT; HAProxy manual: tcp-ut" if limited else "tcp(7): tcp_retries2",
        scenario="power-other",
        measures=("stall",),
        budget="tcp",
        change="set tcp-ut (profile outlast, or overrides of haproxy.cfg)",
    )
    limit, probes = max(sides, key=lambda side: silence(side[1], side[0]))
    idle, interval, _ = probes
    worst = silence(probes, limit)
    asked = round((worst - idle) / interval) if interval else 0
    yield Prediction(
        fault="established TCP to a vanished peer (balancer, idle)",
        best=max(0.0, worst - idle),
        worst=worst,
        formula=f"{number(idle)} + {asked} × {number(interval)} s",
        source="tcp(7): keepalive; HAProxy manual: srvtcpka-idle, -intvl, -cnt",
        scenario="power-other",
        measures=("stall",),
        budget="tcp",
        change="lower srvtcpka-idle, -intvl or -cnt (overrides of haproxy.cfg)",
    )


def _doubling(retries: int) -> str:
    most = next((retry for retry in range(retries + 1) if RTO_FIRST * 2**retry > RTO_MOST), retries + 1)
    more = f" + {retries + 1 - most} × {number(RTO_MOST)}" if most <= retries else ""
    return f"{number(RTO_FIRST)} × (2^{most} − 1){more} = {said(retransmissions(retries))}"


def _kernel() -> Iterator[Prediction]:
    retries = _sysctl("tcp_retries2")
    worst = retransmissions(retries)
    yield Prediction(
        fault="established TCP to a vanished peer (others, data under way)",
        best=worst,
        worst=worst,
        formula=_doubling(retries),
        source="tcp(7): tcp_retries2, time-outs from 0.2 s on",
        budget="tcp-others",
        change="tcp_retries2 is fixed for all nodes",
        note="longer where the path is slow: 0.2 s is the least; a program's own time-out may be shorter",
    )
    idle, interval, count = (_sysctl(f"tcp_keepalive_{name}") for name in ("time", "intvl", "probes"))
    worst = silence((idle, interval, count))
    yield Prediction(
        fault="established TCP to a vanished peer (others, idle)",
        best=worst - idle,
        worst=worst,
        formula=f"{idle} + {count} × {interval} s",
        source="tcp(7): tcp_keepalive_time, _intvl, _probes",
        budget="tcp-others",
        change="the keepalive settings are fixed for all nodes",
        note="only where the program asks for keepalive",
    )


def _oslo(plan: Plan) -> Iterator[Prediction]:
    found = [sections for service in plan.specs if plan.has(service) for _, sections in Described(plan, service).oslo()]
    rabbit = [sections["oslo_messaging_rabbit"] for sections in found if "oslo_messaging_rabbit" in sections]
    if rabbit:
        slow = max(
            (as_number(keys.get("heartbeat_timeout_threshold"), 60.0), as_number(keys.get("heartbeat_rate"), 3.0))
            for keys in rabbit
        )
        yield _noticed(*slow, ended=_ended(plan))
        answers = [sections.get("DEFAULT", {}).get("rpc_response_timeout") for sections in found]
        worst = max(as_number(value, 60.0) for value in answers if value is not None)
        yield Prediction(
            fault="RPC answer lost",
            best=worst,
            worst=worst,
            formula=f"{number(worst)} s",
            source="oslo.messaging: rpc_response_timeout",
            scenario="power-rabbitmq-leader",
            measures=("stall",),
            budget="rpc",
            change="lower rpc_response_timeout (profile, or overrides)",
            note="counted from the call",
        )
    yield from _memcached(plan, found)


def _ended(plan: Plan) -> bool:
    """Whether the agents end connections to a vanished member: somebody else must be there to be heard (decision 0032).

    On a member's own node there is one other less.
    """
    return bool(plan.timing.repair_after) and len(plan.members_of("rabbitmq")) > 2


def _noticed(timeout: float, rate: float, ended: bool) -> Prediction:
    """oslo.messaging looks 2 × rate times in a heartbeat time-out and sends `rate` times; the kernel, told to give up
    after the same time-out, ends the connection before two heartbeats are missed (pyamqp)."""
    pause = timeout / rate if rate else timeout
    if ended and timeout > SILENT * ROUND:
        return Prediction(
            fault="broker node: connections noticed",
            best=SILENT * ROUND,
            worst=(SILENT + 1) * ROUND,
            formula=f"{SILENT} + 1 rounds of {number(ROUND)} s without an echo",
            source="node/vanished.py: the agent ends connections to a silent node",
            scenario="power-rabbitmq-leader",
            measures=("mask",),
            budget="broker-clients",
            change="not to be changed",
            note=f"by heartbeats, where its node's kernel goes on: {number(timeout + 1.5 * pause)} s",
        )
    return Prediction(
        fault="broker node: connections noticed",
        best=timeout if timeout else NEVER,
        worst=timeout + 1.5 * pause if timeout else NEVER,
        formula=f"{number(timeout)} + 1.5 × {number(timeout)} / {number(rate)} s" if timeout else "no heartbeat",
        source="oslo.messaging: heartbeat_timeout_threshold, heartbeat_rate; TCP_USER_TIMEOUT of the same length",
        scenario="power-rabbitmq-leader",
        measures=("mask", "stall"),
        budget="broker-clients",
        change="lower heartbeat_timeout_threshold (profile, or overrides)",
    )


def _memcached(plan: Plan, found: Sequence[_Sections]) -> Iterator[Prediction]:
    """A request may meet the dead member twice: in the middleware that knows tokens, and in the program's own cache."""
    if not plan.has("memcached"):
        return
    most = (0.0, 0.0)
    for sections in found:
        cache, token = sections.get("cache", {}), sections.get("keystone_authtoken", {})
        own = as_number(cache.get("socket_timeout"), 1.0) if cache.get("enabled") else 0.0
        middle = as_number(token.get("memcache_pool_socket_timeout"), 3.0) if token.get("memcached_servers") else 0.0
        most = max(most, (middle, own), key=sum)
    yield Prediction(
        fault="memcached node gone: per request",
        best=0.0,
        worst=sum(most),
        formula=f"{number(most[0])} (tokens) + {number(most[1])} (cache) s, once per process and dead_retry",
        source="keystonemiddleware: memcache_pool_socket_timeout; oslo.cache: socket_timeout",
        scenario="power-other",
        measures=("stall",),
        budget="memcached",
        change="lower memcache_pool_socket_timeout and cache.socket_timeout (overrides)",
    )


def _programs(plan: Plan) -> Iterator[Prediction]:
    if not plan.has("nova"):
        return
    described = Described(plan, "nova")
    keys = described.ini("nova.conf").get("DEFAULT", {})
    down, report = as_number(keys.get("service_down_time"), 60.0), as_number(keys.get("report_interval"), 10.0)
    yield Prediction(
        fault="nova-compute considered down",
        best=max(0.0, down - report),
        worst=down,
        formula=f"{number(down)} s without a report (every {number(report)} s)",
        source="Nova configuration: service_down_time, report_interval",
        scenario="power-compute",
        budget="compute",
        change="lower options: nova: report_interval",
    )
    yield from _workers(plan, described)


def _workers(plan: Plan, described: Described) -> Iterator[Prediction]:
    """The repair counts from when the first ping that stayed without answer was sent."""
    pings = [probe for probe in described.spec.probes if probe.kind == "rpc"]
    patience = plan.timing.repair_after
    if not pings:
        return
    ping = pings[0]
    silent = max(2 * ping.timeout + EAGER, patience)
    yield Prediction(
        fault="RPC worker hung",
        best=silent if patience else NEVER,
        worst=ping.interval + silent if patience else NEVER,
        formula=f"{number(ping.interval)} + 2 × {number(ping.timeout)} + {number(EAGER)} s, then it is started again"
        if patience
        else "nobody starts it again",
        source="outlast.services.nova: probes; outlast.node.repair",
        scenario="hang-nova-conductor",
        measures=("detect",),
    )
