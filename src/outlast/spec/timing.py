"""Timing profiles: every interval and time-out that decides how fast a failure is noticed. Seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Timing:
    """One profile. Figures of `classic` and `kolla` are those of the field's write-ups (PROVING, ANCHORS).

    repair_after: how long a program's answers must be bad before the agent kills it; 0: it never does (those profiles
    have no such agent). A hung API has left the balancers by then: one interval, two time-outs and a fast interval.
    connect_timeout, connect_retries: how long the balancer tries one server, and how often another. Who asked a VIP's
    dead holder comes back after 1 s (RFC 6298); of 1.5 s the rest must do for two dead servers.
    slow_start: for how long a server that is back gets fewer requests than the others, a sixteenth at first. Its first
    ones are its slowest: nothing is connected or cached yet, and after a boot the rest of its node is still starting.
    last_resort: when every server of an API fails its checks, requests go to all of them instead of to nobody.
    restart_pause: how long an API that comes back leaves its port closed. Longer than the balancer needs to see that
    (one interval, one fast one), so that it is out before it listens again: uWSGI listens seconds before it can answer.
    api_queue: connections that wait at an API which accepts none. One that hangs with a full queue fails its checks at
    the connection, sooner than by its silence. uWSGI's own default is 100.
    leave: a program behind the balancers is taken out of them before it is stopped on purpose.
    broker_poll: how often a queue's members look whether their leader's node is still there.
    broker_silence: for how long what a broker sent another may stay unconfirmed by the other's kernel before their
    connection counts as broken, and the other as away; 0: until net ticks fail. Longer than an election takes, counted
    from the fault (2.2 s): what was published meanwhile is sent again when the other is known to be away, and what
    then goes to a leader that is none waits ten seconds for the next time.
    network_silence: how long an endpoint node may hear no majority of the controllers on a network before it gives up
    the VIPs that need it; 0: for ever.
    """

    name: str
    vrrp_version: int = 3
    vrrp_advert: float = 0.1
    vrrp_priorities: tuple[int, ...] = (150, 100, 50)
    check_interval: float = 0.6
    check_fast: float = 0.2
    check_down: float = 0.5
    check_timeout: float = 0.55
    check_fall: int = 2
    check_rise: int = 2
    check_level: str = "application"
    slow_start: float = 30.0
    connect_timeout: float = 0.2
    connect_retries: int = 8
    observe: bool = True
    redispatch: int = 1
    last_resort: bool = True
    sessions_shut_by: str = "guard"
    galera_suspect: float = 1.0
    galera_inactive: float = 2.0
    galera_check_period: float = 0.3
    galera_keepalive: float = 0.3
    galera_install: float = 1.5
    flush_at_commit: int = 1
    net_ticktime: int = 5
    broker_poll: float = 0.5
    broker_silence: float = 2.5
    amqp_heartbeat: int = 5
    tcp_user_timeout: float = 5.0
    rpc_response_timeout: int = 30
    restart_pause: float = 1.2
    api_queue: int = 16
    repair_after: float = 2.5
    leave: bool = True
    network_silence: float = 0.6


OUTLAST = Timing("outlast")
KOLLA = replace(
    OUTLAST,
    name="kolla",
    vrrp_version=2,
    vrrp_advert=1.0,
    vrrp_priorities=(3, 2, 1),
    check_interval=2.0,
    check_fast=2.0,
    check_down=2.0,
    check_timeout=10.0,
    check_fall=5,
    slow_start=0.0,
    connect_timeout=10.0,
    connect_retries=3,
    observe=False,
    last_resort=False,
    sessions_shut_by="balancer",
    galera_suspect=5.0,
    galera_inactive=15.0,
    galera_check_period=0.5,
    galera_keepalive=1.0,
    galera_install=7.5,
    flush_at_commit=0,
    net_ticktime=60,
    broker_poll=5.0,
    broker_silence=0.0,
    amqp_heartbeat=60,
    tcp_user_timeout=0.0,
    rpc_response_timeout=60,
    restart_pause=0.0,
    api_queue=100,
    repair_after=0.0,
    leave=False,
    network_silence=0.0,
)
CLASSIC = replace(
    KOLLA,
    name="classic",
    vrrp_priorities=(102, 101, 100),
    check_fall=3,
    check_level="tcp",
    check_timeout=2.0,
    connect_timeout=5.0,
    flush_at_commit=1,
)
PROFILES = {timing.name: timing for timing in (OUTLAST, KOLLA, CLASSIC)}
