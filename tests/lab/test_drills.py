"""Drills on a small lab: what they say of a protected cluster, and that each fails when its protection is off.

A negative control breaks the same thing with the protection switched off by the cluster file; a drill that passes then
proves nothing. The calibration runs the same drills under Kolla-Ansible's timings, whose behaviour is published.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from labs import NETWORKS, VIPS, Cluster, until

from outlast.record.run import HOME, Mark, RunFolder
from outlast.services.galera.service import evs

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(600)]

BODY = f"""{NETWORKS}{VIPS}
services: [haproxy, keepalived, galera, memcached, rabbitmq, keystone]
nodes:
  s1: {{roles: [endpoint, service]}}
  s2: {{roles: [endpoint, service]}}
  s3: {{roles: [endpoint, service]}}
  # It runs nothing: who speaks to the database, as services do.
  x1: {{roles: [compute]}}
  client: {{roles: [client]}}
"""

NO_REDISPATCH = """
overrides:
  haproxy:
    haproxy.cfg:
      defaults: {"no option redispatch": true, "retries": 0}
      backend keystone: {"retry-on": none}
"""
NO_TRACK_FILE = """
overrides:
  keepalived:
    keepalived.conf:
      vrrp_instance external: {track_file: false}
      vrrp_instance internal: {track_file: false}
"""
# Raw settings are the same on every node, so Galera's own defaults name the addresses.
NO_QUORUM = """
overrides:
  galera:
    99-outlast.cnf:
      mariadbd: {wsrep_provider_options: '"%s;gcache.size=128M;pc.ignore_quorum=TRUE;pc.ignore_sb=TRUE"'}
"""
NOT_DURABLE = """
overrides:
  galera:
    99-outlast.cnf:
      mariadbd: {innodb_flush_log_at_trx_commit: 2, innodb_flush_log_at_timeout: 60}
"""

API = ("keystone-version", "keystone-tokens", "keystone-read")
ROWS = ("sql-rows",)


@pytest.fixture(scope="module")
def cluster(new_lab: Callable[[str, str], Cluster]) -> Cluster:
    made = new_lab("drills", BODY)
    report = made.up()
    print(f"three endpoint nodes with Keystone: {sum(report['phases'].values()):.1f} s")
    return made


def scenario(folder: Path, name: str, faults: Sequence[Mapping[str, object]], **more: object) -> Path:
    """A scenario file with short times. Its faults in JSON, which YAML understands."""
    lines = {
        "drill": name,
        "title": name,
        "class": "balancer",
        "warmup": 4,
        "hold": 6,
        "after": 2,
        "recover": 90,
        **more,
    }
    path = folder / f"{name}.yaml"
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in {**lines, "faults": faults}.items()))
    return path


def drill(
    cluster: Cluster,
    path: Path,
    *options: str,
    status: int | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], RunFolder]:
    """Runs it; its verdict and its folder. status None: whatever it says."""
    argv = cluster.argv("drill", "run", str(path), "-f", str(cluster.path), "--json", *options)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            meanwhile()
            said, complaints = process.communicate(timeout=400)
        except BaseException:
            # As Ctrl-C does: it takes back what it broke, and ends.
            process.send_signal(signal.SIGINT)
            raise
    assert said.startswith("["), said + complaints
    assert status in (None, process.returncode), said
    found: dict[str, Any] = json.loads(said)[-1]
    verdict = found["verdict"]
    print(f"{path.stem}: {verdict['result']} {verdict['counts']} {verdict['reasons']}")
    return verdict, RunFolder(Path(found["folder"]))


def under(cluster: Cluster, overrides: str) -> None:
    cluster.write(BODY + overrides)
    cluster.up()
    cluster.await_settled(60)


def what(verdict: Mapping[str, Any]) -> set[str]:
    return {finding["what"] for finding in verdict["findings"]}


def at(marks: Sequence[Mark], name: str, detail: str = "") -> float:
    return next(mark.at for mark in marks if mark.what == name and mark.detail.startswith(detail))


KILL_API = [{"verb": "kill", "target": "node:s2", "program": "keystone"}]
HANG_WRITER = [{"verb": "pause", "target": "writer", "program": "galera"}]
NO_GUARD = [
    {"verb": "pause", "target": "vip-holder", "program": "haproxy-guard"},
    {"verb": "kill", "target": "vip-holder", "program": "haproxy", "after": 1},
]
SPLIT = [{"verb": "partition", "target": "writer", "network": "control-data", "others": "controllers"}]
KILL_BALANCER = [{"verb": "kill", "target": "vip-holder", "program": "haproxy"}]
ALL_OFF = [{"verb": "poweroff", "target": "all"}]


def test_a_killed_api_costs_no_request(cluster: Cluster, tmp_path: Path) -> None:
    path = scenario(tmp_path, "t-kill-api", KILL_API, workloads=list(API), rate=25, budgets={"new-failed": 0})
    verdict, folder = drill(cluster, path, status=0)
    assert verdict["result"] == "pass"
    assert verdict["counts"]["ok"] > 100 and verdict["repair"] < 2
    # Evidence first: the verdict can be made again from it, and a person can look at it.
    assert {"run.json", "history.jsonl", "marks.jsonl", "views.json", "verdict.json"} <= {
        one.name for one in folder.path.iterdir()
    }
    assert "judged again, 0 verdicts changed" in cluster.run(
        "drill", "report", options=("--judge-again", "-o", str(tmp_path / "card"))
    )
    assert "t-kill-api" in (tmp_path / "card/scorecard.html").read_text()


def test_a_killed_balancer_costs_no_request(cluster: Cluster, tmp_path: Path) -> None:
    path = scenario(
        tmp_path,
        "t-kill-balancer",
        KILL_BALANCER,
        workloads=list(API),
        rate=25,
        budgets={"new-failed": 0, "owners": 0.3},
    )
    verdict, _ = drill(cluster, path, status=0)
    assert verdict["result"] == "pass"


def test_without_the_guard_a_killed_balancer_costs_requests(cluster: Cluster, tmp_path: Path) -> None:
    path = scenario(tmp_path, "t-no-guard", NO_GUARD, workloads=list(API), rate=25, budgets={"new-failed": 0})
    verdict, _ = drill(cluster, path, status=1)
    assert verdict["result"] == "fail" and verdict["counts"]["new-failed"] > 20


def balancer_gone(cluster: Cluster, folder: Path, name: str, status: int) -> tuple[dict[str, Any], list[bool]]:
    """The VIP holder's balancer is killed, and its guard cannot start another until the drill has taken its fault back.
    The verdict, and for each sample after the kill whether this node still held the external VIP."""
    holder = cluster.holders("10.60.0.250")[0]
    path = scenario(folder, name, KILL_BALANCER, workloads=list(API), rate=25, hold=8, budgets={"mask": 4})

    runs, before = HOME / cluster.name, time.time()

    def undone() -> bool:
        marks = [mark for run in runs.glob(f"*-{name}-*") for mark in RunFolder(run).marks()]
        return any(mark.what == "undone" and mark.wall > before for mark in marks)

    def repair_at_last() -> None:
        try:
            until(undone, 60, "the end of the hold")
        finally:
            cluster.inside(holder, "chmod", "755", "/usr/sbin/haproxy")

    cluster.inside(holder, "chmod", "000", "/usr/sbin/haproxy")
    verdict, run = drill(cluster, path, status=status, meanwhile=repair_at_last)
    killed = at(run.marks(), "took-effect")
    return verdict, [holder in one.holders["external"] for one in run.samples() if one.at > killed]


def test_a_vip_leaves_a_node_whose_balancer_does_not_come_back(cluster: Cluster, tmp_path: Path) -> None:
    verdict, held = balancer_gone(cluster, tmp_path, "t-no-balancer", 0)
    assert verdict["result"] == "pass" and not held[-1]


def test_a_partition_loses_no_acknowledged_row(cluster: Cluster, tmp_path: Path) -> None:
    """Clients reach both sides, and each side has a VIP; only the majority takes rows."""
    budgets = {"lost": 0, "diverged": 0, "owners": 60}
    path = scenario(tmp_path, "t-split", SPLIT, workloads=list(ROWS), rate=20, hold=12, budgets=budgets)
    verdict, _ = drill(cluster, path, status=0)
    assert verdict["result"] == "pass" and verdict["counts"]["ok"] > 50


def test_a_hung_database_is_left_within_seconds(cluster: Cluster, tmp_path: Path) -> None:
    path = scenario(
        tmp_path, "t-hang-writer", HANG_WRITER, workloads=list(ROWS), rate=20, hold=12, budgets={"lost": 0, "mask": 8}
    )
    verdict, _ = drill(cluster, path, status=0)
    assert verdict["result"] == "pass" and not what(verdict) & {"lost", "diverged", "duplicated"}


def test_a_power_cut_of_all_loses_no_acknowledged_row(cluster: Cluster, tmp_path: Path) -> None:
    path = scenario(
        tmp_path, "t-all-off", ALL_OFF, workloads=list(ROWS), rate=60, hold=3, recover=150, budgets={"lost": 0}
    )
    verdict, _ = drill(cluster, path)
    assert verdict["counts"]["lost"] == 0 and not what(verdict) & {"lost", "diverged", "wrong"}
    assert [one["held"] for one in verdict["budgets"] if one["name"] == "lost"] == [True]


def test_an_interrupted_drill_is_healed(cluster: Cluster, tmp_path: Path) -> None:
    """kill -9 of the drill while a node is cut off: the journal knows what was broken."""
    path = scenario(
        tmp_path, "t-cut", [{"verb": "drop", "target": "node:s3", "network": "all"}], workloads=list(API), hold=60
    )
    process = subprocess.Popen(
        cluster.argv("drill", "run", str(path), "-f", str(cluster.path)), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        assert any("took effect" in line for line in process.stdout), "the fault was never seen"
    finally:
        process.kill()
        process.communicate()
    assert "undone: drop on s3" in cluster.run("drill", "heal")
    assert "nothing was left broken" in cluster.run("drill", "heal")
    cluster.await_settled(90)


def test_without_redispatch_a_killed_api_costs_requests(cluster: Cluster, tmp_path: Path) -> None:
    under(cluster, NO_REDISPATCH)
    path = scenario(tmp_path, "t-no-redispatch", KILL_API, workloads=list(API), rate=40, budgets={"new-failed": 0})
    verdict, _ = drill(cluster, path, status=1)
    assert verdict["result"] == "fail" and verdict["counts"]["new-failed"] > 0


def test_without_the_check_a_hung_database_stays(cluster: Cluster, tmp_path: Path) -> None:
    """`classic` asks only whether somebody accepts connections, and the kernel of a hung database does."""
    under(cluster, "profile: classic\n")
    path = scenario(
        tmp_path, "t-no-check", HANG_WRITER, workloads=list(ROWS), rate=20, hold=12, budgets={"lost": 0, "mask": 8}
    )
    verdict, folder = drill(cluster, path, status=1)
    assert verdict["result"] == "fail"
    effect = at(folder.marks(), "took-effect")
    assert not [mark for mark in folder.marks() if mark.what == "taken-out" and effect < mark.at < effect + 12]


def test_without_the_flush_a_power_cut_of_all_loses_rows(cluster: Cluster, tmp_path: Path) -> None:
    under(cluster, NOT_DURABLE)
    path = scenario(
        tmp_path, "t-not-durable", ALL_OFF, workloads=list(ROWS), rate=60, hold=3, recover=150, budgets={"lost": 0}
    )
    # By default each member writes its log out once a second, and who did so last decides. A plug takes the network
    # first and the disk up to 0.4 s later on a busy machine: a cut may find everything written, and lose nothing. With
    # a minute between two times that is rare, and then the next cut does.
    for _ in range(3):
        verdict, _ = drill(cluster, path)
        if verdict["counts"]["lost"]:
            break
    assert verdict["result"] == "fail" and verdict["counts"]["lost"] > 0


def test_without_track_files_a_vip_stays_where_nobody_serves(cluster: Cluster, tmp_path: Path) -> None:
    under(cluster, NO_TRACK_FILE)
    verdict, held = balancer_gone(cluster, tmp_path, "t-no-track-file", 1)
    assert verdict["result"] == "fail" and verdict["counts"]["new-failed"] > 20
    assert held and all(held)


@pytest.mark.timeout(1200)
def test_kolla_timings_behave_as_published(cluster: Cluster, tmp_path: Path) -> None:
    """Killed API out after about 8 s (checks every 2 s, five of them), a hung one after about 58 s (each waits 10 s
    more), VIP about 4 s after its holder's power cut.

    The supervisor is stopped as well, so that the killed API does not come back before it is noticed. Where the machine
    stands still meanwhile, the drills are run once more, which takes another three minutes.
    """
    cluster.write(BODY)
    # Few requests: what waits for the hung API fills its queue of 100, and a check that finds the queue full has failed
    # after 2 s instead of 10.
    dead_and_hung = [
        {"verb": "pause", "target": "node:s2", "program": "supervisord"},
        {"verb": "kill", "target": "node:s2", "program": "keystone", "after": 1},
        {"verb": "pause", "target": "node:s3", "program": "keystone", "after": 1},
    ]
    api = scenario(tmp_path, "t-kolla-api", dead_and_hung, workloads=list(API), rate=1.5, hold=66)
    cut = scenario(
        tmp_path, "t-kolla-vip", [{"verb": "poweroff", "target": "vip-holder"}], workloads=list(API), rate=10, hold=10
    )
    argv = cluster.argv("drill", "run", str(api), str(cut), "-f", str(cluster.path))
    done = subprocess.run(
        [*argv, "--json", "--profile", "kolla"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1150
    )
    assert done.stdout.startswith("["), done.stdout + done.stderr
    folders = [RunFolder(Path(one["folder"])) for one in json.loads(done.stdout)]
    # Of one that was run twice, because nothing could be said of the first, the second counts.
    last = {folder.path.name.split("-", 2)[2]: folder for folder in folders}
    marks = {name: folder.marks() for name, folder in last.items()}
    apis = marks["t-kolla-api-kolla"]
    waited = at(apis, "taken-out", "keystone/s2") - at(apis, "took-effect", "kill s2")
    print(f"kolla: killed API out after {waited:.1f} s")
    assert 7 <= waited <= 11
    waited = at(apis, "taken-out", "keystone/s3") - at(apis, "took-effect", "pause s3")
    print(f"kolla: hung API out after {waited:.1f} s")
    assert 54 <= waited <= 64
    samples = last["t-kolla-vip-kolla"].samples()
    # The network goes first, so the clock of the VIPs starts with the order, not when the last process is dead.
    begun = at(marks["t-kolla-vip-kolla"], "inject")
    waited = next(one.at for one in samples if one.at > begun + 0.5 and all(one.holders.values())) - begun
    print(f"kolla: both VIPs back after {waited:.1f} s")
    assert 2.5 <= waited <= 5


def test_without_quorum_both_sides_of_a_partition_take_rows(cluster: Cluster, tmp_path: Path) -> None:
    """The last drill of this lab: its databases are not the same any more."""
    timers = ";".join(f"{name}={value}" for name, value in evs(cluster.target.plan.timing).items())
    under(cluster, NO_QUORUM % timers)
    budgets = {"lost": 0, "diverged": 0, "owners": 60}
    path = scenario(
        tmp_path, "t-no-quorum", SPLIT, workloads=list(ROWS), rate=20, hold=12, recover=150, budgets=budgets
    )
    verdict, _ = drill(cluster, path, status=1)
    assert verdict["result"] == "fail" and what(verdict) & {"lost", "diverged"}


def test_what_drills_leave_goes_with_the_lab(cluster: Cluster) -> None:
    """Run folders are evidence and stay after `down`; these are only tests."""
    for path in sorted((HOME / cluster.name).glob("**/*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (HOME / cluster.name).rmdir()
