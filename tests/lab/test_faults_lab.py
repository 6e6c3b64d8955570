"""Every fault on real nodes: it takes effect, seen by somebody else than the fault, and nothing of it is left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from labs import NETWORKS, VIPS, Cluster, until
from striking import CHECK_PORT, CLIENT, Drill

from outlast.drill.faults.facts import gather
from outlast.drill.faults.networks import has_carrier
from outlast.drill.targets import resolve
from outlast.drill.undo import UndoJournal, heal
from outlast.errors import InputError
from outlast.lab.errors import LabError

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NODES = ("s1", "s2", "s3")
VIP = "10.61.0.250"
BODY = f"""{NETWORKS}{VIPS}
services: [haproxy, keepalived, galera, zookeeper]
nodes:
  s1: {{roles: [endpoint, service]}}
  s2: {{roles: [endpoint, service]}}
  s3: {{roles: [endpoint, service]}}
  # A machine of the inner network that runs nothing: the client.
  {CLIENT}: {{roles: [compute]}}
lab: {{volume: 1024}}
"""


@pytest.fixture(scope="module")
def drill(new_lab: Callable[[str, str], Cluster], tmp_path_factory: pytest.TempPathFactory) -> Drill:
    cluster = new_lab("faults", BODY)
    cluster.up()
    until(lambda: len(cluster.holders(VIP)) == 1, 10, "one holder")
    # Somebody from outside must be known, or the server turns strangers away before it greets.
    cluster.sql("s1", "CREATE USER 'nobody'@'%' IDENTIFIED BY 'nothing'")
    return Drill(cluster, tmp_path_factory.mktemp("journal"))


def test_descriptions_mean_what_the_nodes_say(drill: Drill) -> None:
    begun = time.monotonic()
    facts = gather(drill.hands)
    print(f"facts of four nodes: {1000 * (time.monotonic() - begun):.0f} ms")
    assert list(resolve("vip-holder:internal", facts)) == drill.cluster.holders(VIP)
    leader = [node for node in NODES if "Mode: leader" in _srvr(drill, node)]
    assert list(resolve("leader-of:zookeeper", facts)) == leader
    assert resolve("writer", facts) == (_writer(drill),)
    assert facts.controllers == NODES


def _srvr(drill: Drill, node: str) -> str:
    script = f"exec 3<>/dev/tcp/{drill.address[node]}/2181; echo srvr >&3; cat <&3"
    return drill.cluster.inside(node, "bash", "-c", script)


def _writer(drill: Drill) -> str:
    """Where a session through the VIP ends up, by who has a connection from the balancer's node."""
    holder = drill.cluster.holders(VIP)[0]
    script = f"exec 3<>/dev/tcp/{VIP}/3306; head -c 5 <&3 >/dev/null; ss -Htn state established 'dport = :3306'"
    said = drill.cluster.inside(holder, "bash", "-c", script)
    return next(node for node, address in drill.address.items() if f" {address}:3306" in said)


def test_kill_takes_the_whole_tree(drill: Drill) -> None:
    before = drill.cluster.programs()["s1", "zookeeper"]
    with drill.struck("kill", "s1", program="zookeeper"):
        until(lambda: drill.cluster.programs().get(("s1", "zookeeper"), before) != before, 10, "another process")
    drill.cluster.await_settled(30)


def test_the_balancer_and_its_guard_are_two_programs(drill: Drill) -> None:
    def child() -> int:
        return int(json.loads(drill.cluster.inside("s3", "cat", "/run/outlast/guard/haproxy.json"))["child_pid"] or 0)

    guard, before = drill.pid("s3", "haproxy"), child()
    with drill.struck("kill", "s3", program="haproxy"):
        until(lambda: child() not in (0, before), 5, "another balancer")
        assert drill.pid("s3", "haproxy") == guard
    before = child()
    with drill.struck("kill", "s3", program="haproxy-guard"):
        until(lambda: drill.cluster.programs().get(("s3", "haproxy"), (guard, 0))[0] != guard, 10, "another guard")
        assert child() == before, "the balancer was taken over"
    drill.cluster.await_settled(30)


def test_pause_holds_until_it_is_undone_twice(drill: Drill) -> None:
    pid = drill.pid("s1", "zookeeper")
    with drill.struck("pause", "s1", program="zookeeper") as strike:
        assert drill.state("s1", pid) == "T"
    assert drill.state("s1", pid) in ("S", "R")
    strike.undo()
    assert drill.pid("s1", "zookeeper") == pid


def test_a_program_that_is_not_there_is_refused(drill: Drill) -> None:
    for program, words in (("nova-api", "no program nova-api"), ("supervisord", "use poweroff")):
        with pytest.raises(InputError, match=words):
            drill.strike("kill", "s1", program=program)
    assert drill.open() == []


@pytest.mark.parametrize(
    ("way", "codes"),
    [("500", "500 0"), ("broken-body", "200 0"), ("other-body", "200 0"), ("cut", "200 18"), ("stall", "200 28")],
)
def test_wrong_answers_come_from_the_nodes_own_address(drill: Drill, way: str, codes: str) -> None:
    true = drill.curl("s2")
    with drill.struck("answer-wrong", "s2", port=CHECK_PORT, way=way):
        assert drill.curl("s2")[0] == codes
        assert drill.curl("s2")[1] != true[1]
        assert drill.curl("s3")[0] == "200 0", "only one node lies"
    assert drill.curl("s2") == true
    assert "fault" not in drill.cluster.inside("s2", "nft", "list", "tables")
    assert not _left(drill, "s2")


def test_link_down_is_seen_by_the_node(drill: Drill) -> None:
    with drill.struck("link-down", "s3", network="management"):
        assert "NO-CARRIER" in drill.cluster.inside("s3", "ip", "link", "show", "mgmt")
        assert "NO-CARRIER" not in drill.cluster.inside("s3", "ip", "link", "show", "ctl")
    until(lambda: has_carrier(drill.hands, "s3", "mgmt"), 2, "carrier")
    until(lambda: drill.hears("s3", drill.mgmt["s1"]), 5, "a ping")


def test_drop_is_silent(drill: Drill) -> None:
    with drill.struck("drop", "s1", network="control-data"):
        assert "NO-CARRIER" not in drill.cluster.inside("s1", "ip", "link", "show", "ctl")
        assert drill.hears("s1", drill.address["s2"]) == 0
        assert drill.hears("s2", drill.address["s3"]) == 1
    assert drill.hears("s1", drill.address["s2"]) == 1
    drill.cluster.await_settled(60)


def test_flap_ends_by_itself_with_the_cable_in(drill: Drill) -> None:
    with drill.struck("flap", CLIENT, network="management", period=0.3, count=3) as strike:
        assert strike.finish(10)
        until(lambda: has_carrier(drill.hands, CLIENT, "mgmt"), 2, "carrier")


def test_some_packets_are_lost(drill: Drill) -> None:
    with drill.struck("lose", CLIENT, network="control-data", percent=30):
        came = drill.hears(CLIENT, drill.address["s1"], 100)
        assert 20 <= came <= 80, "49 are to be expected: 0.7 there and 0.7 back"
    assert drill.hears(CLIENT, drill.address["s1"], 100) == 100


def test_packets_come_late_and_none_is_lost(drill: Drill) -> None:
    def trip() -> tuple[float, ...]:
        said = drill.cluster.inside(CLIENT, "ping", "-n", "-q", "-i", "0.02", "-c", "25", drill.address["s1"])
        assert " 0% packet loss" in said
        return tuple(float(word) for word in said.split("= ")[1].split(" ")[0].split("/"))

    with drill.struck("slow", CLIENT, network="control-data", delay=0.1):
        shortest, mean, *_ = trip()
        assert shortest >= 200 and mean < 300
        assert drill.hears("s1", drill.address["s2"], 5) == 5
        assert "NO-CARRIER" not in drill.cluster.inside(CLIENT, "ip", "link", "show", "ctl")
        silence = drill.strike("drop", CLIENT, network="control-data")
        silence.begin()
        assert silence.took_effect(15) and drill.hears(CLIENT, drill.address["s1"]) == 0
        silence.undo()
    assert trip()[0] < 100
    assert "slow-" not in _ports(drill)


def test_a_slow_node_can_lose_its_power(drill: Drill) -> None:
    with drill.struck("slow", CLIENT, delay=0.05):
        drill.cluster.poweroff(CLIENT)
        drill.cluster.poweron(CLIENT)
        until(lambda: drill.hears(CLIENT, drill.address["s1"]), 10, "a ping")
    assert drill.hears(CLIENT, drill.address["s1"]) == 1
    assert "slow-" not in _ports(drill)


def test_a_partition_separates_its_sides_only(drill: Drill) -> None:
    with drill.struck("partition", CLIENT, groups=f"s1 | {CLIENT}", network="control-data") as strike:
        assert drill.hears(CLIENT, drill.address["s1"]) == 0
        assert drill.hears(CLIENT, drill.address["s2"]) == 1
        assert drill.hears("s1", drill.address["s2"]) == 1
        assert "fault" in _switch(drill)
    assert drill.hears(CLIENT, drill.address["s1"]) == 1
    assert strike.record["id"].replace("-", "_") not in _switch(drill)


def test_one_way_only_the_other_is_still_heard(drill: Drill) -> None:
    """The client's packets do not arrive; what a node sends to it on its own account does."""
    here, there = drill.mgmt["s1"], drill.mgmt[CLIENT]
    asking = ("ping", "-n", "-q", "-i", "0.05")
    capture = ("timeout", "2", "tcpdump", "-n", "-c", "1", "-i", "mgmt")
    with (
        drill.cluster.running(CLIENT, *asking, here),
        drill.cluster.running("s1", *asking, there),
        drill.struck("partition", CLIENT, way="out", network="management"),
    ):
        with drill.cluster.running(CLIENT, *capture, "src", "host", here) as heard:
            assert heard.wait(5) == 0
        with drill.cluster.running("s1", *capture, "src", "host", there) as heard:
            assert heard.wait(5) == 124, "nothing in two seconds"


def _ports(drill: Drill) -> str:
    space = f"ol-{drill.hands.lab.topology.lab_id}"
    return subprocess.run(["ip", "-n", space, "link", "show"], capture_output=True, text=True, check=True).stdout


def _switch(drill: Drill) -> str:
    space = f"ol-{drill.hands.lab.topology.lab_id}"
    return subprocess.run(
        ["ip", "netns", "exec", space, "nft", "list", "tables"], capture_output=True, text=True, check=True
    ).stdout


def test_a_full_disk_takes_no_more(drill: Drill) -> None:
    def writes() -> bool:
        argv = ("dd", "if=/dev/zero", "of=/var/tmp/some", "bs=1M", "count=16")
        said = drill.cluster.inside(CLIENT, *argv, check=False)
        drill.cluster.inside(CLIENT, "rm", "-f", "/var/tmp/some")
        return "No space left" not in said

    with drill.struck("fill", CLIENT, free_mib=8):
        assert not writes()
    assert writes()
    assert drill.cluster.inside(CLIENT, "find", "/var/lib/outlast", "-name", ".drill*") == ""


def test_writes_wait_for_a_frozen_disk(drill: Drill) -> None:
    with drill.struck("stop-disk-writes", CLIENT), drill.cluster.running(CLIENT, "touch", "/var/tmp/waits") as write:
        with pytest.raises(subprocess.TimeoutExpired):
            write.wait(0.7)
        assert drill.cluster.inside(CLIENT, "cat", "/etc/hostname").strip() == CLIENT
        assert drill.hands.lab.thaw_disk(CLIENT)
        assert write.wait(5) == 0


def test_a_frozen_node_can_lose_its_power(drill: Drill) -> None:
    with drill.struck("stop-disk-writes", CLIENT), drill.cluster.running(CLIENT, "touch", "/var/tmp/waits"):
        drill.cluster.poweroff(CLIENT)
    drill.cluster.poweron(CLIENT)
    drill.cluster.inside(CLIENT, "touch", "/var/tmp/works")


@pytest.mark.parametrize("verb", ["overload-cpu", "overload-disk"])
def test_overload_ends_by_itself_and_by_undo(drill: Drill, verb: str) -> None:
    with drill.struck(verb, CLIENT, workers=1, seconds=1.5):
        assert _left(drill, CLIENT)
        until(lambda: not _left(drill, CLIENT), 5, "its end")
    with drill.struck(verb, CLIENT, workers=1, seconds=60):
        assert _left(drill, CLIENT)
    assert not _left(drill, CLIENT)
    assert drill.cluster.inside(CLIENT, "find", "/var/lib/outlast", "-name", ".drill*") == ""


def _left(drill: Drill, node: str) -> str:
    """Processes with a fault's mark, as the node sees them."""
    script = "grep -lsz ^OUTLAST_FAULT= /proc/[0-9]*/environ"
    return drill.cluster.inside(node, "sh", "-c", script, check=False)


def test_damage_is_repaired_by_the_product(drill: Drill) -> None:
    node = next(one for one in NODES if one != _writer(drill))
    before = drill.cluster.programs()[node, "galera"]
    with drill.struck("damage", node, what="galera-state"):
        until(lambda: drill.cluster.programs().get((node, "galera"), before) != before, 60, "another server")
    drill.cluster.await_settled(90)
    assert drill.cluster.sql(node, "SHOW STATUS LIKE 'wsrep_cluster_size'").split()[-1] == "3"


def test_two_plugs_at_one_instant(drill: Drill) -> None:
    with drill.struck("poweroff", "s3", CLIENT) as strike:
        strike.finish()
        assert drill.hands.lab.status().nodes == {"s1": "on", "s2": "on", "s3": "off", CLIENT: "off"}
        until(lambda: any("s3" in one for one in drill.cluster.unsettled()), 5, "its absence")
        with pytest.raises(LabError, match="off"):
            drill.strike("poweroff", "s3")
    assert set(drill.hands.lab.status().nodes.values()) == {"on"}
    drill.cluster.await_settled(60)


def test_reboot_is_in_order(drill: Drill) -> None:
    """What was written last is on the disk, though nobody synced it: a power cut would have lost it."""
    drill.cluster.inside(CLIENT, "sh", "-c", "echo written > /var/tmp/last")
    pid1 = drill.hands.lab.pid1(CLIENT)
    with drill.struck("reboot", CLIENT, off=0.2) as strike:
        assert strike.finish(60)
        assert drill.hands.lab.pid1(CLIENT) not in (None, pid1)
    assert drill.cluster.inside(CLIENT, "cat", "/var/tmp/last") == "written\n"


def test_a_restart_waits_until_all_is_well(drill: Drill) -> None:
    before = drill.cluster.programs()
    with drill.struck("restart", "s1", "s2", program="zookeeper") as strike:
        assert strike.finish(60)
        assert drill.cluster.unsettled() == []
        after = drill.cluster.programs()
        changed = {place for place in before if after[place] != before[place]}
        assert changed == {("s1", "zookeeper"), ("s2", "zookeeper")}


CRASH = """
import os, signal, sys
from pathlib import Path
from outlast.drill.faults.hands import Hands
from outlast.drill.faults.strike import Strike
from outlast.drill.faults.verb import Order
from outlast.pipeline.target import open_target
target = open_target(Path(sys.argv[1]))
hands, folder = Hands(target.lab, target.plan), Path(sys.argv[2])
for verb, node, options in (
    ("link-down", "x1", {"network": "management"}),
    ("lose", "x1", {"network": "management"}),
    ("slow", "x1", {"network": "control-data", "delay": 0.05}),
    ("overload-cpu", "x1", {"workers": 1}),
    ("pause", "s1", {"program": "zookeeper"}),
    ("fill", "x1", {"free-mib": 50}),
    ("stop-disk-writes", "x1", {}),
):
    strike = Strike(hands, folder, Order(id=f"crash-{verb}", verb=verb, nodes=(node,), options=options))
    strike.begin()
    strike.finish()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_drill_leaves_is_healed_by_the_next(drill: Drill, tmp_path: Path) -> None:
    pid = drill.pid("s1", "zookeeper")
    words = [sys.executable, "-c", CRASH, str(drill.cluster.path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert drill.state("s1", pid) == "T"
    assert len(UndoJournal(tmp_path).still_open()) == 7
    healed = heal(drill.hands, tmp_path)
    assert healed.failed == ()
    assert [sentence.split()[1] for sentence in healed.undone] == [
        "stop-disk-writes", "fill", "pause", "overload-cpu", "slow", "lose", "link-down",
    ]  # fmt: skip
    assert drill.state("s1", pid) in ("S", "R")
    assert not _left(drill, CLIENT)
    assert "fault" not in _switch(drill)
    assert "slow-" not in _ports(drill)
    until(lambda: has_carrier(drill.hands, CLIENT, "mgmt"), 2, "carrier")
    drill.cluster.inside(CLIENT, "touch", "/var/tmp/works")
    assert heal(drill.hands, tmp_path).undone == ()


def test_all_is_as_it_was(drill: Drill) -> None:
    drill.cluster.await_settled(60)
    facts = gather(drill.hands, ["vip-holder"])
    assert facts.on == {*NODES, CLIENT}
    assert {name: len(nodes) for name, nodes in facts.holders.items()} == {"internal": 1, "external": 1}
