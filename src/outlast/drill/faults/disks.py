"""Faults of a node's volume: full, stuck, or with files missing."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from outlast.drill.faults.hands import FOLDER, Hands
from outlast.drill.faults.verb import Order, Record, nodes_of
from outlast.errors import InputError
from outlast.lab import processes, tree
from outlast.lab.errors import LabError
from outlast.lab.processes import Process
from outlast.services.galera import facts as galera
from outlast.services.rabbitmq import service as rabbitmq
from outlast.services.zookeeper import service as zookeeper

_MIB = 1024 * 1024
_BLOCK = 4096
_SLACK_MIB = 1.0
"""A program may free as much between filling and looking."""
_KILL_SECONDS = 5.0


class Fill:
    """One file takes the volume's free space, but for `free-mib`."""

    options: Mapping[str, str] = {"free-mib": "MiB that stay free (0)"}

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {"path": f"{FOLDER}/.drill-{order.id}", "free": order.number("free-mib", 0)}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for node in nodes_of(record):
            root = hands.lab.root_path(node)
            with open(f"{root}{record['path']}", "wb") as file:
                _take(file.fileno(), f"{root}{FOLDER}", int(record["free"] * _MIB))

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return all(free_mib(hands, node) <= record["free"] + _SLACK_MIB for node in nodes_of(record))

    def undo(self, hands: Hands, record: Record) -> None:
        """Raises LabError lab.node-off: the file stays on a volume that is not mounted."""
        for node in nodes_of(record):
            try:
                os.unlink(f"{hands.lab.root_path(node)}{record['path']}")
            except FileNotFoundError:
                continue


class StopDiskWrites:
    """Every write to the volume waits, also that of a log; reads of what is cached go on."""

    options: Mapping[str, str] = {}

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for node in nodes_of(record):
            hands.lab.freeze_disk(node)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return all(hands.lab.disk_is_frozen(node) for node in nodes_of(record))

    def undo(self, hands: Hands, record: Record) -> None:
        for node in nodes_of(record):
            hands.lab.thaw_disk(node)


@dataclass(frozen=True)
class _Data:
    """Files of a program that may get lost."""

    program: str
    path: str


DAMAGES: Mapping[str, _Data] = {
    "galera-state": _Data("galera", galera.GRASTATE),
    "galera-data": _Data("galera", galera.DATA),
    "rabbitmq-data": _Data("rabbitmq", f"{rabbitmq.HOME}/mnesia"),
    "ovn-nb": _Data("ovn-nb", "/var/lib/ovn/ovnnb_db.db"),
    "ovn-sb": _Data("ovn-sb", "/var/lib/ovn/ovnsb_db.db"),
    "zookeeper-data": _Data("zookeeper", f"{zookeeper.DATA}/version-2"),
}


class Damage:
    """Files of a program are removed while it stands still, and it is killed: it starts without them."""

    options: Mapping[str, str] = {"what": ", ".join(DAMAGES)}

    def prepare(self, hands: Hands, order: Order) -> Record:
        what = order.text("what")
        if what not in DAMAGES:
            raise InputError("drill.option", f"damage needs one of: what: {', '.join(DAMAGES)}")
        data, entries = DAMAGES[what], []
        for node in order.nodes:
            root, inode = hands.process(node, data.program), hands.inode(node, data.path)
            if not inode:
                raise InputError("drill.option", f"{data.path} is not there on {node}")
            entries.append({"node": node, "process": [root.pid, root.started], "inode": inode})
        return {"path": data.path, "entries": entries}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for entry in record["entries"]:
            stopped = tree.stop_tree(Process(*entry["process"]))
            try:
                hands.run(entry["node"], ["rm", "-rf", "--", record["path"]])
            finally:
                processes.kill(stopped, _KILL_SECONDS)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """Another file at the same place is the repair, which may have begun."""
        return all(
            not Process(*entry["process"]).is_alive() and hands.inode(entry["node"], record["path"]) != entry["inode"]
            for entry in record["entries"]
        )

    def undo(self, hands: Hands, record: Record) -> None:
        """Nothing can bring the files back: to repair that is the product's business."""
        for entry in record["entries"]:
            tree.send(tree.descendants(Process(*entry["process"])), signal.SIGCONT)


def free_mib(hands: Hands, node: str) -> float:
    """Free space of a node's volume in MiB; infinite when it is off."""
    try:
        seen = os.statvfs(f"{hands.lab.root_path(node)}{FOLDER}")
    except (LabError, OSError):
        return float("inf")
    return seen.f_bavail * seen.f_frsize / _MIB


def _take(file: int, folder: str, keep: int) -> None:
    """Allocate what is free in ever smaller pieces: the volume's own tables take some of it meanwhile."""
    end, piece = 0, 1 << 40
    while piece >= _BLOCK:
        seen = os.statvfs(folder)
        piece = min(piece, (seen.f_bavail * seen.f_frsize - keep) // _BLOCK * _BLOCK)
        if piece < _BLOCK:
            return
        try:
            os.posix_fallocate(file, end, piece)
            end += piece
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            piece //= 2
