"""The lab runtime on the real kernel: networks, power, ownership."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import labs
import pytest

from outlast.lab import network, runtime
from outlast.lab import topology as t
from outlast.lab.errors import LabError
from outlast.lab.preflight import preflight
from outlast.lab.runtime import Lab
from outlast.pipeline.target import NOTE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

NETWORKS = ("mgmt", "tenant")
# Reaps orphans and ends on SIGTERM, which is what a PID 1 has to do.
INIT = ("/bin/sh", "-c", "trap 'exit 0' TERM; echo booted; while :; do sleep 3600 & wait $!; done")


def plan(state_dir: Path, nodes: int = 3) -> t.Topology:
    """Nodes c1, c2, … on mgmt; all but the last also on tenant."""
    lab_id = t.lab_id(state_dir.name, str(state_dir))

    def node(number: int) -> t.LabNode:
        name, networks = f"c{number}", NETWORKS if number < nodes else NETWORKS[:1]
        interfaces = tuple(
            t.Interface(net, net, f"10.77.{index}.{number}/24", t.mac(lab_id, name, net), offload=net != "tenant")
            for index, net in enumerate(networks)
        )
        return t.LabNode(name, interfaces, 64, hosts=(("10.77.0.1", "c1"), ("10.77.0.2", "c2")))

    return t.Topology(
        state_dir.name,
        lab_id,
        tuple(t.LabNetwork(name, t.bridge_name(name)) for name in NETWORKS),
        tuple(node(number + 1) for number in range(nodes)),
        (("net.ipv4.ip_nonlocal_bind", "1"), ("net.ipv4.tcp_retries2", "6")),
    )


def inside(lab: Lab, node: str, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*lab.enter_argv(node), "/bin/sh", "-c", script], capture_output=True, text=True, timeout=20, check=False
    )


def pings(lab: Lab, node: str, address: str) -> bool:
    return inside(lab, node, f"ping -c 1 -W 1 {address}").returncode == 0


# A neighbour that was gone for a second stays unresolved for a moment: what comes back is waited for.
def eventually(seen: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def machine() -> set[str]:
    """What a lab must not add to the host. What carries its mark or lies in its folder, `leftovers` asks for.

    Without what other tests and labs may do at the same time: temporary folders, named namespaces, marked links.
    """
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in links.splitlines()]
    others = (network.NETNS, Path(tempfile.gettempdir()))
    return {
        *(f"mount {mount}" for mount in mounts if not any(Path(mount).is_relative_to(folder) for folder in others)),
        *(f"link {name}" for name in names if not name.startswith(t.MARK)),
    }


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    before = machine()
    folder = tmp_path / "demo"
    yield folder
    runtime.destroy(folder)
    assert runtime.leftovers(folder) == []
    assert machine() <= before


@pytest.fixture
def lab(state_dir: Path, small_root: Path) -> Lab:
    return runtime.create(plan(state_dir), small_root, state_dir, init_argv=INIT)


def test_this_machine_can_hold_a_lab() -> None:
    assert preflight(memory_mib=64, disk_mib=256) == []


def test_preflight_names_what_is_short() -> None:
    codes = {problem.code for problem in preflight(memory_mib=10**9, disk_mib=10**9, abilities=False)}
    assert codes == {"lab.memory", "lab.disk"}


def test_six_nodes_stand_within_three_seconds(state_dir: Path, small_root: Path) -> None:
    started = time.monotonic()
    lab = runtime.create(plan(state_dir, 6), small_root, state_dir, init_argv=INIT)
    assert time.monotonic() - started < 3
    assert set(lab.status().nodes.values()) == {"on"}


def test_nodes_meet_on_their_networks_only(lab: Lab) -> None:
    assert pings(lab, "c1", "10.77.0.2")
    assert pings(lab, "c1", "10.77.0.3")
    assert pings(lab, "c1", "10.77.1.2")
    assert not pings(lab, "c3", "10.77.1.1")


def test_node_is_a_machine_of_its_own(lab: Lab) -> None:
    seen = inside(lab, "c1", "hostname; cat /etc/hostname; cat /proc/sys/net/ipv4/ip_nonlocal_bind; cat /etc/hosts")
    assert seen.stdout.splitlines()[:3] == ["c1", "c1", "1"]
    assert "10.77.0.2 c2" in seen.stdout
    assert inside(lab, "c1", "[ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]").returncode == 0
    assert inside(lab, "c1", "[ -c /dev/net/tun ] && [ -d /run/outlast ] && echo x > /dev/null").returncode == 0
    assert not Path("/run/resolver").exists()


def test_node_cannot_change_the_machine(lab: Lab) -> None:
    # Written back as read: harmless should the protection ever fail.
    assert "not permitted" in inside(lab, "c1", "date -s @$(date +%s)").stderr
    assert inside(lab, "c1", "f=/proc/sys/kernel/panic; v=$(cat $f); echo $v > $f").returncode != 0
    assert inside(lab, "c1", "f=/sys/kernel/mm/ksm/run; v=$(cat $f); echo $v > $f").returncode != 0
    assert inside(lab, "c1", "ls /dev/loop* /dev/vd* /dev/sd* /dev/mem").stdout == ""
    # A block device made by hand does not open either: the node's root allows no devices.
    assert inside(lab, "c1", "mknod /root.dev c 1 3 && echo x > /root.dev").returncode != 0


def test_host_sees_nothing_of_a_running_lab_but_its_namespaces(state_dir: Path, small_root: Path) -> None:
    before = machine()
    runtime.create(plan(state_dir), small_root, state_dir, init_argv=INIT)
    assert machine() <= before
    kinds = {line.split()[0] for line in runtime.leftovers(state_dir)}
    assert kinds == {"process", "network", "loop", "files"}, "no link and no mount in the host's namespaces"


def test_labs_of_a_test_run_that_was_killed_are_removed(tmp_path: Path, small_root: Path) -> None:
    """Their names are new each time: no later run would come upon them by itself."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, own = (tmp_path / f"t-demo-{pid}-0a1b2" for pid in (ended.pid, os.getpid()))
    try:
        for folder in (left, own):
            runtime.create(plan(folder, 1), small_root, folder, init_argv=INIT)
            (folder / NOTE).write_text("/nowhere/cluster.yaml\n")
        assert labs.sweep(tmp_path) == [f"{left.name} of a former test run is removed"]
        assert runtime.leftovers(left) == []
        assert runtime.leftovers(own) != []
    finally:
        for folder in (left, own):
            (folder / NOTE).unlink(missing_ok=True)
            runtime.destroy(folder)


def test_create_again_changes_nothing(lab: Lab, small_root: Path) -> None:
    before = [lab.pid1(node.name) for node in lab.topology.nodes]
    runtime.create(lab.topology, small_root, lab.place.state_dir, init_argv=INIT)
    assert [lab.pid1(node.name) for node in lab.topology.nodes] == before


def test_power_cut_loses_what_was_not_synced(lab: Lab) -> None:
    script = "mkdir /data; echo kept > /data/synced; sync /data/synced /data; echo lost > /data/unsynced"
    assert inside(lab, "c1", script).returncode == 0
    lab.poweroff("c1")
    assert lab.status().nodes["c1"] == "off"
    assert lab.pid1("c1") is None
    assert not pings(lab, "c2", "10.77.0.1")
    lab.poweron("c1")
    assert inside(lab, "c1", "cat /data/synced").stdout == "kept\n"
    assert inside(lab, "c1", "cat /data/unsynced").stdout == ""
    eventually(lambda: pings(lab, "c2", "10.77.0.1"))


def test_graceful_shutdown_keeps_everything(lab: Lab) -> None:
    inside(lab, "c1", "echo kept > /unsynced")
    lab.shutdown("c1", seconds=10)
    assert lab.status().nodes["c1"] == "off"
    lab.poweron("c1")
    assert inside(lab, "c1", "cat /unsynced").stdout == "kept\n"
    assert lab.console("c1").read_text() == "booted\nbooted\n"


def test_node_that_ignores_the_button_runs_on(state_dir: Path, small_root: Path) -> None:
    stubborn = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 3600; done")
    lab = runtime.create(plan(state_dir, 1), small_root, state_dir, init_argv=stubborn)
    with pytest.raises(LabError, match="lab.shutdown"):
        lab.shutdown("c1", seconds=0.2)
    assert lab.status().nodes["c1"] == "on"


def test_cut_node_stays_off_at_the_next_create(lab: Lab, small_root: Path) -> None:
    lab.poweroff("c2")
    lab.poweroff("c2")
    again = runtime.create(lab.topology, small_root, lab.place.state_dir, init_argv=INIT)
    assert again.status().nodes == {"c1": "on", "c2": "off", "c3": "on"}
    with pytest.raises(LabError, match="lab.node-off"):
        again.enter_argv("c2")


def test_node_whose_init_died_is_seen_and_booted_again(lab: Lab, small_root: Path) -> None:
    pid = lab.pid1("c1")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: lab.status().nodes["c1"] == "dead")
    runtime.create(lab.topology, small_root, lab.place.state_dir, init_argv=INIT)
    assert lab.status().nodes["c1"] == "on"
    assert pings(lab, "c1", "10.77.0.2")


def test_several_plugs_at_once(lab: Lab) -> None:
    for _ in range(3):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lab.poweroff, ("c1", "c2", "c3")))
            assert set(lab.status().nodes.values()) == {"off"}
            list(pool.map(lab.poweron, ("c1", "c2", "c3")))
    assert pings(lab, "c1", "10.77.0.2")


def test_init_that_does_not_start_is_explained(state_dir: Path, small_root: Path) -> None:
    with pytest.raises(LabError, match=r"node c1 does not boot: .*No such file.*no-such-init"):
        runtime.create(plan(state_dir, 1), small_root, state_dir, init_argv=["/bin/no-such-init"])


def test_pulled_cable_and_silent_loss(lab: Lab) -> None:
    def carrier() -> str:
        return inside(lab, "c1", "cat /sys/class/net/mgmt/carrier").stdout.strip()

    lab.link("c1", "mgmt", up=False)
    assert (carrier(), pings(lab, "c1", "10.77.0.2"), pings(lab, "c1", "10.77.1.2")) == ("0", False, True)
    lab.link("c1", "mgmt", up=True)
    assert carrier() == "1"
    eventually(lambda: pings(lab, "c1", "10.77.0.2"))
    lab.drop("c1", "mgmt", on=True)
    lab.drop("c1", "mgmt", on=True)
    assert (carrier(), pings(lab, "c1", "10.77.0.2"), pings(lab, "c2", "10.77.0.3")) == ("1", False, True)
    lab.drop("c1", "mgmt", on=False)
    lab.drop("c1", "mgmt", on=False)
    eventually(lambda: pings(lab, "c1", "10.77.0.2"))


def test_checksum_offload_is_off_where_asked(lab: Lab) -> None:
    namespace = t.node_namespace(lab.topology.lab_id, "c1")
    for interface, expected in (("mgmt", "on"), ("tenant", "off")):
        argv = ["ip", "netns", "exec", namespace, "ethtool", "-k", interface]
        shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert f"tx-checksumming: {expected}" in shown


def test_two_labs_with_the_same_addresses_do_not_meet(lab: Lab, tmp_path: Path, small_root: Path) -> None:
    other_dir = tmp_path / "other"
    other = runtime.create(plan(other_dir, 4), small_root, other_dir, init_argv=INIT)
    try:
        assert pings(other, "c1", "10.77.0.4")
        assert not pings(lab, "c1", "10.77.0.4")
        inside(other, "c1", "echo other > /whose")
        assert inside(lab, "c1", "cat /whose").returncode != 0
        assert {status.lab: set(status.nodes.values()) for status in runtime.labs(tmp_path)} == {
            "demo": {"on"},
            "other": {"on"},
        }
    finally:
        runtime.destroy(other_dir)
    assert set(lab.status().nodes.values()) == {"on"}
    assert pings(lab, "c1", "10.77.0.2")


def test_destroy_finds_everything_without_its_files(lab: Lab) -> None:
    for file in lab.place.state_dir.rglob("*.json"):
        file.unlink()
    removed = runtime.destroy(lab.place.state_dir)
    assert removed.processes >= 3
    assert len(removed.namespaces) == 4
    assert runtime.leftovers(lab.place.state_dir) == []


def test_removed_node_is_gone_and_comes_back_empty(lab: Lab, small_root: Path) -> None:
    inside(lab, "c1", "echo x > /file; sync")
    lab.remove("c1")
    assert lab.status().nodes["c1"] == "absent"
    runtime.create(lab.topology, small_root, lab.place.state_dir, init_argv=INIT)
    assert inside(lab, "c1", "cat /file").returncode != 0


HOST_ACCESS = """
import subprocess, sys
from pathlib import Path
from outlast.lab import runtime
lab = runtime.open_lab(Path(sys.argv[1]))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
lab.host_access("mgmt", "10.77.0.254/24")
subprocess.run(["busybox", "ping", "-c3", "-W1", "10.77.0.1"], stdout=subprocess.DEVNULL, check=True)
assert any(line.startswith("link ol-") for line in runtime.leftovers(Path(sys.argv[1])))
if sys.argv[2] == "off":
    lab.host_access("mgmt", None)
else:
    runtime.destroy(Path(sys.argv[1]))
shown = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
assert "ol-" not in shown, shown
"""


@pytest.mark.parametrize("how", ["off", "destroy"])
def test_host_on_a_lab_network(lab: Lab, how: str) -> None:
    # In a namespace that plays the host: the tests send no packet through the real one.
    argv = ["unshare", "--net", sys.executable, "-c", HOST_ACCESS, str(lab.place.state_dir), how]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


CREATE = """
import json, sys
from pathlib import Path
from outlast.lab import runtime
from outlast.lab.state import topology_from_json
order = json.load(sys.stdin)
topology = topology_from_json(order["topology"])
runtime.create(topology, Path(order["image"]), Path(order["state"]), init_argv=order["init"])
"""


@pytest.mark.parametrize("moment", range(12))
@pytest.mark.parametrize("then", ["destroy", "create"])
def test_killed_create_is_completed_or_removed(state_dir: Path, small_root: Path, moment: int, then: str) -> None:
    topology = plan(state_dir, 4)
    order = {
        "topology": dataclasses.asdict(topology),
        "image": str(small_root),
        "state": str(state_dir),
        "init": INIT,
    }
    creator = subprocess.Popen([sys.executable, "-c", CREATE], stdin=subprocess.PIPE, text=True)
    assert creator.stdin is not None
    creator.stdin.write(json.dumps(order))
    creator.stdin.close()
    eventually(lambda: state_dir.exists() or creator.poll() is not None)
    # Spread over the time that a whole create takes after its first step.
    spot = time.monotonic() + moment * 0.02
    eventually(lambda: time.monotonic() >= spot)
    creator.kill()
    creator.wait()
    if then == "create":
        lab = runtime.create(topology, small_root, state_dir, init_argv=INIT)
        assert set(lab.status().nodes.values()) == {"on"}
        assert pings(lab, "c1", "10.77.0.4")
    runtime.destroy(state_dir)
    assert runtime.leftovers(state_dir) == []


def test_lab_survives_its_creator(state_dir: Path, small_root: Path) -> None:
    order = {
        "topology": dataclasses.asdict(plan(state_dir, 1)),
        "image": str(small_root),
        "state": str(state_dir),
        "init": INIT,
    }
    # A session of its own, ended with a hang-up: what closing a terminal does.
    argv = [sys.executable, "-c", CREATE + "\nimport os, signal; signal.signal(1, signal.SIG_DFL); os.killpg(0, 1)\n"]
    done = subprocess.run(argv, input=json.dumps(order), text=True, start_new_session=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGHUP
    lab = runtime.open_lab(state_dir)
    assert lab.status().nodes == {"c1": "on"}
    assert inside(lab, "c1", "true").returncode == 0
