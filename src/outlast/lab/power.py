"""Power of one node: on, off by the button, off by the plug."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import outlast
from outlast.lab import boot, network, processes, volumes
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.processes import Process
from outlast.lab.state import LabPlace, NodeRecord
from outlast.lab.topology import LabNode, Topology, node_namespace

_END_SECONDS = 20
_BOOT_SECONDS = 60


def pid1_of(record: NodeRecord | None) -> Process | None:
    """The node's init if it runs: same pid, same start time, same boot of the machine."""
    if record is None or not record.pid or record.boot != processes.boot_id():
        return None
    found = Process(record.pid, record.started)
    return found if found.is_alive() else None


def power_on(commands: Commands, place: LabPlace, topology: Topology, node: LabNode, record: NodeRecord) -> None:
    """Fresh network, then PID 1 on the volume as it was left."""
    _await_release(place, node.name)
    network.build_node(commands, topology, node)
    order = _boot_order(place, topology, node, record)
    if trouble := _boot(commands, place, order):
        volumes.repair(commands, place.volume(node.name))
        trouble = _boot(commands, place, order)
        if trouble:
            raise LabError("lab.boot", f"node {node.name} does not boot: {trouble}")


def power_off(commands: Commands, place: LabPlace, topology: Topology, node: LabNode, record: NodeRecord) -> None:
    """Pull the plug. The network goes first: nobody may hear of what the volume will never hold."""
    pid1 = pid1_of(record)
    network.unplug_node(commands, topology, node)
    trouble = _cut_volume(place.volume(node.name))
    if pid1 is not None and processes.kill([pid1], _END_SECONDS):
        raise LabError("lab.stuck", f"node {node.name}: process {pid1.pid} does not end after SIGKILL")
    place.write_record(node.name, replace(record, power="off", pid=0))
    _clear_up(commands, place, topology, node)
    if trouble:
        raise LabError("lab.cut", f"node {node.name} is off, but its volume was not cut off first: {trouble}")


def shut_down(
    commands: Commands, place: LabPlace, topology: Topology, node: LabNode, record: NodeRecord, seconds: float
) -> None:
    """Ask PID 1 to end; the kernel then unmounts the volume cleanly."""
    pid1 = pid1_of(record)
    if pid1 is not None:
        with processes.handle(pid1) as pidfd:
            if pidfd is not None:
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
                if not processes.wait_for_end(pidfd, seconds):
                    raise LabError(
                        "lab.shutdown", f"node {node.name} still runs {seconds:g} s after it was told to stop"
                    )
    place.write_record(node.name, replace(record, power="off", pid=0))
    _clear_up(commands, place, topology, node)


def _cut_volume(image: Path) -> str:
    try:
        volumes.cut_off(image)
    except OSError as error:
        return str(error)
    return ""


def _clear_up(commands: Commands, place: LabPlace, topology: Topology, node: LabNode) -> None:
    namespace = network.namespace_path(node_namespace(topology.lab_id, node.name))
    if namespace.exists():
        # Programs run from outside in the node's network only; they would keep its addresses alive.
        strays = processes.marked("", [namespace]) if network.namespace_exists(namespace.name) else []
        processes.kill(strays, _END_SECONDS)
    network.remove_node(commands, topology, node)
    _await_release(place, node.name)


def _await_release(place: LabPlace, node: str) -> None:
    if held := volumes.wait_released(place.node_dir(node), _END_SECONDS):
        devices = ", ".join(sorted(held))
        raise LabError("lab.volume-busy", f"node {node}: something still holds its volume ({devices})")


def _boot(commands: Commands, place: LabPlace, order: dict[str, object]) -> str:
    """Run the boot program; returns what went wrong. It inherits the locks, so they outlive a killed caller."""
    environment = {
        "PATH": boot.PATH,
        "PYTHONPATH": str(Path(outlast.__file__).parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        processes.MARK_VARIABLE: place.lab_id,
    }
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-m", "outlast.lab.boot"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=_BOOT_SECONDS,
        pass_fds=commands.locks,
        env=environment,
        start_new_session=True,
        cwd="/",
    )
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1] if done.returncode else ""


def _boot_order(place: LabPlace, topology: Topology, node: LabNode, record: NodeRecord) -> dict[str, object]:
    folder = place.node_dir(node.name)
    mounts = {"volume_mount": str(folder / "volume"), "root_mount": str(folder / "root")}
    for path in mounts.values():
        os.makedirs(path, exist_ok=True)
    environment = {
        "PATH": boot.PATH,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "container": "outlast",
        "OUTLAST_NODE": node.name,
        processes.MARK_VARIABLE: place.lab_id,
    }
    return mounts | {
        "node": node.name,
        "namespace": str(network.namespace_path(node_namespace(topology.lab_id, node.name))),
        "image": record.image,
        "volume": str(place.volume(node.name)),
        "log": str(place.console(node.name)),
        "sysctls": topology.sysctls,
        "files": _identity(node),
        "init": record.init,
        "environment": environment,
        "record": asdict(replace(record, power="on", boot=processes.boot_id())),
        "record_path": str(folder / "record.json"),
    }


def _identity(node: LabNode) -> dict[str, str]:
    hosts = (("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost ip6-loopback"), *node.hosts)
    return {
        "/etc/hostname": f"{node.name}\n",
        "/etc/hosts": "".join(f"{address} {name}\n" for address, name in hosts),
        "/etc/resolv.conf": "",
    }
