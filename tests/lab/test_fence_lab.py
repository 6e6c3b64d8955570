"""Networks that drop silently, one way only or now and then, and slow machines, with real Keepalived (D6, D7)."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fence_watch import owners
from guard_nodes import VIP, GuardLab, GuardNode, small_plan

from outlast.node.guard.process import children_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

FIGURES = logging.getLogger("figures")
WAYS = {"both": ("iifname", "oifname"), "in": ("oifname",), "out": ("iifname",)}


@pytest.fixture(scope="module")
def lab(image_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardLab]:
    made = GuardLab(image_root, tmp_path_factory.mktemp("fences"))
    try:
        made.start(small_plan())
        until(lambda: all(network(node)["armed"] for node in made.nodes.values()), 10)
        yield made
    finally:
        made.close()


@pytest.fixture
def master(lab: GuardLab) -> GuardNode:
    until(lambda: not any(network(node)["cut"] for node in lab.nodes.values()), 25)
    return lab.settled()


def until(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "too late"
        time.sleep(0.02)


def network(node: GuardNode) -> dict[str, Any]:
    found: dict[str, Any] = node.state("keepalived").get("networks", {}).get("control-data", {"armed": 0, "cut": 0})
    return found


def pids(lab: GuardLab) -> dict[str, int]:
    return {name: int(node.state("haproxy")["guard_pid"]) for name, node in lab.nodes.items()}


def switch(lab: GuardLab, text: str) -> None:
    argv = ["ip", "netns", "exec", f"{lab.mark}-br", "nft", "-f", "-"]
    subprocess.run(argv, input=text, text=True, check=True)


@contextmanager
def dropping(lab: GuardLab, node: GuardNode, way: str) -> Iterator[float]:
    """The switch drops what comes from the node (out), or goes to it (in). Its carrier stays. Just before it does."""
    head = "add table bridge f\nadd chain bridge f c { type filter hook forward priority 0; policy accept; }\n"
    at = time.monotonic()
    switch(lab, head + "".join(f'add rule bridge f c {name} "p-{node.name}" drop\n' for name in WAYS[way]))
    try:
        yield at
    finally:
        switch(lab, "add table bridge f\ndelete table bridge f\n")


def codes(node: GuardNode, after: float) -> list[str]:
    return [item["code"] for item in node.events("keepalived") if item["monotonic"] > after]


def test_a_busy_machine_fences_nobody(lab: GuardLab, master: GuardNode) -> None:
    burners = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(24)]
    try:
        at = time.monotonic()
        time.sleep(5)
    finally:
        for one in burners:
            one.kill()
            one.wait()
    assert all("guard-cut-off" not in codes(node, at) for node in lab.nodes.values())
    assert lab.settled() is master


def test_a_machine_that_stands_still_fences_nobody(lab: GuardLab, master: GuardNode) -> None:
    """All guards at once, for longer than the limit: they asked nothing meanwhile, so they know nothing of it."""
    at, guards = time.monotonic(), [int(node.state("keepalived")["guard_pid"]) for node in lab.nodes.values()]
    for pid in guards:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    for pid in guards:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    time.sleep(1.5)
    assert all("guard-cut-off" not in codes(node, at) for node in lab.nodes.values())
    assert lab.settled() is master


@pytest.mark.parametrize("way", ["both", "in", "out"])
def test_who_is_not_heard_or_does_not_hear_gives_the_vip_away(lab: GuardLab, master: GuardNode, way: str) -> None:
    with owners(VIP, pids(lab)) as seen:
        with dropping(lab, master, way) as at:
            until(lambda: seen.holders() not in ([], [master.name]) and not seen.now[master.name], 5)
            took = seen.left(master.name, at)
            FIGURES.info("fenced %s: VIP left after %.2f s", way, took)
            assert took <= 2.0
            until(lambda: network(master)["cut"], 2)
            [new] = seen.holders()
        healed = time.monotonic()
        until(lambda: not network(master)["cut"], 25)
        FIGURES.info("joined %.2f s after healing", time.monotonic() - healed)
        lab.settled()
        # It came back as one that does not hold the VIP, and nobody moved it on the way.
        assert seen.holders() == [new] and seen.moves(at) == 1
    found = [event for event in master.events("keepalived") if event["monotonic"] > at]
    cut = next(event for event in found if event["code"] == "guard-cut-off")
    assert cut["network"] == "control-data" and set(cut["silent"]) == set(lab.nodes) - {master.name}
    assert "guard-joined" in [event["code"] for event in found]
    assert all("guard-cut-off" not in codes(node, at) for node in lab.nodes.values() if node is not master)


def test_new_connections_are_put_off_before_the_vip_leaves(lab: GuardLab, master: GuardNode) -> None:
    """Its clients still hear a holder that no controller hears: what it takes in is lost when it gives up the VIP."""
    others = ", ".join(f'"p-{node.name}"' for node in lab.nodes.values() if node is not master)
    head = "add table bridge f\nadd chain bridge f c { type filter hook forward priority 0; policy accept; }\n"
    mine = f'"p-{master.name}"'
    load = lab.load(6, 100)
    time.sleep(2)
    at = time.monotonic()
    switch(lab, head + f"add rule bridge f c iifname {mine} oifname {{ {others} }} drop\n"
           f"add rule bridge f c oifname {mine} iifname {{ {others} }} drop\n")  # fmt: skip
    try:
        said, _ = load.communicate(timeout=30)
    finally:
        switch(lab, "add table bridge f\ndelete table bridge f\n")
    seen = json.loads(said)
    FIGURES.info("put off: %s, worst %.2f s", seen["outcomes"], seen["worst"])
    bad = {outcome: when - at for outcome, when in seen["last"].items() if outcome != "ok"}
    assert all(when < 0.45 for when in bad.values()), (bad, seen)
    events = [item["code"] for item in master.events("haproxy") if item["monotonic"] > at]
    assert "guard-put-off" in events


def test_a_guard_that_dies_meanwhile_changes_nothing(lab: GuardLab, master: GuardNode) -> None:
    with owners(VIP, pids(lab)) as seen, dropping(lab, master, "both") as at:
        until(lambda: network(master)["cut"] and len(seen.holders()) == 1, 5)
        master.programs["keepalived"].kill()
        master.programs["keepalived"].wait()
        # Who starts Keepalived anew must not forget the cut either.
        for pid in (*children_of(master.child("keepalived")), master.child("keepalived")):
            os.kill(pid, signal.SIGKILL)
        master.guard("keepalived")
        until(lambda: "guard-start" in codes(master, at), 5)
        time.sleep(1.5)
        assert network(master)["cut"] and not seen.now[master.name]


def test_a_node_that_boots_into_a_split_takes_no_vip(lab: GuardLab, master: GuardNode) -> None:
    """As after a loss of power: no guard, no Keepalived, nothing in /run; what was heard before lies on the disk."""
    other = next(node for node in lab.nodes.values() if node is not master)
    with owners(VIP, pids(lab)) as seen:
        with dropping(lab, other, "both"):
            other.programs["keepalived"].kill()
            other.programs["keepalived"].wait()
            for pid in (*children_of(other.child("keepalived")), other.child("keepalived")):
                os.kill(pid, signal.SIGKILL)
            for path in (other.root / "run/outlast/guard").glob("keepalived.*"):
                path.unlink()
            at = time.monotonic()
            other.guard("keepalived")
            until(lambda: other.state("keepalived").get("instances"), 10)
            time.sleep(2.0)
            assert codes(other, at)[0] == "guard-boots"
            assert network(other)["cut"] and seen.holders() == [master.name]
        until(lambda: not network(other)["cut"], 5)
        assert seen.holders() == [master.name]
        assert not any(node == other.name and has for _, node, has in seen.changes)


def test_a_keepalived_that_does_not_follow_loses_its_addresses(lab: GuardLab, master: GuardNode) -> None:
    """Its watch on the folder of the track files is made blind; the one that is started then reads them anew."""
    folder = master.root / "run/outlast/track"
    folder.rename(folder.with_name("blind"))
    shutil.copytree(folder.with_name("blind"), folder)
    shutil.rmtree(folder.with_name("blind"))
    with owners(VIP, pids(lab)) as seen, dropping(lab, master, "both") as at:
        until(lambda: network(master)["cut"] and not seen.now[master.name], 5)
        FIGURES.info("blind keepalived: VIP left after %.2f s", seen.left(master.name, at))
        assert seen.left(master.name, at) <= 2.5
        until(lambda: "guard-kill" in codes(master, at), 1)
        time.sleep(1.0)
        assert not seen.now[master.name]


def test_a_flapping_network_moves_the_vip_once(lab: GuardLab, master: GuardNode) -> None:
    """Silences too short to be a dead network: until it is known as flapping, VRRP itself moves the VIP back."""
    with owners(VIP, pids(lab)) as seen:
        at = time.monotonic()
        for _ in range(5):
            with dropping(lab, master, "both"):
                time.sleep(0.45)
            time.sleep(0.5)
        until(lambda: len(seen.holders()) == 1 and not seen.now[master.name], 3)
        found = [event for event in master.events("keepalived") if event["monotonic"] > at]
        [cut] = [event["monotonic"] for event in found if event["code"] == "guard-cut-off"]
        FIGURES.info("flapping: known after %.1f s, %d changes in all", cut - at, len(seen.changes))
        assert seen.moves(cut) <= 1
