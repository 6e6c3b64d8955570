"""Slow cables: between chosen ports and their bridges a process holds every frame for a while. Carrier stays.

The kernel's netem does the same where it is built in; this works on any kernel.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from outlast.lab import network, processes
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.processes import MARK_VARIABLE, Process
from outlast.lab.topology import Topology, port_name, slow_name, switch_namespace

SCRIPT = Path(__file__).parent / "slow_cable.py"
VARIABLE = "OUTLAST_SLOW"
"""In the environment of the process: the fault that it belongs to."""
_GRACE = 3.0

Cable = tuple[str, str, str]
"""A port of the switch, the port that takes its place, and their bridge."""


def cables(topology: Topology, nodes: Iterable[str], interfaces: Iterable[str]) -> list[Cable]:
    """Those of these nodes, as far as they have these interfaces."""
    wanted = tuple(interfaces)
    return [
        (
            port_name(node, one.name),
            slow_name(node, one.name),
            topology.network(one.network).bridge,
        )
        for node in nodes
        for one in topology.node(node).interfaces
        if one.name in wanted
    ]


def begin(topology: Topology, fault: str, slow: Sequence[Cable], delay: float, jitter: float) -> None:
    """Returns when all of them are slow. Raises LabError lab.slow; then all is as it was."""
    argv = ["ip", "netns", "exec", switch_namespace(topology.lab_id), sys.executable, "-I", str(SCRIPT)]
    words = [str(delay), str(jitter), *(",".join(cable) for cable in slow)]
    mark = {MARK_VARIABLE: topology.lab_id, VARIABLE: fault}
    process = subprocess.Popen(
        [*argv, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}", "LC_ALL": "C", **mark},
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    # It ends when it has gone into the background, or at its first trouble.
    with process.stdout, process.stderr:
        ready = process.stdout.readline() == b"ready\n"
        complaint = "" if ready else " ".join(process.stderr.read().decode(errors="replace").split())[-300:]
    process.wait()
    if ready:
        return
    end(Commands(), topology, fault, slow)
    raise LabError("lab.slow", f"the cables cannot be made slow: {complaint or 'no reason given'}")


def passed(commands: Commands, topology: Topology, slow: Sequence[Cable]) -> int:
    """Frames of the nodes that have come out late so far, on the cable with fewest."""
    links = _links(commands, topology)
    return min((links.get(tap, 0) for _, tap, _ in slow), default=0)


def end(commands: Commands, topology: Topology, fault: str, slow: Sequence[Cable]) -> None:
    """All ports are where they were. Safe to repeat, also when the node, or the lab, has gone meanwhile."""
    _stop(topology, fault)
    if not network.namespace_exists(switch_namespace(topology.lab_id)):
        return
    links = _links(commands, topology)
    for port, tap, bridge in slow:
        if port in links:
            _ip(commands, topology, "link", "set", port, "master", bridge)
        if tap in links:
            _ip(commands, topology, "link", "del", tap)


def _stop(topology: Topology, fault: str) -> None:
    """What is under way still arrives, as long as that takes no more than a few seconds."""
    mine = _running(topology, fault)
    for one in mine:
        with processes.handle(one) as fd:
            if fd is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while any(one.is_alive() for one in mine) and time.monotonic() < deadline:
        time.sleep(0.01)
    processes.kill(mine)


def _running(topology: Topology, fault: str) -> list[Process]:
    mark = f"{VARIABLE}={fault}".encode()
    found = []
    for one in processes.marked(topology.lab_id, ()):
        with suppress(OSError):
            if mark in Path(f"/proc/{one.pid}/environ").read_bytes().split(b"\0"):
                found.append(one)
    return found


def _links(commands: Commands, topology: Topology) -> dict[str, int]:
    """Every link of the switch with the frames that it has taken in."""
    shown = _ip(commands, topology, "-s", "-json", "link", "show")
    return {
        str(link["ifname"]): int(link.get("stats64", {}).get("rx", {}).get("packets", 0)) for link in json.loads(shown)
    }


def _ip(commands: Commands, topology: Topology, *words: str) -> str:
    return commands.run("ip", "-n", switch_namespace(topology.lab_id), *words)
