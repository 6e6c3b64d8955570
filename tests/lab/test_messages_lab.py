"""RabbitMQ, ZooKeeper and memcached on three nodes: formed, killed, without power, and back by themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from labs import NETWORKS, Cluster, until

from outlast.rollout import secrets

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

NODES = ("s1", "s2", "s3")
ADDRESSES = {"s1": "10.61.0.11", "s2": "10.61.0.12", "s3": "10.61.0.13"}
BODY = f"""{NETWORKS}
services: [rabbitmq, zookeeper, memcached]
nodes: {{s1: {{roles: [service]}}, s2: {{roles: [service]}}, s3: {{roles: [service]}}}}
lab: {{volume: 512}}
"""
BROKER = (Path(__file__).parent / "broker.py").read_text()
RPC_WAY = (Path(__file__).parent / "rpc_way.py").read_text()
RABBITMQCTL = ("env", "HOME=/var/lib/rabbitmq", "RABBITMQ_NODENAME=rabbit@s1", "rabbitmqctl", "--timeout", "20")


@pytest.fixture(scope="module")
def messages(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    cluster = new_lab("messages", BODY)
    report = cluster.up()
    print(f"three brokers, ZooKeeper and caches: {sum(report['phases'].values()):.1f} s")
    return cluster


def broker(cluster: Cluster, word: str, at: str, queue: str, count: int = 0) -> list[int]:
    """broker.py on s1, with the broker of `at`, as a client that keeps trying for half a minute."""
    password = secrets.read(secrets.path_for(cluster.path))["rabbitmq/openstack"]
    words = (word, ADDRESSES[at], password, queue, "30", str(count))
    begun = time.monotonic()
    said = cluster.inside("s1", "/opt/openstack/bin/python", "-c", BROKER, *words)
    print(f"{word} {queue} through {at}: {time.monotonic() - begun:.1f} s")
    return sorted({int(line) for line in said.split()})


def running_brokers(cluster: Cluster, node: str) -> int:
    """How many brokers are in the cluster, as the node's broker sees it."""
    argv = ("env", "HOME=/var/lib/rabbitmq", f"RABBITMQ_NODENAME=rabbit@{node}", "rabbitmqctl", "--timeout", "20")
    argv = (*argv, "eval", "length(rabbit_nodes:list_running()).")
    said = cluster.inside(node, *argv, check=False).strip().splitlines()
    return int(said[-1]) if said and said[-1].isdigit() else 0


def modes(cluster: Cluster) -> list[str]:
    """What each ZooKeeper member says it is."""
    found = []
    for node in NODES:
        script = f"import socket; s = socket.create_connection(('{ADDRESSES[node]}', 2181), 3); s.sendall(b'srvr'); "
        said = cluster.inside(node, "/usr/bin/python3", "-c", script + "print(s.makefile().read())", check=False)
        found += [line.split()[1] for line in said.splitlines() if line.startswith("Mode:")]
    return sorted(found)


def test_all_are_formed(messages: Cluster) -> None:
    assert messages.unsettled() == []
    assert running_brokers(messages, "s2") == 3
    assert modes(messages) == ["follower", "follower", "leader"]


def test_a_refused_setting_is_told_and_stops_nothing(messages: Cluster) -> None:
    """The broker's own reader is asked before the running broker is stopped."""
    before = messages.programs()
    messages.write(f'{BODY}\noverrides: {{rabbitmq: {{rabbitmq.conf: {{"": {{heartbeatt: 5}}}}}}}}\n')
    said = messages.run("up", status=1)
    assert "rabbitmq on s1" in said
    assert "unknown variable: heartbeatt" in said
    assert messages.programs() == before
    messages.write(BODY)
    messages.up()
    assert messages.programs() == before


def test_a_killed_broker_is_back_by_itself(messages: Cluster) -> None:
    pid, _ = messages.programs()["s2", "rabbitmq"]
    messages.inside("s2", "kill", "-9", f"-{_group(messages, pid)}", check=False)
    begun = time.monotonic()
    until(lambda: messages.programs().get(("s2", "rabbitmq"), (pid, 0))[0] != pid, 20, "a new process")
    messages.await_settled(60)
    until(lambda: running_brokers(messages, "s1") == 3, 60, "three brokers", poll=1.0)
    print(f"a killed broker was back after {time.monotonic() - begun:.1f} s")


def _group(cluster: Cluster, pid: int, node: str = "s2") -> str:
    return cluster.inside(node, "ps", "-o", "pgid=", "-p", str(pid)).strip()


def test_a_killed_cache_and_zookeeper_are_back(messages: Cluster) -> None:
    before = messages.programs()
    for program in ("memcached", "zookeeper"):
        messages.inside("s3", "kill", "-9", str(before["s3", program][0]))
    until(
        lambda: all(messages.programs().get(("s3", one), before["s3", one]) != before["s3", one]
                    for one in ("memcached", "zookeeper")),
        20, "new processes",
    )  # fmt: skip
    messages.await_settled(30)
    until(lambda: modes(messages) == ["follower", "follower", "leader"], 20, lambda: modes(messages))


def replicas(cluster: Cluster, queue: str) -> dict[str, tuple[str, int]]:
    """State and last entry carried out of each broker's replica, by the broker of s1."""
    nodes = "N <- [rabbit@s1, rabbit@s2, rabbit@s3]"
    asked = f"M <- [ra:key_metrics({{'%2F_{queue}', N}}, 5000)]"
    words = (
        f'[io:format("~s ~s ~b~n", [N, maps:get(state, M), maps:get(last_applied, M, -1)]) || {nodes}, {asked}], ok.'
    )
    said = cluster.inside("s1", *RABBITMQCTL, "eval", words)
    found = [line.split() for line in said.splitlines() if line.startswith("rabbit@")]
    return {node: (state, int(applied)) for node, state, applied in found}


def test_a_replica_that_cannot_follow_is_replaced(messages: Cluster) -> None:
    # The fault itself needs a race within Raft; what the broker writes then is put into its log.
    queue = "followed"
    sent = broker(messages, "publish", "s1", queue, 20)
    assert len(sent) == 20
    node = next(name for name, (state, _) in replicas(messages, queue).items() if state != "leader").split("@")[1]
    uid = f"ra_directory:uid_of(quorum_queues, '%2F_{queue}')."
    argv = ("env", "HOME=/var/lib/rabbitmq", f"RABBITMQ_NODENAME=rabbit@{node}", "rabbitmqctl", "eval")
    before = messages.inside(node, *argv, uid).strip()
    head = "2026-01-01 00:00:00 [info] <0.1.0>"
    mismatch = "term mismatch - follower had entry at 3 with term 1 but not with term 2"
    asks = "Asking leader {'x',rabbit@s1} to resend from 5"
    lines = f"{head} queue '{queue}' in vhost '/': {mismatch}\n{head} {asks}\n"
    begun = time.time()
    messages.inside(node, "sh", "-c", "cat >>/var/log/outlast/rabbitmq.log", given=lines)
    until(
        lambda: [one for one in messages.events(node, "rabbitmq", begun) if one.code == "replica.replaced"],
        30,
        lambda: messages.events(node, "rabbitmq", begun),
    )
    assert messages.inside(node, *argv, uid).strip() != before, "another replica than before"
    until(lambda: len({applied for _, applied in replicas(messages, queue).values()}) == 1, 20, "all have the same")
    assert sorted(state for state, _ in replicas(messages, queue).values()) == ["follower", "follower", "leader"]
    assert broker(messages, "fetch", node, queue) == sent
    messages.await_settled(30)


def test_a_broker_whose_own_records_cannot_follow_joins_as_a_new_one(messages: Cluster) -> None:
    """Seen after its disk was full; here, too, the log's lines are put there, and all else is real."""
    queue = "kept-by-others"
    sent = broker(messages, "publish", "s1", queue, 20)
    before, begun = messages.programs()["s2", "rabbitmq"], time.time()
    head = "2026-01-01 00:00:00 [info] <0.1.0>"
    mismatch = "RabbitMQ metadata store: term mismatch - follower had entry at 3 with term 1 but not with term 2"
    lines = f"{head} {mismatch}\n{head} Asking leader {{'x',rabbit@s1}} to resend from 5\n"
    messages.inside("s2", "sh", "-c", "cat >>/var/log/outlast/rabbitmq.log", given=lines)
    until(lambda: messages.programs().get(("s2", "rabbitmq"), before)[0] not in (before[0], 0), 30, "a new process")
    messages.await_settled(90)
    print(f"a broker that joins as a new one: {time.time() - begun:.1f} s")
    assert "joins the others as a new one" in str(messages.events("s2", "rabbitmq", begun))
    messages.inside("s2", "ls", "/var/lib/rabbitmq/unreadable")
    assert broker(messages, "fetch", "s2", queue) == sent


@pytest.mark.parametrize("program", ["memcached", "zookeeper", "rabbitmq"])
def test_a_hung_program_is_killed_and_is_back(messages: Cluster, program: str) -> None:
    """SIGSTOP of the whole process group: it keeps its sockets and answers nobody."""
    pid, _ = messages.programs()["s2", program]
    wall, begun = time.time(), time.monotonic()
    messages.inside("s2", "kill", "-STOP", "--", f"-{_group(messages, pid)}")
    until(lambda: messages.programs().get(("s2", program), (pid, 0))[0] not in (pid, 0), 30, "a new process")
    print(f"hung {program}: another process after {time.monotonic() - begun:.1f} s")
    messages.await_settled(60)
    told = [event for event in messages.events("s2", program, after=wall - 1) if event.code == "program.hung"]
    assert len(told) == 1, "said once, and not again for what the dead process had said"
    assert told[0].evidence
    others = {event.node for event in messages.events("", program, after=wall - 1) if event.code == "program.hung"}
    assert others == {"s2"}, "only the faulty member is touched"


def test_a_broker_without_its_data_joins_as_a_new_one(messages: Cluster) -> None:
    """Under its old name it would form a cluster of its own, and take the others' users and queues with it."""
    confirmed = broker(messages, "publish", "s1", "whole", 50)
    pid, _ = messages.programs()["s2", "rabbitmq"]
    messages.inside("s2", "sh", "-c", f"kill -9 -{_group(messages, pid)}; rm -rf /var/lib/rabbitmq/mnesia", check=False)
    begun = time.monotonic()
    until(lambda: messages.programs().get(("s2", "rabbitmq"), (pid, 0))[0] != pid, 20, "a new process")
    messages.await_settled(90)
    until(lambda: [running_brokers(messages, node) for node in NODES] == [3, 3, 3], 60, "three brokers", poll=1.0)
    print(f"a broker without data is a member again after {time.monotonic() - begun:.1f} s")
    assert broker(messages, "fetch", "s2", "whole") == confirmed


def test_a_broker_that_cannot_read_its_data_joins_as_a_new_one(messages: Cluster) -> None:
    """But only while the others are a majority without it: else what it has may be all that is left."""
    confirmed = broker(messages, "publish", "s1", "torn", 50)
    messages.poweroff("s1")
    pid, _ = messages.programs()["s3", "rabbitmq"]
    logs = "/var/lib/rabbitmq/mnesia/rabbit@s3/*/rabbit@s3"
    spoil = f"for log in {logs}/*.wal {logs}/*/*.segment; do [ ! -e $log ] || head -c 3000 /dev/urandom >$log; done"
    messages.inside("s3", "sh", "-c", f"kill -9 -{_group(messages, pid, 's3')}; {spoil}", check=False)

    def starts() -> int:
        return messages.count("s3", "/var/lib/rabbitmq/failed-starts")

    until(lambda: starts() > 4, 120, starts, poll=0.5)
    assert "unreadable" not in messages.inside("s3", "ls", "/var/lib/rabbitmq")
    begun = time.monotonic()
    messages.poweron("s1")
    messages.await_settled(120)
    until(lambda: [running_brokers(messages, node) for node in NODES] == [3, 3, 3], 60, "three brokers", poll=1.0)
    print(f"a broker with spoilt data is a member again {time.monotonic() - begun:.1f} s after there is a majority")
    assert "unreadable" in messages.inside("s3", "ls", "/var/lib/rabbitmq")
    assert broker(messages, "fetch", "s3", "torn") == confirmed


def test_confirmed_messages_outlive_a_total_power_loss(messages: Cluster) -> None:
    confirmed = broker(messages, "publish", "s2", "kept", 200)
    assert len(confirmed) == 200
    messages.poweroff(*NODES)
    messages.poweron("s2", "s3", "s1")
    print(f"whole {messages.await_settled(120):.1f} s after power on of all")
    assert broker(messages, "fetch", "s3", "kept") == confirmed
    until(lambda: modes(messages) == ["follower", "follower", "leader"], 20, lambda: modes(messages))


def test_two_of_three_go_on(messages: Cluster) -> None:
    """Whoever stopped last need not be there: the broker's own records are kept by majority."""
    confirmed = broker(messages, "publish", "s3", "most", 50)
    messages.poweroff(*NODES)
    messages.poweron("s1", "s2")

    def well() -> bool:
        return {node: state.phase for node, state in messages.members("rabbitmq").items()} == {
            "s1": "settled",
            "s2": "settled",
        }

    begun = time.monotonic()
    until(well, 120, messages.unsettled)
    print(f"two of three brokers serve {time.monotonic() - begun:.1f} s after power on")
    assert broker(messages, "fetch", "s2", "most") == confirmed
    messages.poweron("s3")
    messages.await_settled(90)


def test_a_lost_way_back_is_not_the_workers_fault(messages: Cluster) -> None:
    """Seen after a partition: the broker had forgotten the queue for an agent's answers and kept its connection; the
    agent restarted healthy workers for as long as that lasted."""
    password = secrets.read(secrets.path_for(messages.path))["rabbitmq/openstack"]
    argv = messages.entry("s1", "env", "PYTHONPATH=/var/lib/outlast/code", "/opt/outlast/bin/python", "-c", RPC_WAY)
    with subprocess.Popen(
        [*argv, ADDRESSES["s1"], password], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as asked:
        assert asked.stdin and asked.stdout

        def ping(word: str) -> list[str]:
            asked.stdin.write(f"{word}\n")
            return asked.stdout.readline().split(maxsplit=3)

        kind, _, queue, *_ = ping("ping")
        assert kind == "pong"
        forgotten = f'rabbit_db_queue:delete(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>), normal).'
        messages.inside("s1", *RABBITMQCTL, "eval", forgotten)
        kind, _, _, words = ping("ping")
        assert (kind, "does not bring us answers" in words) == ("untaken", True), words
        kind, _, fresh, *_ = until(lambda: (said := ping("ping"))[0] == "pong" and said, 10, "a new connection")
        assert fresh != queue
        kind, consumers, *_ = ping("deaf")
        assert (kind, consumers) == ("silent", "1"), "who takes a ping and does not answer is still told"
        asked.stdin.close()
