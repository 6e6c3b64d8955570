"""Balancers and virtual addresses in front of a real database, seen by a client that never retries."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from fence_watch import Owners
from fence_watch import owners as owning
from labs import NETWORKS, SUPERVISOR, VIPS, Cluster, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

NODES = ("s1", "s2", "s3")
CLIENT = "x1"
VIP, EXTERNAL_VIP = "10.61.0.250", "10.60.0.250"
BODY = f"""{NETWORKS}{VIPS}
services: [haproxy, keepalived, galera]
nodes:
  s1: {{roles: [endpoint, service]}}
  s2: {{roles: [endpoint, service]}}
  s3: {{roles: [endpoint, service]}}
  # A machine of the inner network that runs nothing: the client.
  {CLIENT}: {{roles: [compute]}}
lab: {{volume: 1024}}
"""
TEXT = (Path(__file__).parent / "endpoint_client.py").read_text()
PYTHON = ("/usr/bin/python3", "-c", TEXT)
RATE = 25


@pytest.fixture(scope="module")
def endpoint(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    cluster = new_lab("endpoint", BODY)
    report = cluster.up()
    print(f"three endpoint nodes with a database: {sum(report['phases'].values()):.1f} s")
    until(lambda: len(cluster.holders(VIP)) == 1, 10, "one holder")
    # Somebody from outside must be known, or the server turns strangers away before it greets.
    cluster.sql("s1", "CREATE USER 'nobody'@'%' IDENTIFIED BY 'nothing'")
    return cluster


@dataclass(frozen=True)
class Connect:
    """One attempt: begin and end on the clock that all nodes share."""

    number: int
    outcome: str
    begun: float
    ended: float


def parsed(lines: list[str]) -> list[Connect]:
    words = [line.split() for line in list(lines)]
    return [Connect(int(one[0]), one[1], float(one[2]), float(one[3])) for one in words]


@contextmanager
def connecting(cluster: Cluster) -> Iterator[list[str]]:
    """Connects while the block lasts, then until every attempt that was begun has ended."""
    with cluster.following(CLIENT, *PYTHON, "connect", VIP, "3306", str(RATE)) as lines:
        until(lambda: len(lines) > RATE, 20, "first connects")
        yield lines
        last = max(one.number for one in parsed(lines))
        until(lambda: {one.number for one in parsed(lines)} >= set(range(last + 1)), 15, "all outcomes")


@contextmanager
def watching(cluster: Cluster, *nodes: str) -> Iterator[dict[str, list[str]]]:
    """When each node had the VIP while the block lasts."""
    with ExitStack() as stack:
        yield {node: stack.enter_context(cluster.following(node, *PYTHON, "watch", VIP)) for node in nodes}


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Every agent and every supervisor stands still while the block lasts."""
    agents = {node: cluster.agent(node) for node in NODES}
    # A node's first process is deaf to signals from inside the node.
    supervisors = [pid for node in NODES if (pid := cluster.target.lab.pid1(node))]
    try:
        for node, pid in agents.items():
            cluster.inside(node, "kill", "-STOP", str(pid))
        for pid in supervisors:
            os.kill(pid, signal.SIGSTOP)
        yield
        assert [Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] for pid in supervisors] == ["T"] * 3
    finally:
        for pid in supervisors:
            os.kill(pid, signal.SIGCONT)
        for node, pid in agents.items():
            cluster.inside(node, "kill", "-CONT", str(pid))


def failed(lines: list[str]) -> list[Connect]:
    return [one for one in parsed(lines) if one.outcome != "ok"]


def longest_gap(lines: list[str], after: float) -> float:
    """Longest time without any good answer after a moment."""
    good = sorted(one.ended for one in parsed(lines) if one.outcome == "ok" and one.ended > after)
    return max(later - earlier for earlier, later in pairwise([after, *good]))


def pass_seconds(lines: list[str], seconds: float) -> None:
    """Lets the client go on for so long, by the client's own count of what it has done."""
    wanted = len(lines) + round(seconds * RATE)
    until(lambda: len(lines) >= wanted, seconds * 3 + 15, f"{wanted} connects")


def owners(spans: dict[str, list[str]]) -> list[str]:
    """Who has the VIP by the watchers' last words."""
    return [node for node, lines in spans.items() if lines and lines[-1].startswith("+")]


def test_exactly_one_node_holds_the_vip(endpoint: Cluster) -> None:
    assert endpoint.unsettled() == []
    assert len(endpoint.holders(VIP)) == 1
    assert len(endpoint.holders(EXTERNAL_VIP)) == 1


def test_the_holder_loses_power(endpoint: Cluster) -> None:
    lost = endpoint.holders(VIP)[0]
    left = [node for node in NODES if node != lost]
    with connecting(endpoint) as lines, watching(endpoint, *left) as spans:
        at = time.monotonic()
        endpoint.poweroff(lost)
        until(lambda: owners(spans), 10, "a new holder")
        pass_seconds(lines, 4)
        new = owners(spans)
        assert len(new) == 1
        endpoint.poweron(lost)
        with watching(endpoint, lost) as back:
            took = endpoint.await_settled(60)
            pass_seconds(lines, 2)
            assert owners(back) == [], "nobody takes the VIP back from a node that holds it"
        assert owners(spans) == new
    moved = min(float(line[2:]) for line in spans[new[0]] if line.startswith("+") and float(line[2:]) > at)
    bad = failed(lines)
    print(f"VIP on {new[0]} {moved - at:.2f} s after the power cut of {lost}, settled {took:.1f} s after power on")
    print(f"longest gap {longest_gap(lines, at):.2f} s, {len(bad)} of {len(lines)} connects failed")
    assert longest_gap(lines, at) <= 3.0
    # Whoever began when the new holder was there for a second was served.
    assert [one for one in bad if one.begun > moved + 2.0] == []
    assert endpoint.holders(VIP) == new


def test_a_silent_management_network_takes_the_external_vip_away(endpoint: Cluster) -> None:
    """The carrier stays. The internal VIP does not need that network, and stays where it is."""
    [lost], inner = endpoint.holders(EXTERNAL_VIP), endpoint.holders(VIP)
    before = endpoint.programs()
    with cut_off(endpoint, lost, "mgmt", EXTERNAL_VIP) as at:
        assert endpoint.holders(VIP) == inner
        until(lambda: any("on management" in one for one in endpoint.unsettled()), 10, endpoint.unsettled)
        # Longer than the agent waits before it kills a program whose answers stay bad.
        time.sleep(5)
    assert endpoint.programs() == before
    took = endpoint.await_settled(60)
    print(f"well again {took:.1f} s after the management network was")
    told = [one for one in endpoint.events(lost, "keepalived", at) if one.code.startswith("guard-")]
    assert [one.code for one in told if one.code in ("guard-cut-off", "guard-joined")] == [
        "guard-cut-off",
        "guard-joined",
    ]
    assert len(endpoint.holders(EXTERNAL_VIP)) == 1 and endpoint.holders(VIP) == inner


def test_a_silent_control_data_network_takes_both_vips_away_without_any_agent(endpoint: Cluster) -> None:
    """No agent and no supervisor takes part: they are frozen."""
    [lost] = endpoint.holders(VIP)
    with frozen(endpoint), cut_off(endpoint, lost, "ctl", VIP):
        until(lambda: lost not in endpoint.holders(EXTERNAL_VIP), 3, "the external VIP needs control-data too")
    took = endpoint.await_settled(60)
    print(f"well again {took:.1f} s after the control-data network was")
    assert len(endpoint.holders(VIP)) == 1 == len(endpoint.holders(EXTERNAL_VIP))


@contextmanager
def cut_off(cluster: Cluster, node: str, interface: str, vip: str) -> Iterator[float]:
    """Nothing passes on one of a node's networks while the block lasts; its VIP leaves at once. The wall time."""
    lab, wall = cluster.target.lab, time.time()
    processes = {name: pid for name in NODES if (pid := lab.pid1(name))}
    with owning(vip, processes) as seen:
        try:
            at = time.monotonic()
            lab.drop(node, interface, True)
            until(lambda: elsewhere(seen, node), 6, lambda: f"{seen.changes} after {at}", 0.02)
            print(f"{interface} silent: {vip} left {node} after {seen.left(node, at):.2f} s")
            assert seen.left(node, at) <= 2.0
            yield wall
            assert elsewhere(seen, node) and seen.moves(at) == 1
        finally:
            lab.drop(node, interface, False)


def elsewhere(seen: Owners, node: str) -> bool:
    """Whether exactly one node has the address, and not this one."""
    return len(seen.holders()) == 1 and not seen.now[node]


def test_a_killed_agent_is_not_noticed(endpoint: Cluster) -> None:
    before = endpoint.programs()
    with connecting(endpoint) as lines:
        for node in NODES:
            pid = endpoint.agent(node)
            endpoint.inside(node, "kill", "-9", str(pid))
            until(lambda node=node, pid=pid: endpoint.agent(node) not in (0, pid), 15, "a new agent")  # type: ignore[misc]
        endpoint.await_settled(30)
    assert failed(lines) == []
    assert endpoint.programs() == before


def test_a_frozen_agent_is_not_noticed(endpoint: Cluster) -> None:
    """All of them, and the supervisors too: no client needs either."""
    held = endpoint.holders(VIP)
    with connecting(endpoint) as lines:
        with frozen(endpoint):
            pass_seconds(lines, 6)
        endpoint.await_settled(30)
    assert failed(lines) == []
    assert endpoint.holders(VIP) == held


def test_all_agents_stopped_is_not_noticed(endpoint: Cluster) -> None:
    held = endpoint.holders(VIP)
    with connecting(endpoint) as lines:
        for node in NODES:
            endpoint.inside(node, *SUPERVISOR, "stop", "outlast-agent")
        pass_seconds(lines, 6)
        for node in NODES:
            endpoint.inside(node, *SUPERVISOR, "start", "outlast-agent")
        endpoint.await_settled(30)
    assert failed(lines) == []
    assert endpoint.holders(VIP) == held


def test_a_database_member_less_is_noticed_once_at_most(endpoint: Cluster) -> None:
    """The writer's server dies: new connections go to the next one within the balancer's check."""
    with connecting(endpoint) as lines:
        at = time.monotonic()
        pid, _ = endpoint.programs()["s1", "galera"]
        endpoint.inside("s1", "kill", "-9", str(pid))
        pass_seconds(lines, 3)
        endpoint.await_settled(60)
    print(f"database member killed: {len(failed(lines))} of {len(lines)} failed, gap {longest_gap(lines, at):.2f} s")
    assert longest_gap(lines, at) <= 3.0


def test_a_changed_balancer_option_is_not_noticed(endpoint: Cluster) -> None:
    before = endpoint.programs()
    endpoint.write(f"{BODY}\noptions: {{haproxy: {{maxconn: 3333}}}}\n")
    with connecting(endpoint) as lines:
        endpoint.up()
        pass_seconds(lines, 1)
    assert failed(lines) == []
    assert endpoint.programs() == before, "read anew, not restarted"
    assert "maxconn 3333" in endpoint.inside("s2", "cat", "/etc/haproxy/haproxy.cfg")


def test_a_configuration_that_only_warns_is_refused(endpoint: Cluster) -> None:
    before = endpoint.programs()
    # A rule for requests where there are only streams: haproxy -c speaks of it and would start all the same.
    warns = "overrides: {haproxy: {haproxy.cfg: {frontend galera.internal: {http-request deny: true}}}}"
    endpoint.write(f"{BODY}\n{warns}\n")
    with connecting(endpoint) as lines:
        said = endpoint.run("up", status=1)
        pass_seconds(lines, 1)
    print(said[-400:])
    assert "haproxy on " in said
    assert "refused" in said or "check failed" in said
    assert failed(lines) == []
    assert endpoint.programs() == before
    endpoint.write(BODY)
    endpoint.up()
    assert endpoint.unsettled() == []


def test_a_wrong_vrrp_setting_is_refused(endpoint: Cluster) -> None:
    """keepalived --config-test speaks up before the running one is asked to read its file."""
    before, held = endpoint.programs(), endpoint.holders(VIP)
    endpoint.write(
        f"{BODY}\noverrides: {{keepalived: {{keepalived.conf: {{vrrp_instance internal: {{advert_intt: 3}}}}}}}}\n"
    )
    said = endpoint.run("up", status=1)
    print(said[-400:])
    assert "keepalived on " in said
    assert endpoint.programs() == before
    assert endpoint.holders(VIP) == held
    endpoint.write(BODY)
    endpoint.up()
    assert endpoint.unsettled() == []
