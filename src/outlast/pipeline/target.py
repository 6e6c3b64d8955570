"""The cluster that a verb works on: its file, its plan, and the ways to its nodes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from outlast.errors import InputError
from outlast.lab import runtime
from outlast.lab.errors import LabError
from outlast.model.cluster import Cluster
from outlast.model.loader import load
from outlast.plan.build import plan as build_plan
from outlast.plan.plan import Plan
from outlast.remote.base import Connector
from outlast.remote.netns import NetnsConnector
from outlast.remote.ssh import SshConnector, SshTarget
from outlast.services.registry import SPECS

LABS = Path("/var/lib/outlast/labs")
NOTE = "cluster-file"
"""File in a lab's state folder that names the cluster file it was built from."""


@dataclass(frozen=True)
class Target:
    """A loaded cluster file with its plan."""

    path: Path
    cluster: Cluster
    plan: Plan

    @property
    def state_dir(self) -> Path:
        """Where the lab of this cluster lives on this machine."""
        return LABS / self.cluster.cluster

    @property
    def lock(self) -> Path:
        """Held by the one roll-out that works on this cluster."""
        return Path("/run/lock") / f"outlast-{self.cluster.cluster}.lock"

    @property
    def is_lab(self) -> bool:
        return not any(node.ssh for node in self.plan.nodes)

    def check_owner(self) -> None:
        """Raises InputError where a lab of this name was brought up from another cluster file."""
        note = self.state_dir / NOTE
        owner = note.read_text().strip() if note.exists() else ""
        if owner and Path(owner) != self.path and Path(owner).exists():
            raise InputError(
                "cluster.other-file",
                f"a lab named {self.cluster.cluster} runs already, from {owner}; "
                f"give {self.path} another `cluster:` name, or run: outlast down -f {owner}",
            )

    @cached_property
    def lab(self) -> runtime.Lab:
        """The running lab. Raises InputError where it was not built yet, or from another file."""
        self.check_owner()
        try:
            return runtime.open_lab(self.state_dir)
        except LabError as error:
            raise InputError(
                "cluster.not-up",
                f"cluster {self.cluster.cluster} is not up on this machine; run: outlast up -f {self.path}",
            ) from error

    def connector(self, node: str) -> Connector:
        """A way to one node. Raises InputError for a name that is not in the cluster file."""
        if node not in self.plan.node_by_name:
            known = ", ".join(item.name for item in self.plan.nodes)
            raise InputError("node.unknown", f"no node {node} in {self.path}; it has {known}")
        ssh = self.plan.node_by_name[node].ssh
        if ssh:
            return SshConnector(ssh_target(ssh))
        lab = self.lab
        return NetnsConnector(lambda: lab.enter_argv(node), lambda: lab.root_path(node))

    def entry(self, node: str) -> tuple[str, ...]:
        """Words before a command that is to run on the node with our own standard input and output."""
        self.connector(node)
        ssh = self.plan.node_by_name[node].ssh
        return ("ssh", "-t", ssh, "--") if ssh else tuple(self.lab.enter_argv(node))

    async def lines(self, node: str, argv: tuple[str, ...], given: str = "") -> AsyncIterator[str]:
        """Lines of a command's output as they come; what it complains of goes to our own standard error."""
        process = await asyncio.create_subprocess_exec(
            *self.entry(node), *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        writer, reader = process.stdin, process.stdout
        if writer is None or reader is None:
            raise OSError("no pipes to the command")
        writer.write(given.encode())
        writer.close()
        try:
            async for line in reader:
                yield line.decode(errors="replace").rstrip("\n")
        finally:
            if process.returncode is None and reader.at_eof():
                await process.wait()
            elif process.returncode is None:
                process.kill()
                await process.wait()

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[Mapping[str, Connector]]:
        """Ways to all nodes that run members, closed at the end."""
        connectors = self.connectors()
        try:
            yield connectors
        finally:
            await asyncio.gather(*(item.close() for item in connectors.values()))

    def connectors(self) -> Mapping[str, Connector]:
        """Ways to all nodes that run members."""
        return {node.name: self.connector(node.name) for node in self.plan.nodes if self.plan.members_on(node.name)}


def ssh_target(text: str) -> SshTarget:
    """user@host:port → SshTarget; the model has checked its form."""
    user, _, place = text.rpartition("@")
    host, _, port = place.partition(":")
    return SshTarget(host, int(port or 22), user or "root")


def find(path: Path | None) -> Path:
    """The cluster file meant: the one given, $OUTLAST_CLUSTER, ./cluster.yaml, or that of the machine's only lab."""
    if path:
        return path
    if named := os.environ.get("OUTLAST_CLUSTER"):
        return Path(named)
    if Path("cluster.yaml").exists():
        return Path("cluster.yaml").resolve()
    notes = [folder / NOTE for folder in sorted(LABS.glob("*")) if (folder / NOTE).exists()]
    if len(notes) == 1:
        return Path(notes[0].read_text().strip())
    names = ", ".join(note.parent.name for note in notes)
    hint = f"labs on this machine: {names}" if notes else "no lab runs on this machine"
    raise InputError("cluster-file.which", f"say which cluster with -f FILE ({hint})")


def open_target(path: Path | None) -> Target:
    """Loads, checks and plans. Raises ClusterFileError with every problem of the file."""
    found = find(path).resolve()
    cluster = load(found, SPECS)
    return Target(found, cluster, build_plan(cluster, SPECS))
