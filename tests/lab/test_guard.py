"""The guards with real daemons: what a client that never retries notices, and who holds the VIP meanwhile (B4, D3)."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from guard_nodes import PORT, STREAM, VIP, GuardLab, GuardNode, address, small_plan

from outlast.node.guard.process import children_of
from outlast.node.marked_down import mark
from outlast.spec.timing import PROFILES, Timing

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(180)]

RATE = 100
FIGURES = logging.getLogger("figures")


@pytest.fixture(scope="module")
def lab(image_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardLab]:
    made = GuardLab(image_root, tmp_path_factory.mktemp("guards"))
    try:
        made.start(small_plan())
        yield made
    finally:
        made.close()


@pytest.fixture
def master(lab: GuardLab) -> GuardNode:
    return lab.settled()


def harvest(load: subprocess.Popen[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(load.communicate(timeout=60)[0])
    FIGURES.info("%s worst %.3f s", found["outcomes"], found["worst"])
    return found


def spans(lab: GuardLab, seconds: float) -> dict[str, subprocess.Popen[str]]:
    return {name: node.helper("watch", VIP, str(seconds)) for name, node in lab.nodes.items()}


def overlap(watchers: dict[str, subprocess.Popen[str]]) -> tuple[float, float]:
    """(seconds with two owners, seconds with none between the first and the last owner)."""
    owned = [span for one in watchers.values() for span in json.loads(one.communicate(timeout=60)[0])]
    edges = sorted([(begin, 1) for begin, _ in owned] + [(end, -1) for _, end in owned])
    two = none = 0.0
    owners, since = 0, edges[0][0]
    for at, change in edges:
        if owners > 1:
            two += at - since
        if owners == 0:
            none += at - since
        owners, since = owners + change, at
    FIGURES.info("two owners %.3f s, none %.3f s", two, none)
    return two, none


def test_killed_balancer_refuses_nobody(lab: GuardLab, master: GuardNode) -> None:
    load = lab.load(5, RATE)
    for _ in range(3):
        time.sleep(1.2)
        os.kill(master.child("haproxy"), signal.SIGKILL)
    seen = harvest(load)
    assert "refused" not in seen["outcomes"], seen
    # Only what the dead process had in its hands at the moment of death is lost.
    assert sum(seen["outcomes"].values()) - seen["outcomes"]["ok"] <= 6, seen
    assert seen["worst"] < 1.0, seen
    assert lab.master() is master


def test_hung_balancer_is_replaced_within_a_second(lab: GuardLab, master: GuardNode) -> None:
    load = lab.load(4, RATE)
    time.sleep(1)
    os.kill(master.child("haproxy"), signal.SIGSTOP)
    seen = harvest(load)
    assert "refused" not in seen["outcomes"], seen
    assert seen["worst"] < 1.3, seen
    assert lab.master() is master


def test_reload_loses_nothing(lab: GuardLab, master: GuardNode) -> None:
    before = master.child("haproxy")
    load = lab.load(6, RATE)
    for maxconn in (3000, 3500):
        time.sleep(1)
        master.write(small_plan(maxconn=maxconn))
        assert (done := master.ask_guard("haproxy", "--reload")).returncode == 0, done.stderr
    assert master.child("haproxy") != before
    seen = harvest(load)
    assert seen["outcomes"] == {"ok": 6 * RATE}, seen


def test_refused_files_leave_the_old_process_serving(lab: GuardLab, master: GuardNode) -> None:
    file = master.root / "etc/haproxy/haproxy.cfg"
    good, before = file.read_text(), master.child("haproxy")
    try:
        for bad in ("global\n  nonsense\n", good + "\nbackend x\n  http-check expect status 200\n"):
            file.write_text(bad)
            assert (done := master.ask_guard("haproxy", "--reload")).returncode == 1
            assert "guard-reload-refused" in done.stderr
            assert master.ask_guard("haproxy", "--check").returncode == 1
    finally:
        file.write_text(good)
    assert master.child("haproxy") == before
    assert harvest(lab.load(1, RATE))["outcomes"] == {"ok": RATE}
    assert master.ask_guard("haproxy", "--status").returncode == 0


def test_dead_guards_are_not_noticed(lab: GuardLab, master: GuardNode) -> None:
    before = {service: master.child(service) for service in ("haproxy", "keepalived")}
    load = lab.load(5, RATE)
    time.sleep(0.5)
    for service in before:
        master.programs[service].kill()
        master.programs[service].wait()
    time.sleep(1)
    for service in before:
        master.guard(service)
    time.sleep(1.5)
    assert {service: master.child(service) for service in before} == before
    os.kill(before["haproxy"], signal.SIGKILL)
    seen = harvest(load)
    assert "refused" not in seen["outcomes"] and seen["outcomes"]["ok"] >= 5 * RATE - 2, seen
    assert master.child("haproxy") != before["haproxy"]
    assert lab.master() is master


def test_balancer_that_cannot_start_gives_the_vip_away(lab: GuardLab, master: GuardNode) -> None:
    file = master.root / "etc/haproxy/haproxy.cfg"
    good = file.read_text()
    load = lab.load(5, RATE)
    try:
        time.sleep(0.5)
        file.write_text("global\n  nonsense\n")
        os.kill(master.child("haproxy"), signal.SIGKILL)
        seen = harvest(load)
    finally:
        file.write_text(good)
    assert "refused" not in seen["outcomes"], seen
    # Those who came while nobody served are told so instead of hanging; few slip through as the address leaves.
    assert seen["outcomes"].get("TimeoutError", 0) <= 5, seen
    assert lab.master() not in (None, master)
    lab.settled()
    assert master.state("keepalived")["instances"]["internal"]["state"] == "BACKUP"


@pytest.mark.parametrize("what", ["all", "parent", "vrrp", "stop-vrrp", "stop-all"])
def test_dead_or_hung_keepalived_leaves_no_address_behind(lab: GuardLab, master: GuardNode, what: str) -> None:
    parent = master.child("keepalived")
    vrrp = children_of(parent)
    victims = {"parent": (parent,), "vrrp": vrrp, "stop-vrrp": vrrp}.get(what, (parent, *vrrp))
    watchers = spans(lab, 4)
    time.sleep(1)
    for pid in victims:
        os.kill(pid, signal.SIGSTOP if what.startswith("stop") else signal.SIGKILL)
    two, none = overlap(watchers)
    assert two <= 0.3, (two, none)
    assert none <= 0.6, (two, none)
    assert lab.settled()


def test_a_hung_keepalived_costs_no_request(lab: GuardLab, master: GuardNode) -> None:
    load = lab.load(4, RATE)
    time.sleep(1)
    for pid in children_of(master.child("keepalived")):
        os.kill(pid, signal.SIGSTOP)
    seen = harvest(load)
    # Put off from its first sign until the VIP is elsewhere; what came before that had time to end.
    assert seen["outcomes"] == {"ok": 4 * RATE}, seen
    assert lab.settled() is not master


def test_who_is_connected_hears_that_the_vip_goes(lab: GuardLab, master: GuardNode) -> None:
    """The node lives and its balancer too, but nothing can be sent in the address's name any more."""
    held = lab.client.helper("hold", VIP, str(PORT))
    assert held.stdout and held.stdout.readline() == "connected\n"
    for pid in (parent := master.child("keepalived"), *children_of(parent)):
        os.kill(pid, signal.SIGSTOP)
    outcome, seconds = json.loads(held.communicate(timeout=30)[0])
    FIGURES.info("%s after %.2f s", outcome, seconds)
    assert (outcome, seconds < 2) == ("ConnectionResetError", True), (outcome, seconds)
    assert [item for item in master.events("keepalived") if item["code"] == "guard-sessions"]
    assert lab.settled()


def test_stale_address_is_removed_at_start(lab: GuardLab, master: GuardNode) -> None:
    parent = master.child("keepalived")
    vrrp = children_of(parent)
    master.programs["keepalived"].kill()
    master.programs["keepalived"].wait()
    for pid in (*vrrp, parent):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    watcher = master.helper("watch", VIP, "1.5")
    time.sleep(0.5)
    master.guard("keepalived")
    held = json.loads(watcher.communicate(timeout=20)[0])
    assert len(held) == 1 and held[0][1] - held[0][0] < 1.2, held
    assert lab.settled() is not master


def test_stopped_parent_is_woken(lab: GuardLab, master: GuardNode) -> None:
    os.kill(master.child("keepalived"), signal.SIGSTOP)
    time.sleep(1)
    assert [item for item in master.events("keepalived") if item["code"] == "guard-resume"]
    assert lab.master() is master


def test_writer_is_kept_over_death_and_reload(lab: GuardLab, master: GuardNode) -> None:
    def writer() -> str:
        argv = ["ip", "netns", "exec", lab.client.space, "curl", "-s", f"http://{VIP}:{STREAM}/"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def admin(line: str) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(master.root / "run/haproxy/admin.sock"))
            sock.sendall(line.encode() + b"\n")
            sock.recv(4096)

    first = writer()
    admin(f"disable server stream/{first}")
    second = writer()
    assert second != first
    admin(f"enable server stream/{first}")
    time.sleep(2.5)
    assert writer() == second
    os.kill(master.child("haproxy"), signal.SIGKILL)
    time.sleep(0.5)
    assert writer() == second
    assert master.ask_guard("haproxy", "--reload").returncode == 0
    assert writer() == second


def test_a_server_that_hangs_leaves_and_comes_back_once(lab: GuardLab, master: GuardNode) -> None:
    begun, hung = time.time(), lab.helpers[0]

    def told(node: GuardNode) -> list[tuple[str, str, str]]:
        mine = [one for one in node.events("haproxy") if one["code"].startswith("server-") and one["at"] > begun]
        return [(one["code"], one["backend"], one["server"]) for one in mine if one["evidence"]]

    def await_all(said: list[tuple[str, str, str]]) -> None:
        until = time.monotonic() + 10
        while any(told(node) != said for node in lab.nodes.values()):
            assert time.monotonic() < until, [told(node) for node in lab.nodes.values()]
            time.sleep(0.05)

    assert told(master) == []
    hung.send_signal(signal.SIGSTOP)
    try:
        await_all([("server-left", "web", "n1")])
    finally:
        hung.send_signal(signal.SIGCONT)
    await_all([("server-left", "web", "n1"), ("server-back", "web", "n1")])


def test_a_vanished_nodes_servers_are_marked_down_at_once_and_taken_back(lab: GuardLab, master: GuardNode) -> None:
    """The node answers all the while, so the balancer's own checks take it back."""
    begun, admin = time.time(), str(master.root / "run/haproxy/admin.sock")

    def told() -> list[tuple[str, str, str]]:
        mine = [one for one in master.events("haproxy") if one["code"].startswith("server-") and one["at"] > begun]
        return sorted((one["code"], one["backend"], one["server"]) for one in mine)

    assert mark(admin, "10.99.0.99") == ()
    assert set(mark(admin, address("n2"))) == {("web", "n2"), ("stream", "n2")}
    assert mark(admin, address("n2")) == (), "they are down, and servers without a check are left alone"
    until = time.monotonic() + 10
    while len(told()) < 4:
        assert time.monotonic() < until, told()
        time.sleep(0.05)
    assert told() == [(code, name, "n2") for code in ("server-back", "server-left") for name in ("stream", "web")]


def test_stop_hands_the_vip_over_and_refuses_nobody(lab: GuardLab, master: GuardNode) -> None:
    load = lab.load(5, RATE)
    time.sleep(1)
    for service in ("haproxy", "keepalived"):
        master.programs[service].terminate()
    for service in ("haproxy", "keepalived"):
        assert master.programs[service].wait(15) == 0
    seen = harvest(load)
    # New ones are put off until the VIP is elsewhere, and what was under way had time to end.
    assert seen["outcomes"] == {"ok": 5 * RATE}, seen
    for service in ("haproxy", "keepalived"):
        master.guard(service)
    assert lab.settled() is not master


def test_keepalived_reload_keeps_the_vip(lab: GuardLab, master: GuardNode) -> None:
    """For long enough: with a real-time limit of its own, Keepalived 2.3.3 died 3 to 14 s after a reload."""
    file, before = master.root / "etc/keepalived/keepalived.conf", master.child("keepalived")
    good, watchers = file.read_text(), spans(lab, 15)
    assert os.sched_getscheduler(children_of(before)[0]) == os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        time.sleep(0.5)
        assert (done := master.ask_guard("keepalived", "--reload")).returncode == 0, done.stderr
        file.write_text(good.replace("nopreempt", "nonsense"))
        assert master.ask_guard("keepalived", "--reload").returncode == 1
    finally:
        file.write_text(good)
    assert overlap(watchers) == (0.0, 0.0)
    assert lab.settled() is master and master.child("keepalived") == before


def advertised(lab: GuardLab, seconds: float) -> None:
    """All nodes with this advert interval, and settled."""
    plan = replace(small_plan(), timing=replace(small_plan().timing, vrrp_advert=seconds))
    for node in lab.nodes.values():
        node.write(plan)
        assert (done := node.ask_guard("keepalived", "--reload")).returncode == 0, done.stderr
    lab.settled()


def test_a_backup_lives_until_it_takes_over_from_a_silent_master(lab: GuardLab, master: GuardNode) -> None:
    """With an advert a second it sleeps for four seconds, which once looked like a hang: nobody ever took over."""
    try:
        advertised(lab, 1.0)
        master = lab.settled()
        others = [node for node in lab.nodes.values() if node is not master]
        before = {node.name: len(node.events("keepalived")) for node in others}
        begun = time.monotonic()
        lab.cut(master)
        while lab.master() not in others:
            assert time.monotonic() < begun + 8, "nobody took over"
            time.sleep(0.02)
        print(f"another master {time.monotonic() - begun:.2f} s after the cut, with an advert a second")
        said = [event["code"] for node in others for event in node.events("keepalived")[before[node.name] :]]
        assert "guard-kill" not in said and "guard-died" not in said, said
    finally:
        lab.join(master)
        advertised(lab, small_plan().timing.vrrp_advert)


@pytest.mark.parametrize("timing", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("service", ["haproxy", "keepalived"])
def test_every_profile_passes_the_programs_own_check(lab: GuardLab, service: str, timing: Timing) -> None:
    """Warnings count: a check that the program ignores with a warning checks nothing."""
    node = lab.nodes["n1"]
    try:
        node.write(replace(small_plan(), timing=timing))
        done = node.ask_guard(service, "--check")
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        node.write(small_plan())
