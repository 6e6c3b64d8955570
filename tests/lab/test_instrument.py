"""The load generator where it needs root and real daemons: packets, rows and messages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from labs import NETWORKS, Cluster

from outlast.drill.instrument.consumed import consumption
from outlast.lab.state import place
from outlast.lab.topology import node_namespace
from outlast.record.run import RunFolder
from outlast.rollout import secrets

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(400)]

INSTRUMENT = (sys.executable, "-m", "outlast.drill.instrument")
BODY = f"""{NETWORKS}
services: [galera, rabbitmq, zookeeper]
nodes: {{s1: {{roles: [service]}}, s2: {{roles: [service]}}, s3: {{roles: [service]}}}}
lab: {{volume: 1024}}
"""
BROKERS = ("10.61.0.11:5672", "10.61.0.12:5672", "10.61.0.13:5672")


@contextmanager
def instrument(prefix: tuple[str, ...], order: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """The instrument, ready."""
    process = subprocess.Popen((*prefix, *INSTRUMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        yield process
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def lines(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    assert process.stdout
    return [json.loads(line) for line in process.stdout]


def test_a_tenant_stream(tmp_path: Path) -> None:
    """100 packets a second each way; an address that nobody has loses every packet, and says when it was sent."""
    streams = [{"name": "near", "address": "127.0.0.1"}, {"name": "nobody", "address": "192.0.2.1"}]
    order = {"folder": str(tmp_path), "seconds": 2.0, "prefix": "d1", "streams": streams}
    with instrument(("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"), order) as process:
        assert lines(process)[0] == {"ready": True}
    packets = RunFolder(tmp_path).packets()
    near = sorted((packet for packet in packets if packet.stream == "near"), key=lambda packet: packet.seq)
    # The stream begins before the load and ends after it, by as long as this machine takes for either.
    seconds = near[-1].sent - near[0].sent
    assert seconds > 1.8 and len(near) - 1 == pytest.approx(100 * seconds, abs=5)
    assert [packet.seq for packet in near] == list(range(len(near)))
    assert all(packet.received is not None and 0 <= packet.received - packet.sent < 1.0 for packet in near)
    nobody = [packet for packet in packets if packet.stream == "nobody"]
    assert len(nobody) == pytest.approx(len(near), abs=1)
    assert {packet.received for packet in nobody} == {None}


@pytest.fixture(scope="module")
def stores(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    cluster = new_lab("load", BODY)
    cluster.up()
    cluster.sql("s1", "CREATE USER drill@'%' IDENTIFIED BY 'x'; GRANT ALL ON outlast_drill.* TO drill@'%'")
    return cluster


def test_rows_and_messages_while_a_member_has_no_power(stores: Cluster, tmp_path: Path) -> None:
    """Each request ends; what was acknowledged is in the table, or was consumed; `clean` removes it."""
    order: dict[str, Any] = {
        "folder": str(tmp_path),
        "rate": 20.0,
        "seconds": 15.0,
        "deadline": 15.0,
        "prefix": "d1",
        "workloads": ["sql-rows", "mq-notices", "mq-rpc"],
        "sql": {"host": "10.61.0.11", "port": 3306, "user": "drill", "password": "x", "database": "outlast_drill"},
        "amqp": {
            "hosts": BROKERS,
            "user": "openstack",
            "password": secrets.read(secrets.path_for(stores.path))["rabbitmq/openstack"],
        },
    }
    namespace = node_namespace(place(stores.target.state_dir).lab_id, "s1")
    prefix = ("nsenter", f"--net=/run/netns/{namespace}")
    with instrument(prefix, order) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline()) == {"ready": True}
        stores.poweroff("s3")
        said = lines(process)
    assert len(said) == 1 and said[0]["requests"] == pytest.approx(300, abs=5)
    folder = RunFolder(tmp_path)
    history = folder.history()
    assert len(history) == said[0]["requests"]
    assert all(operation.ended is not None for operation in history)
    good = {operation.key for operation in history if operation.outcome == "ok" and operation.kind == "create"}
    assert len(good) > 150
    rows = set(stores.sql("s1", "SELECT k FROM outlast_drill.`rows`").split())
    taken = {operation.value for operation in consumption(folder)}
    assert good <= rows | taken
    assert rows and taken and not rows & taken
    assert [one for one in history if one.workload == "mq-rpc" and one.outcome == "ok"]
    with instrument(prefix, {**order, "action": "clean"}) as process:
        assert lines(process) == [{"removed": 0}]
    assert stores.sql("s1", "SELECT count(*) FROM outlast_drill.`rows`") == "0"
