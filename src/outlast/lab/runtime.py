"""Labs on this machine: create, list, and the levers of a running one.

Synchronous on purpose: every call is short, and a drill may pull several plugs at once from several threads.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from outlast.lab import boot, frames, network, power, slow, volumes
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.ownership import Removed, destroy, leftovers
from outlast.lab.state import DEFAULT_HOME, LabPlace, NodeRecord, locked, place
from outlast.lab.topology import LabNode, Topology

__all__ = ["DEFAULT_INIT", "Lab", "LabStatus", "Removed", "create", "destroy", "labs", "leftovers", "open_lab"]

DEFAULT_INIT = ("/opt/outlast/bin/supervisord", "-c", "/etc/outlast/supervisord.conf", "-n")

_BUILDERS = 4


@dataclass(frozen=True)
class LabStatus:
    """`nodes`: name -> on, off, dead (its PID 1 ended by itself) or absent (not built yet)."""

    lab: str
    lab_id: str
    state_dir: Path
    nodes: dict[str, str]


class Lab:
    """A lab that exists on this machine. Holds no state of its own: any number of processes may use one at once."""

    def __init__(self, where: LabPlace, topology: Topology) -> None:
        self.place = where
        self.topology = topology

    def status(self) -> LabStatus:
        names = [node.name for node in self.topology.nodes]
        states = {name: self._power(name) for name in names}
        return LabStatus(self.topology.lab, self.topology.lab_id, self.place.state_dir, states)

    def pid1(self, node: str) -> int | None:
        found = power.pid1_of(self._record(node))
        return found.pid if found else None

    def root_path(self, node: str) -> Path:
        """The node's root as seen from the host. Absolute links in it lead into the *host*: see open_in_root."""
        return Path(f"/proc/{self._running(node)}/root")

    def enter_argv(self, node: str) -> list[str]:
        """Prefix that runs a command inside the node, with the node's environment and no right over the machine."""
        pid = self._running(node)
        environment = [f"PATH={boot.PATH}", "HOME=/root", "LANG=C.UTF-8", f"OUTLAST_NODE={node}"]
        denied = ",".join(f"-{name}" for name in boot.FORBIDDEN_CAPABILITIES)
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        return [
            *(_tool("env"), "-i", *environment),
            *(_tool("setpriv"), f"--bounding-set={denied}", f"--inh-caps={denied}"),
            *(_tool("nsenter"), f"--target={pid}", *namespaces, "--"),
        ]

    def console(self, node: str) -> Path:
        """What the node's PID 1 has written, over all boots."""
        return self.place.console(self._node(node).name)

    def poweroff(self, node: str) -> None:
        """A power cut: what the node had not synced to its volume is lost."""
        with self._alone(node) as (commands, target, record):
            power.power_off(commands, self.place, self.topology, target, record)

    def poweron(self, node: str) -> None:
        with self._alone(node) as (commands, target, record):
            if power.pid1_of(record) is None:
                power.power_on(commands, self.place, self.topology, target, record)

    def shutdown(self, node: str, seconds: float = 60) -> None:
        """Graceful: SIGTERM to PID 1. A node that does not end in time runs on, and LabError lab.shutdown says so."""
        with self._alone(node) as (commands, target, record):
            power.shut_down(commands, self.place, self.topology, target, record, seconds)

    def remove(self, node: str) -> None:
        """Power the node off and delete its volume. It comes back, empty, with the next `create` that has it."""
        with self._alone(node) as (commands, target, record):
            power.power_off(commands, self.place, self.topology, target, record)
            shutil.rmtree(self.place.node_dir(node))

    def link(self, node: str, interface: str, up: bool) -> None:
        """Carrier loss, or its return, on one interface."""
        with self._shared() as commands:
            network.set_link(commands, self.topology, self._node(node).name, interface, up)

    def drop(self, node: str, interface: str, on: bool) -> None:
        """Silent loss of everything from and to one interface; its carrier stays."""
        with self._shared() as commands:
            network.set_silent(commands, self.topology, self._node(node).name, interface, on)

    def drop_frames(self, fault: str, drops: Sequence[frames.Drop]) -> None:
        """The switch drops frames between ports, under a name by which it is counted and taken back."""
        with self._shared() as commands:
            frames.load(commands, self.topology, fault, drops)

    def dropped_frames(self, fault: str) -> int:
        """Frames dropped so far under that name."""
        return frames.dropped(Commands(), self.topology, fault)

    def pass_frames(self, fault: str) -> None:
        """Take `drop_frames` back; safe to repeat."""
        with self._shared() as commands:
            frames.unload(commands, self.topology, fault)

    def slow_down(self, fault: str, cables: Sequence[slow.Cable], delay: float, jitter: float) -> None:
        """Every frame on these cables takes so many seconds more, in each direction. Raises LabError lab.slow."""
        with self._shared():
            slow.begin(self.topology, fault, cables, delay, jitter)

    def slowed_frames(self, cables: Sequence[slow.Cable]) -> int:
        """Frames that nodes have sent and that have arrived late, on the cable with fewest of them."""
        return slow.passed(Commands(), self.topology, cables)

    def speed_up(self, fault: str, cables: Sequence[slow.Cable]) -> None:
        """Take `slow_down` back; safe to repeat."""
        with self._shared() as commands:
            slow.end(commands, self.topology, fault, cables)

    def freeze_disk(self, node: str) -> None:
        """Every write to the node's volume waits until `thaw_disk`, or until the node's power is cut."""
        with self._alone(node):
            if not volumes.freeze(self.place.volume(node)):
                raise LabError("lab.node-off", f"node {node} of lab {self.topology.lab} is {self._power(node)}")

    def thaw_disk(self, node: str) -> bool:
        """Writes go on; False when they had never stopped."""
        with self._alone(node):
            return volumes.thaw(self.place.volume(node))

    def disk_is_frozen(self, node: str) -> bool:
        with self._alone(node):
            return volumes.is_frozen(self.place.volume(node))

    def host_access(self, network_name: str, address: str | None) -> None:
        """Put the host on a lab network with `address` ("10.0.0.254/24"), or take it off with None."""
        with locked(self.place.state_dir) as lock:
            commands = Commands((lock,))
            if address is None:
                network.disconnect_host(commands, self.topology, network_name)
            else:
                network.connect_host(commands, self.topology, network_name, address)

    def _node(self, name: str) -> LabNode:
        try:
            return self.topology.node(name)
        except KeyError:
            raise LabError("lab.no-node", f"lab {self.topology.lab} has no node {name}") from None

    def _record(self, node: str) -> NodeRecord | None:
        return self.place.read_record(self._node(node).name)

    def _power(self, node: str) -> str:
        record = self._record(node)
        if record is None:
            return "absent"
        if power.pid1_of(record) is not None:
            return "on"
        return "dead" if record.power == "on" else "off"

    def _running(self, node: str) -> int:
        pid1 = power.pid1_of(self._record(node))
        if pid1 is None:
            raise LabError("lab.node-off", f"node {node} of lab {self.topology.lab} is {self._power(node)}")
        if pid1.is_ending():
            raise LabError("lab.node-off", f"node {node} of lab {self.topology.lab} is going down")
        return pid1.pid

    @contextlib.contextmanager
    def _shared(self) -> Iterator[Commands]:
        with locked(self.place.state_dir, alone=False) as lock:
            yield Commands((lock,))

    @contextlib.contextmanager
    def _alone(self, node: str) -> Iterator[tuple[Commands, LabNode, NodeRecord]]:
        """Work on one node: others may work on other nodes meanwhile."""
        target = self._node(node)
        with locked(self.place.state_dir, alone=False) as lab_lock:
            if not self.place.node_dir(node).is_dir():
                raise LabError("lab.no-node", f"node {node} of lab {self.topology.lab} has not been built")
            with locked(self.place.node_dir(node)) as node_lock:
                record = self.place.read_record(node)
                if record is None:
                    raise LabError("lab.no-node", f"node {node} of lab {self.topology.lab} has not been built")
                yield Commands((lab_lock, node_lock)), target, record


def create(topology: Topology, image_root: Path, state_dir: Path, *, init_argv: Sequence[str] = DEFAULT_INIT) -> Lab:
    """Build what is missing and power it on; leave what is there as it is, also nodes that were powered off.

    Interrupted at any moment, what it leaves is completed by the next `create` or removed by `destroy`.
    """
    where = place(state_dir)
    _check_order(topology, image_root, where)
    where.state_dir.mkdir(parents=True, exist_ok=True)
    with locked(where.state_dir) as lock:
        commands = Commands((lock,))
        if vanished := sorted(set(where.built_nodes()) - {node.name for node in topology.nodes}):
            raise LabError("lab.nodes-left", f"the lab has nodes that are no longer wanted: {', '.join(vanished)}")
        where.write_topology(topology)
        network.build_switch(commands, topology)
        wanted = NodeRecord("on", str(image_root.resolve()), tuple(init_argv))
        with ThreadPoolExecutor(_BUILDERS) as pool:
            list(pool.map(lambda node: _build_node(commands, where, topology, node, wanted), topology.nodes))
    return Lab(where, topology)


def standing_image(topology: Topology, state_dir: Path) -> Path | None:
    """Root of the image that all nodes were built on; None where one is not built yet, they differ, or it is gone."""
    where = place(state_dir)
    records = [where.read_record(node.name) for node in topology.nodes]
    roots = {Path(record.image) if record else None for record in records}
    root = roots.pop() if len(roots) == 1 else None
    return root if root and root.is_dir() else None


def open_lab(state_dir: Path) -> Lab:
    where = place(state_dir)
    topology = where.read_topology()
    if topology is None:
        raise LabError("lab.not-found", f"there is no lab at {where.state_dir}")
    return Lab(where, topology)


def labs(home: Path = DEFAULT_HOME) -> list[LabStatus]:
    """All labs below `home`, also half-built ones."""
    folders = sorted(entry for entry in home.iterdir() if entry.is_dir()) if home.is_dir() else []
    return [_status(folder) for folder in folders]


def _status(folder: Path) -> LabStatus:
    with contextlib.suppress(LabError):
        return open_lab(folder).status()
    where = place(folder)
    return LabStatus(where.lab, where.lab_id, where.state_dir, {name: "absent" for name in where.built_nodes()})


def _build_node(commands: Commands, where: LabPlace, topology: Topology, node: LabNode, wanted: NodeRecord) -> None:
    where.node_dir(node.name).mkdir(parents=True, exist_ok=True)
    record = where.read_record(node.name)
    if record is None:
        record = wanted
        where.write_record(node.name, record)
    volumes.make(commands, where.volume(node.name), node.volume_mib)
    # A node without a pid was never booted: its creator was interrupted, or somebody pulled the plug (power off).
    if record.power == "off" or power.pid1_of(record) is not None:
        return
    power.power_on(commands, where, topology, node, record)


def _check_order(topology: Topology, image_root: Path, where: LabPlace) -> None:
    if topology.lab != where.lab or topology.lab_id != where.lab_id:
        raise LabError("lab.identity", f"{where.state_dir} does not belong to lab {topology.lab} ({topology.lab_id})")
    if not image_root.is_dir():
        raise LabError("lab.image", f"there is no node image at {image_root}")
    if set(":,\\") & set(str(image_root.resolve()) + str(where.state_dir)):
        raise LabError("lab.image", "paths of image and lab must not hold a colon, comma or backslash")


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise LabError("lab.tool-missing", f"{name} is not installed on this machine")
    return found
