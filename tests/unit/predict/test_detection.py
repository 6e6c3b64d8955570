"""Predicted times: the published figures of each profile, raw settings, and that no longer interval helps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache

import pytest
from example_clusters import EXAMPLES, NAMES, opened
from hypothesis import given
from hypothesis import strategies as st

from outlast.model.loader import parse
from outlast.plan.build import plan as build
from outlast.plan.plan import Plan
from outlast.predict.connections import retransmissions, silence
from outlast.predict.detection import broken, predict
from outlast.predict.prediction import Prediction, said
from outlast.services.registry import SPECS
from outlast.spec.timing import PROFILES, Timing

LAB = (EXAMPLES / "lab.yaml").read_text()


def planned(more: str = "", profile: str = "outlast") -> Plan:
    return build(parse(f"{LAB}\nprofile: {profile}\n{more}", "lab.yaml", SPECS), SPECS)


def told(plan: Plan) -> Mapping[str, Prediction]:
    found = predict(plan)
    assert len({item.fault for item in found}) == len(found), "each fault once"
    return {item.fault: item for item in found}


@cache
def of(profile: str) -> Mapping[str, Prediction]:
    return told(planned(profile=profile))


# (profile, fault, published or computed by hand: lowest, highest, tolerance)
CASES = [
    # Kolla-Ansible's defaults, measured: 8.2 s, 58 s, 3.5 to 4.0 s.
    ("kolla", "api killed", 8.0, 10.0, 0.01),
    ("kolla", "api hung", 58.0, 60.0, 0.01),
    ("kolla", "api answers 500", 8.0, 10.0, 0.01),
    ("kolla", "node power loss: VIP", 3.0, 4.0, 0.05),
    # Galera's default timers, measured: 6.2 to 6.4 s.
    ("kolla", "database writer power loss: commit stall", 4.0, 6.5, 0.01),
    # net_ticktime 60, published: 45 to 75 s.
    ("kolla", "broker node power loss: brokers part", 45.0, 75.0, 0.01),
    ("kolla", "broker node power loss: queue leaders", 5.2, 11.2, 0.01),
    ("kolla", "broker node: connections noticed", 60.0, 90.0, 0.01),
    # A check that only connects never notices a hang or a wrong answer.
    ("classic", "api killed", 4.0, 6.0, 0.01),
    ("classic", "api hung", math.inf, math.inf, 0),
    ("classic", "api answers 500", math.inf, math.inf, 0),
    ("classic", "database writer hung: balancer moves", math.inf, math.inf, 0),
    ("classic", "node power loss: VIP", 2.6, 3.6, 0.01),
    ("outlast", "api killed (under load)", 0.0, 0.2, 0.01),
    ("outlast", "api killed (idle)", 0.2, 0.8, 0.01),
    ("outlast", "node power loss: API out of the balancer (under load)", 0.2, 0.6, 0.01),
    ("outlast", "node power loss: API out of the balancer (idle)", 0.6, 1.2, 0.01),
    ("outlast", "node power loss: VIP", 0.24, 0.36, 0.01),
    ("outlast", "keepalived killed", 0.24, 0.36, 0.01),
    ("outlast", "haproxy hung", 0.6, 0.8, 0.01),
    ("outlast", "database writer power loss: commit stall", 0.7, 1.6, 0.01),
    # What is under way may go unconfirmed for 2.5 s; the failure detector looks twice a second, and twice.
    ("outlast", "broker node power loss: brokers part", 2.5, 3.0, 0.01),
    # Four rounds of 0.25 s without an echo, noticed at the next one.
    ("outlast", "broker node: connections noticed", 0.6, 0.75, 0.01),
    ("outlast", "broker node power loss: queue leaders", 0.7, 2.2, 0.01),
    ("outlast", "OVN database leader gone", 1.0, 2.5, 0.01),
    ("outlast", "gateway chassis gone (BFD)", 0.4, 0.6, 0.01),
    ("outlast", "nova-compute considered down", 12.0, 15.0, 0.01),
    ("outlast", "established TCP to a vanished peer (balancer, data under way)", 5.0, 5.0, 0.01),
    ("outlast", "RPC answer lost", 30.0, 30.0, 0.01),
    ("outlast", "memcached node gone: per request", 0.0, 1.5, 0.01),
    ("outlast", "RPC worker hung", 5.4, 7.9, 0.01),
    ("kolla", "RPC worker hung", math.inf, math.inf, 0),
]


@pytest.mark.parametrize(("profile", "fault", "best", "worst", "within"), CASES, ids=lambda item: str(item))
def test_profiles_as_published(profile: str, fault: str, best: float, worst: float, within: float) -> None:
    found = of(profile)[fault]
    assert (found.best, found.worst) == (pytest.approx(best, abs=within), pytest.approx(worst, abs=within))


FORMULAS = [
    ("kolla", "api hung", "5 × (2 + 10) s"),
    ("kolla", "node power loss: VIP", "3 × 1 + (256 − 2) / 256 s"),
    ("outlast", "node power loss: VIP", "3 × 0.1 + (256 − 100) / 256 × 0.1 s"),
    ("outlast", "api hung", "0.6 + 0.55 + 1 × (0.2 + 0.55) s"),
    ("outlast", "api killed (under load)", "0.2 s after a request failed"),
    ("outlast", "established TCP to a vanished peer (balancer, idle)", "2 + 3 × 1 s"),
    ("classic", "api hung", "the check only connects"),
]


@pytest.mark.parametrize(("profile", "fault", "formula"), FORMULAS)
def test_formulas_hold_the_numbers(profile: str, fault: str, formula: str) -> None:
    assert of(profile)[fault].formula == formula


def test_formulas_give_the_worst_case() -> None:
    for profile in PROFILES:
        for item in of(profile).values():
            terms = item.formula.split(" s")[0].replace("×", "*").replace("−", "-").replace("up to ", "")
            if math.isfinite(item.worst) and not any(letter.isalpha() and letter not in "maxin" for letter in terms):
                assert eval(terms.split(" = ")[-1]) == pytest.approx(item.worst, abs=0.01), item.fault


# (raw settings, fault, worst)
OVERRIDES = [
    (
        "haproxy: {haproxy.cfg: {defaults: {timeout check: 200ms}}}",
        "api hung",
        0.6 + 0.2 + 0.2 + 0.2,
    ),
    # The slowest backend counts.
    ("haproxy: {haproxy.cfg: {backend keystone: {timeout check: 5s}}}", "api hung", 0.6 + 5 + 0.2 + 5),
    (
        "haproxy: {haproxy.cfg: {defaults: {default-server tcp-ut: 1500ms}}}",
        "established TCP to a vanished peer (balancer, data under way)",
        5.0,
    ),
    (
        "haproxy: {haproxy.cfg: {defaults: {default-server tcp-ut: 9s}}}",
        "established TCP to a vanished peer (balancer, data under way)",
        9.0,
    ),
    (
        "keepalived: {keepalived.conf: {vrrp_instance external: {advert_int: 0.5}}}",
        "node power loss: VIP (external)",
        1.5 + 156 / 256 * 0.5,
    ),
    (
        'galera: {99-outlast.cnf: {mariadbd: {wsrep_provider_options: "\\"evs.suspect_timeout=PT3S\\""}}}',
        "database writer power loss: commit stall",
        3 + 0.5 + 1,
    ),
    ('rabbitmq: {rabbitmq.conf: {"": {net_ticktime: 1}}}', "broker node power loss: brokers part", 1.25),
    ("neutron: {ml2.ini: {ovn: {bfd_min_rx: 1000}}}", "gateway chassis gone (BFD)", 3.0),
    ("nova: {nova.conf: {DEFAULT: {service_down_time: 99}}}", "nova-compute considered down", 99.0),
    ("glance: {glance-api.conf: {keystone_authtoken: {memcache_pool_socket_timeout: 7}}}", "memcached", 7.0),
    ('zookeeper: {zoo.cfg: {"": {syncLimit: 8}}}', "ZooKeeper leader gone", 4.0),
]


@pytest.mark.parametrize(("raw", "fault", "worst"), OVERRIDES)
def test_raw_settings_change_the_prediction(raw: str, fault: str, worst: float) -> None:
    found = told(planned(f"overrides: {{{raw}}}"))
    (item,) = (found[name] for name in found if name == fault or (fault == "memcached" and name.startswith(fault)))
    assert item.worst == pytest.approx(worst)


def test_one_endpoint_node_has_nobody_to_take_over() -> None:
    text = LAB.replace("[controller, network], domain: host-b", "[service, sdn, storage, network], domain: host-b")
    text = text.replace("[controller, network], domain: host-c", "[service, sdn, storage, network], domain: host-c")
    found = told(build(parse(text, "lab.yaml", SPECS), SPECS))["node power loss: VIP"]
    assert math.isinf(found.best) and math.isinf(found.worst)


@pytest.mark.parametrize("name", NAMES)
def test_every_example_can_be_predicted(name: str) -> None:
    plan = opened(name).plan
    found = told(plan)
    assert bool(plan.has("haproxy")) == any(fault.startswith("api killed") for fault in found)
    assert all(item.formula and item.source for item in found.values())
    assert "database writer power loss: commit stall" in found


INTERVALS = [
    item.name
    for item in fields(Timing)
    # flush_at_commit, redispatch, rise: no times of detection; the version of VRRP changes the formula.
    if item.type in ("float", "int")
    and item.name not in ("flush_at_commit", "redispatch", "check_rise", "vrrp_version")
]


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(INTERVALS), st.floats(1.0, 20.0))
def test_a_longer_interval_never_makes_anything_faster(profile: str, name: str, factor: float) -> None:
    plan = planned(profile=profile)
    value = getattr(plan.timing, name)
    if name == "tcp_user_timeout" and not value:
        return  # 0 is no limit at all
    longer = math.ceil(value * factor) if isinstance(value, int) else round(value * factor, 3)
    after = _by_budget(replace(plan, timing=replace(plan.timing, **{name: longer})))
    for key, item in _by_budget(plan).items():
        assert after[key].worst >= item.worst - 1e-9, key
        # Rarer signs of life: the last one may be older when the fault comes, so luck can be better.
        assert after[key].best >= item.best - 1e-9 or name == "galera_keepalive", key


def _by_budget(plan: Plan) -> Mapping[str, Prediction]:
    """One row may become two when a setting gives load a meaning of its own: without what stands in brackets."""
    worst: dict[str, Prediction] = {}
    for item in predict(plan):
        key = item.fault.replace(" (under load)", "")
        if "(idle)" not in key:
            worst[key] = item
    return worst


@given(
    st.sampled_from(sorted(PROFILES)),
    st.integers(1, 6),
    st.floats(0.05, 30),
    st.floats(0.05, 30),
    st.floats(0.05, 30),
    st.floats(0.05, 30),
)
def test_best_is_never_worse_than_worst(
    profile: str, fall: int, interval: float, fast: float, answer: float, connect: float
) -> None:
    plan = planned(profile=profile)
    times = {"check_interval": interval, "check_fast": fast, "check_timeout": answer, "connect_timeout": connect}
    for item in predict(replace(plan, timing=replace(plan.timing, check_fall=fall, **times))):
        assert 0 <= item.best <= item.worst, item.fault
        assert item.formula


@pytest.mark.parametrize(("retries", "seconds"), [(15, 924.6), (6, 25.4), (5, 12.6)])
def test_retransmissions_as_tcp_7_says(retries: int, seconds: float) -> None:
    assert retransmissions(retries) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("probes", "limit", "seconds"), [((7200, 75, 9), 0, 7875), ((2, 1, 2), 5, 5), ((3, 1, 3), 0, 6), ((8, 2, 3), 5, 10)]
)
def test_silence_of_an_idle_connection(probes: tuple[float, float, float], limit: float, seconds: float) -> None:
    assert silence(probes, limit) == seconds


def test_a_budget_is_compared_with_the_worst_of_its_predictions() -> None:
    found = predict(planned())
    assert broken(found, {"vip": 0.5, "api-killed": 0.5, "tcp": 5}) == ()
    ((item, limit),) = broken(found, {"api-hung": 1.8, "vip": 0.5})
    assert (item.fault, limit) == ("api hung", 1.8)
    ((item, _),) = broken(predict(planned(profile="kolla")), {"database": 2.5})
    assert item.worst == max(one.worst for one in predict(planned(profile="kolla")) if one.budget == "database")
    assert broken(found, {"nobody-predicts-this": 0.0}) == ()


def test_times_are_said_shortly() -> None:
    assert [said(value) for value in (0.3, 12.6000001, 58.0, math.inf)] == ["0.3 s", "12.6 s", "58 s", "never"]
