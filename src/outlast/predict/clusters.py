"""What keeps state notices by itself: Galera, RabbitMQ, OVN's databases and gateways, ZooKeeper."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from outlast.plan.plan import Plan
from outlast.predict.files import Described, as_number, period
from outlast.predict.prediction import Prediction, number
from outlast.services.galera.service import CONFIG as GALERA
from outlast.services.neutron.service import ML2
from outlast.services.rabbitmq.service import CONFIG as RABBITMQ
from outlast.services.rabbitmq.service import USER_TIMEOUT

GALERA_DEFAULTS = {
    "evs.suspect_timeout": 5.0,
    "evs.inactive_check_period": 0.5,
    "evs.keepalive_period": 1.0,
    "evs.join_retrans_period": 1.0,
}
"""What counts where the provider's options do not say it (Galera documentation, Galera parameters)."""
BEAT, SILENCE, SHORT, LONG = 0.1, 0.2, 0.6, 1.0
"""RabbitMQ's own, in seconds: beats of its failure detector (aten); silence that it takes for a failure (about twice
that); the longest short election time-out (ra: 100 ms + up to 5 × 100 ms) and the random part of a long one."""
_USER_TIMEOUT = re.escape(USER_TIMEOUT.format("N")).replace("N", r"(\d+)")
RESENT = 0.4
"""The kernel counts a user time-out from the first packet that it sends again: a probe and a first time-out later."""
RANGE = 1.0
"""ovsdb-server adds up to a second to the election timer (ELECTION_RANGE_MSEC in ovsdb/raft.c)."""


def clusters(plan: Plan) -> Iterator[Prediction]:
    """Of the services that the plan has."""
    for service, told in (("galera", _galera), ("rabbitmq", _rabbitmq), ("ovn", _ovn), ("zookeeper", _zookeeper)):
        # One member alone has nobody who could notice.
        if len(plan.members_of(service)) > 1:
            yield from told(plan)
    if plan.has("neutron"):
        yield from _gateways(plan)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def provider_options(sections: Mapping[str, Mapping[str, object]]) -> Mapping[str, float]:
    """Seconds of the evs timers in wsrep_provider_options."""
    said = str(sections.get("mariadbd", {}).get("wsrep_provider_options") or "").strip('"')
    pairs = dict(part.strip().split("=", 1) for part in said.split(";") if "=" in part)
    return {name: period(pairs.get(name, "").strip(), default) for name, default in GALERA_DEFAULTS.items()}


def _galera(plan: Plan) -> Iterator[Prediction]:
    timers = provider_options(Described(plan, "galera").ini(_name(GALERA)))
    suspect, look, keepalive, join = (timers[name] for name in GALERA_DEFAULTS)
    # The last word came up to a keepalive before the fault.
    best = max(0.0, suspect - keepalive)
    for fault, scenario in (
        ("database writer power loss: commit stall", "power-writer"),
        ("database member hung: commit stall", "hang-galera"),
    ):
        yield Prediction(
            fault=fault,
            best=best,
            worst=suspect + look + join,
            formula=f"suspect {number(suspect)} + check period {number(look)} + join messages {number(join)} s",
            source="Galera documentation: evs.suspect_timeout, evs.inactive_check_period, evs.join_retrans_period",
            scenario=scenario,
            measures=("stall", "mask"),
            budget="database",
            change="lower evs.suspect_timeout with its fellows (profile, or overrides of 99-outlast.cnf)",
            note="longer, up to evs.inactive_timeout, where the others do not agree who is missing",
        )


def _rabbitmq(plan: Plan) -> Iterator[Prediction]:
    described = Described(plan, "rabbitmq")
    keys = described.ini(_name(RABBITMQ)).get("", {})
    tick = as_number(keys.get("net_ticktime"), 60.0)
    poll = as_number(keys.get("raft.adaptive_failure_detector.poll_interval"), 5000.0) / 1000
    raw = re.search(_USER_TIMEOUT, described.text("advanced.config"))
    silence = float(raw[1]) / 1000 if raw else math.inf
    # Whichever speaks first: the failure detector, or the closed connection between the brokers.
    parted = min(silence + BEAT + RESENT, 1.25 * tick)
    noticed = min(poll + SILENCE, parted)
    ticks = f"1.25 × {number(tick)}"
    formula = f"min({number(silence)} + {number(BEAT + RESENT)}, {ticks})" if raw else ticks
    yield Prediction(
        fault="broker node power loss: queue leaders",
        best=min(SILENCE + poll, silence, 0.75 * tick + BEAT),
        worst=noticed + poll + LONG,
        formula=f"min({number(poll)} + {number(SILENCE)}, {formula}) + {number(poll)} + {number(LONG)} s",
        source="RabbitMQ: raft.adaptive_failure_detector.poll_interval; ra: long election time-out, poll + 1 s",
        scenario="power-rabbitmq-leader",
        measures=("mask", "stall"),
        budget="broker",
        change="lower the broker's poll interval (profile, or overrides of rabbitmq.conf)",
    )
    yield Prediction(
        fault="broker node power loss: brokers part",
        best=min(silence, 0.75 * tick),
        worst=parted,
        formula=f"{formula} s",
        source="tcp(7): TCP_USER_TIMEOUT; Erlang documentation, kernel: net_ticktime ± 25 %",
        budget="broker-nodes",
        change="another profile, or a lower net_ticktime (overrides of rabbitmq.conf)",
    )


def _ovn(plan: Plan) -> Iterator[Prediction]:
    described = Described(plan, "ovn")
    timer = float(str(described.variables("ovn-db").get("election_ms", 1000))) / 1000
    yield Prediction(
        fault="OVN database leader gone",
        # The leader's last word came up to a third of the timer before.
        best=timer * 2 / 3,
        worst=timer + RANGE,
        formula=f"{number(timer)} + up to {number(RANGE)} s",
        source="ovsdb(7), RAFT: election timer",
        scenario="power-ovn-leader",
        measures=("mask", "detect"),
        budget="ovn",
        change="lower options: ovn: election_timer before the databases are made",
        note="overrides cannot change it; a running cluster keeps the timer that it was made with",
    )
    (remote,) = (keys for name, keys in described.json("nb.json")["remotes"].items() if name.startswith("ptcp:"))
    probe = remote["inactivity-probe"] / 1000
    yield Prediction(
        fault="OVN database client of a vanished member",
        best=probe,
        worst=2 * probe,
        formula=f"2 × {number(probe)} s",
        source="ovsdb(7): inactivity probe, then as long for its answer",
        scenario="power-ovn-leader",
        budget="ovn-clients",
        change="lower options: ovn: probe_interval",
    )


def _gateways(plan: Plan) -> Iterator[Prediction]:
    keys = Described(plan, "neutron").ini(_name(ML2)).get("ovn", {})
    # Neutron's own defaults, where an override removed a key.
    hear, send = (as_number(keys.get(name), 1000.0) / 1000 for name in ("bfd_min_rx", "bfd_min_tx"))
    times = as_number(keys.get("bfd_mult"), 3.0)
    interval = max(hear, send)
    yield Prediction(
        fault="gateway chassis gone (BFD)",
        best=(times - 1) * interval,
        worst=times * interval,
        formula=f"{number(times)} × max({number(hear)}, {number(send)}) s",
        source="RFC 5880, 6.8.4: detection time",
        scenario="power-gateway",
        measures=("mask", "detect"),
        budget="gateway",
        change="lower options: neutron: gateway_failover",
        note="of two gateways none takes over: the survivor thinks itself cut off",
    )


def _zookeeper(plan: Plan) -> Iterator[Prediction]:
    keys = Described(plan, "zookeeper").ini("zoo.cfg").get("", {})
    tick = as_number(keys.get("tickTime"), 3000.0) / 1000
    sync = as_number(keys.get("syncLimit"), 5.0)
    yield Prediction(
        fault="ZooKeeper leader gone",
        best=max(0.0, sync * tick - tick / 2),
        worst=sync * tick,
        formula=f"{number(sync)} × {number(tick)} s",
        source="ZooKeeper Administrator's Guide: syncLimit, tickTime",
        scenario="kill-zookeeper",
        budget="zookeeper",
        change="lower options: zookeeper: tick_ms",
        note="an election of some tenths of a second follows",
    )
    low, high = (as_number(keys.get(f"{end}SessionTimeout"), 1000 * ticks * tick) / 1000 for end, ticks in _ENDS)
    yield Prediction(
        fault="ZooKeeper session",
        best=low,
        worst=max(low, high),
        formula=f"within 2 to 20 × {number(tick)} s, as the client asks",
        source="ZooKeeper Administrator's Guide: minSessionTimeout, maxSessionTimeout",
        note="agents ask for a few seconds; nothing waits for the end of a session, permits outlive it",
    )


_ENDS = (("min", 2), ("max", 20))
