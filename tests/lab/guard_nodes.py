"""Three endpoint nodes and a client as plain namespaces: real HAProxy and Keepalived under their guards, nothing else.

Smaller than the lab: an overlay on the node image, a network namespace and a bridge. No supervisor: the tests play it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outlast.plan.plan import Member, Plan, PlannedFrontend, PlannedNetwork, PlannedNode, PlannedVip
from outlast.render.tree import text
from outlast.services.contract import Service
from outlast.services.haproxy.service import SERVICE as HAPROXY
from outlast.services.keepalived.service import SERVICE as KEEPALIVED
from outlast.spec.service import Frontend
from outlast.spec.timing import OUTLAST

SOURCE = Path(__file__).parents[2] / "src"
HELPERS = Path(__file__).parent / "guard_helpers.py"
VIP, PORT, STREAM = "10.99.0.250", 5000, 3306
NODES = ("n1", "n2", "n3")
SERVICES: dict[str, Service] = {"haproxy": HAPROXY, "keepalived": KEEPALIVED}


def address(node: str) -> str:
    """A node's address on the only network."""
    return f"10.99.0.{10 + int(node[1:])}"


def small_plan(**haproxy: Any) -> Plan:
    """An HTTP frontend and a one-server-at-a-time stream, three servers each."""

    def frontend(offer: Frontend, port: int) -> PlannedFrontend:
        servers = tuple((node, address(node), port) for node in NODES)
        return PlannedFrontend("stub", offer, "internal", VIP, port, servers, port)

    options = {name: {item.name: item.default for item in one.spec.options} for name, one in SERVICES.items()}
    options["haproxy"].update(haproxy)
    return Plan(
        cluster="guards", region="RegionOne", timing=OUTLAST, recovery="safe",
        nodes=tuple(PlannedNode(n, i, ("endpoint",), n, {"control-data": address(n)}) for i, n in enumerate(NODES)),
        networks={"control-data": PlannedNetwork("control-data", "10.99.0.0/24", 24, "ctl")},
        vips={
            "internal": PlannedVip(
                "internal", VIP, 24, "control-data", "ctl", 77,
                dict(zip(NODES, OUTLAST.vrrp_priorities, strict=True)),
            )
        },
        specs={name: one.spec for name, one in SERVICES.items()},
        members=tuple(Member(name, node, i) for name in SERVICES for i, node in enumerate(NODES)),
        frontends=(
            frontend(Frontend("web", "web"), PORT),
            frontend(Frontend("stream", "stream", mode="tcp", single=True), STREAM),
        ),
        options=options,
    )  # fmt: skip


def run(*argv: str, check: bool = True) -> str:
    """A command's output."""
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout


@dataclass
class GuardNode:
    """One node: its namespace, root and processes."""

    name: str
    space: str
    root: Path
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def enter(self, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.space, "chroot", str(self.root), *argv]

    def guard_argv(self, service: str, *flags: str) -> list[str]:
        config = f"/etc/outlast/guard-{service}.json"
        return self.enter("/usr/bin/python3", "-m", "outlast.node", "guard", service, "--config", config, *flags)

    def guard(self, service: str) -> None:
        """Start a guard as supervisord would."""
        log = (self.root / f"var/log/guard-{service}.log").open("ab")
        environment = {**os.environ, "PYTHONPATH": "/opt/source", "PYTHONDONTWRITEBYTECODE": "1"}
        self.programs[service] = subprocess.Popen(
            self.guard_argv(service), stdout=log, stderr=log, env=environment, start_new_session=True
        )
        log.close()

    def ask_guard(self, service: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """`outlast-node guard SERVICE --…`."""
        environment = {**os.environ, "PYTHONPATH": "/opt/source", "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            self.guard_argv(service, *flags), capture_output=True, text=True, env=environment, check=False
        )

    def write(self, plan: Plan) -> None:
        """Both members' files, rendered as for a real node."""
        for name, service in SERVICES.items():
            member = next(item for item in plan.members_of(name) if item.node == self.name)
            spec = service.describe(plan, member)
            for folder in spec.directories:
                (self.root / folder.path[1:]).mkdir(parents=True, exist_ok=True)
            for file in spec.files:
                path = self.root / file.path[1:]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text(file, {}), encoding="utf-8")

    def state(self, service: str) -> dict[str, Any]:
        path = self.root / f"run/outlast/guard/{service}.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def events(self, service: str) -> list[dict[str, Any]]:
        path = self.root / f"run/outlast/guard/{service}.events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def child(self, service: str) -> int:
        return int(self.state(service)["child_pid"])

    def helper(self, *argv: str) -> subprocess.Popen[str]:
        """A helper program in the node's namespace (with the machine's own Python)."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.space, sys.executable, str(HELPERS), *argv],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


class GuardLab:
    """Bridge, nodes and client; `close` removes all of it."""

    def __init__(self, image: Path, work: Path) -> None:
        self.mark = f"og{os.getpid()}"
        self.work = work
        self.helpers: list[subprocess.Popen[str]] = []
        self.nodes: dict[str, GuardNode] = {}
        run("ip", "netns", "add", f"{self.mark}-br")
        self._in("br", "ip", "link", "add", "br0", "type", "bridge")
        self._in("br", "ip", "link", "set", "br0", "up")
        for name in (*NODES, "n9"):
            self._space(name)
            root = self._root(image, name) if name in NODES else Path("/")
            self.nodes[name] = GuardNode(name, f"{self.mark}-{name}", root)
        self.client = self.nodes.pop("n9")

    def _in(self, name: str, *argv: str) -> str:
        return run("ip", "netns", "exec", f"{self.mark}-{name}", *argv)

    def _space(self, name: str) -> None:
        space, port = f"{self.mark}-{name}", f"p-{name}"
        run("ip", "netns", "add", space)
        self._in("br", "ip", "link", "add", port, "type", "veth", "peer", "name", "ctl", "netns", space)
        self._in("br", "ip", "link", "set", port, "master", "br0", "up")
        self._in(name, "ip", "address", "add", f"{address(name)}/24", "dev", "ctl")
        for link in ("lo", "ctl"):
            self._in(name, "ip", "link", "set", link, "up")

    def _root(self, image: Path, name: str) -> Path:
        base = self.work / name
        for part in ("upper", "work", "root"):
            (base / part).mkdir(parents=True)
        root = base / "root"
        layers = f"lowerdir={image},upperdir={base / 'upper'},workdir={base / 'work'}"
        run("mount", "-t", "overlay", "-o", layers, "overlay", str(root))
        for kind, target in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")):
            run("mount", "-t", kind, kind, str(root / target))
        run("mount", "--rbind", "--make-rslave", "/dev", str(root / "dev"))
        (root / "opt/source").mkdir(parents=True)
        run("mount", "--bind", "-o", "ro", str(SOURCE), str(root / "opt/source"))
        return root

    def start(self, plan: Plan) -> None:
        """Servers, then guards, then wait until one node holds the VIP and serves."""
        for node in self.nodes.values():
            node.write(plan)
            for port in (PORT, STREAM):
                self.helpers.append(node.helper("serve", address(node.name), str(port), node.name))
        for node in self.nodes.values():
            node.guard("haproxy")
            node.guard("keepalived")
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if all(node.state("haproxy").get("serving") for node in self.nodes.values()) and self.master():
                return
            time.sleep(0.05)
        raise AssertionError("the nodes did not start")

    def master(self) -> GuardNode | None:
        """The node whose Keepalived says MASTER, if it is one."""
        found = [n for n in self.nodes.values() if _vrrp(n) == "MASTER"]
        return found[0] if len(found) == 1 else None

    def settled(self) -> GuardNode:
        """The one master with everything well."""
        until = time.monotonic() + 15
        while time.monotonic() < until:
            master = self.master()
            well = all(n.state("haproxy").get("serving") for n in self.nodes.values())
            if master and well and all(_vrrp(n) in ("MASTER", "BACKUP") for n in self.nodes.values()):
                time.sleep(1.0)
                return master
            time.sleep(0.05)
        raise AssertionError("the nodes did not settle")

    def cut(self, node: GuardNode) -> None:
        """Its cable is pulled."""
        self._in("br", "ip", "link", "set", f"p-{node.name}", "down")

    def join(self, node: GuardNode) -> None:
        self._in("br", "ip", "link", "set", f"p-{node.name}", "up")

    def load(self, seconds: float, rate: int) -> subprocess.Popen[str]:
        """New connections at a fixed rate, never repeated; the answer is one line of JSON."""
        return self.client.helper("load", VIP, str(PORT), str(seconds), str(rate))

    def close(self) -> None:
        """End all processes of the nodes' namespaces, unmount, delete."""
        for node in (*self.nodes.values(), self.client):
            for pid in run("ip", "netns", "pids", node.space, check=False).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for guard in (program for node in self.nodes.values() for program in node.programs.values()):
            guard.wait(5)
        for helper in self.helpers:
            helper.wait(5)
            if helper.stdout:
                helper.stdout.close()
        for node in self.nodes.values():
            run("umount", "-R", "-l", str(node.root), check=False)
        for name in ("br", *NODES, "n9"):
            run("ip", "netns", "delete", f"{self.mark}-{name}", check=False)


def _vrrp(node: GuardNode) -> str:
    return str(node.state("keepalived").get("instances", {}).get("internal", {}).get("state", ""))
