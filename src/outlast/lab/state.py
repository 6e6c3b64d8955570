"""What a lab remembers on disk, and who may change it now.

    <state_dir>/lock                 taken shared by work on one node, alone by create and destroy
    <state_dir>/topology.json        written before anything else is made
    <state_dir>/nodes/<node>/        record.json, lock, volume.img, console.log, mount points volume/ and root/

Mount points are empty as the host sees them: only the node's own mount namespace has something there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outlast.lab.errors import LabError
from outlast.lab.topology import Interface, LabNetwork, LabNode, Topology, lab_id

DEFAULT_HOME = Path("/var/lib/outlast/labs")


@dataclass(frozen=True)
class NodeRecord:
    """`power` is what was asked for; whether the node runs is seen from `pid`, `started` and `boot` together."""

    power: str
    image: str
    init: tuple[str, ...]
    boot: str = ""
    pid: int = 0
    started: int = 0


@dataclass(frozen=True)
class LabPlace:
    """Where a lab keeps its files, and with that its ownership mark."""

    state_dir: Path

    @property
    def lab(self) -> str:
        return self.state_dir.name

    @property
    def lab_id(self) -> str:
        return lab_id(self.lab, str(self.state_dir))

    def node_dir(self, node: str) -> Path:
        return self.state_dir / "nodes" / node

    def volume(self, node: str) -> Path:
        return self.node_dir(node) / "volume.img"

    def console(self, node: str) -> Path:
        return self.node_dir(node) / "console.log"

    def built_nodes(self) -> list[str]:
        folder = self.state_dir / "nodes"
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def read_topology(self) -> Topology | None:
        content = _read_json(self.state_dir / "topology.json")
        return topology_from_json(content) if content is not None else None

    def write_topology(self, topology: Topology) -> None:
        write_atomically(self.state_dir / "topology.json", json.dumps(dataclasses.asdict(topology), indent=1))

    def read_record(self, node: str) -> NodeRecord | None:
        content = _read_json(self.node_dir(node) / "record.json")
        return NodeRecord(**content | {"init": tuple(content["init"])}) if content is not None else None

    def write_record(self, node: str, record: NodeRecord) -> None:
        write_atomically(self.node_dir(node) / "record.json", json.dumps(dataclasses.asdict(record)))


def place(state_dir: Path) -> LabPlace:
    return LabPlace(Path(os.path.realpath(state_dir)))


def topology_from_json(content: dict[str, Any]) -> Topology:
    def node(values: dict[str, Any]) -> LabNode:
        interfaces = tuple(Interface(**interface) for interface in values["interfaces"])
        hosts = tuple((address, name) for address, name in values["hosts"])
        return LabNode(**values | {"interfaces": interfaces, "hosts": hosts})

    return Topology(
        lab=content["lab"],
        lab_id=content["lab_id"],
        networks=tuple(LabNetwork(**network) for network in content["networks"]),
        nodes=tuple(node(values) for values in content["nodes"]),
        sysctls=tuple((key, value) for key, value in content["sysctls"]),
    )


def write_atomically(path: Path, content: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    with open(draft, "w", encoding="utf-8") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    os.replace(draft, path)


@contextlib.contextmanager
def locked(folder: Path, *, alone: bool = True, seconds: float = 60) -> Iterator[int]:
    """Hold `<folder>/lock`; yields its descriptor for tools to inherit."""
    path = folder / "lock"
    deadline = time.monotonic() + seconds
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise LabError("lab.not-found", f"there is no lab at {folder}") from None
        try:
            _take(fd, alone, deadline, folder)
            if _still_there(fd, path):
                yield fd
                return
        finally:
            os.close(fd)


def _take(fd: int, alone: bool, deadline: float, folder: Path) -> None:
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LabError("lab.busy", f"another command has been working on {folder} for too long") from None
            time.sleep(0.005)


def _still_there(fd: int, path: Path) -> bool:
    """A lock on a file that destroy has removed meanwhile protects nothing."""
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise LabError("lab.state", f"{path} cannot be read; destroy the lab and create it again") from None
    return content
