"""What faults reach the cluster by: a lab on this machine, its plan, and a few ways into a running node."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import xmlrpc.client
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from outlast.errors import InputError, RemoteError
from outlast.lab import network, syscalls, tree
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.processes import Process
from outlast.lab.runtime import Lab
from outlast.lab.topology import node_namespace
from outlast.plan.plan import Plan
from outlast.remote.in_root import open_in_root

T = TypeVar("T")

PYTHON = "/usr/bin/python3"
MARK = "OUTLAST_FAULT"
"""Variable in the environment of everything that a fault starts in a node: by it the undo finds it."""
FOLDER = "/var/lib/outlast"
"""Folder on every node's volume; files of faults lie in it."""

_SUPERVISOR, _AGENT, _GUARD = "/run/outlast/supervisor.sock", "/run/outlast/agent.sock", "/run/outlast/guard"
_GUARDED = ("haproxy", "keepalived")
_SECONDS = 5.0


@dataclass(frozen=True)
class Hands:
    """A lab and its plan. Every method that goes into a node raises LabError lab.node-off when it has no power."""

    lab: Lab
    plan: Plan
    known: dict[str, Mapping[str, int]] = field(default_factory=dict, compare=False)

    # --- commands and files --------------------------------------------------------------------------------------

    def run(self, node: str, argv: Sequence[str], *, given: str = "", timeout: float = 20.0) -> str:
        """A command inside a node to its end; what it printed. Raises RemoteError when it fails or takes longer."""
        try:
            done = subprocess.run(
                [*self.lab.enter_argv(node), *argv], input=given, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise RemoteError("remote.timeout", f"{argv[0]} on {node}: no end after {timeout:g} s") from None
        if done.returncode:
            reason = " ".join(done.stderr.split()) or f"status {done.returncode}"
            raise RemoteError("remote.failed", f"{argv[0]} on {node}: {reason}")
        return done.stdout

    def launch(self, node: str, fault: str, script: str, *words: object) -> str:
        """Run a Python text inside a node, marked as the fault's; it answers with a line and goes on by itself."""
        argv = ["/usr/bin/env", f"{MARK}={fault}", PYTHON, "-c", script, *(str(word) for word in words)]
        return self.run(node, argv).strip()

    def launched(self, node: str, fault: str) -> list[Process]:
        """Processes in a node that belong to a fault. Empty when the node is off."""
        pid1 = self.lab.pid1(node)
        return tree.with_variable(MARK, fault, pid1) if pid1 else []

    def read(self, node: str, path: str) -> bytes:
        """A file as the node sees it. Raises OSError."""
        fd = open_in_root(os.fspath(self.lab.root_path(node)), path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def inode(self, node: str, path: str) -> int:
        """Which file or folder stands at a path of the node; 0 for none."""
        try:
            fd = open_in_root(os.fspath(self.lab.root_path(node)), path, os.O_PATH)
        except OSError:
            return 0
        try:
            return os.fstat(fd).st_ino
        finally:
            os.close(fd)

    def in_network(self, node: str, action: Callable[[], T]) -> T:
        """Run a function in a thread that stands in the node's network: its sockets are the node's.

        Raises whatever the function raises.
        """
        path = network.namespace_path(node_namespace(self.lab.topology.lab_id, node))
        answers: list[T] = []
        troubles: list[BaseException] = []

        def work() -> None:
            try:
                syscalls.enter_namespace(str(path), syscalls.CLONE_NEWNET)
                answers.append(action())
            except BaseException as trouble:
                troubles.append(trouble)

        thread = threading.Thread(target=work, name=f"in-{node}")
        thread.start()
        thread.join()
        if troubles:
            raise troubles[0]
        return answers[0]

    def nft(self, node: str, text: str) -> None:
        """Load rules into the node's own network. Raises LabError."""
        namespace = node_namespace(self.lab.topology.lab_id, node)
        Commands().run("ip", "netns", "exec", namespace, "nft", "-f", "-", text=text)

    def unnft(self, node: str, table: str) -> None:
        """Remove a table ("ip name") from the node's own network; safe to repeat, also when the node is off."""
        if network.namespace_exists(node_namespace(self.lab.topology.lab_id, node)):
            self.nft(node, f"add table {table}\ndelete table {table}\n")

    # --- what the node's own programs say ------------------------------------------------------------------------

    def supervisor(self, node: str, method: str, *words: object, timeout: float = _SECONDS) -> Any:
        """Ask the node's supervisord. Raises OSError or xmlrpc.client.Error."""
        transport = _Unix(self._socket(node, _SUPERVISOR), timeout)
        try:
            proxy = xmlrpc.client.ServerProxy("http://node/RPC2", transport=transport)
            return getattr(proxy.supervisor, method)(*words)
        finally:
            transport.close()

    def programs(self, node: str) -> Mapping[str, int]:
        """Programs that supervisord runs on the node, with their numbers inside the node (0: not running).

        Where it does not answer (a fault before this one may have stopped it), what it said last. Raises OSError.
        """
        try:
            rows = cast(list[dict[str, Any]], self.supervisor(node, "getAllProcessInfo"))
        except OSError:
            if node not in self.known:
                raise
            return self.known[node]
        self.known[node] = {str(row["name"]): int(row["pid"]) for row in rows}
        return self.known[node]

    def snapshot(self, node: str) -> Mapping[str, Any]:
        """What the node's agent says of it. Raises OSError or ValueError."""
        connection = http.client.HTTPConnection("agent", timeout=_SECONDS)
        connection.sock = self._socket(node, _AGENT)(_SECONDS)
        try:
            connection.request("GET", "/snapshot", headers={"Connection": "close"})
            found: Mapping[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def process(self, node: str, program: str) -> Process:
        """The main process of a program. Raises InputError drill.program for one that does not run there.

        "haproxy" and "keepalived" are the guards' children, "haproxy-guard" and "keepalived-guard" the guards,
        "supervisord" the node's PID 1.
        """
        pid1 = self.lab.pid1(node)
        if pid1 is None:
            raise LabError("lab.node-off", f"node {node} is off")
        found = tree.find(pid1, self._inner(node, program))
        if found is None:
            raise InputError("drill.program", f"program {program} does not run on {node}")
        return found

    def admin_socket(self, node: str, path: str) -> int:
        """A descriptor that stands for a unix socket of the node: connect to /proc/self/fd/N, then close it."""
        return open_in_root(os.fspath(self.lab.root_path(node)), path, os.O_PATH)

    def _inner(self, node: str, program: str) -> int:
        if program == "supervisord":
            return 1
        if program in _GUARDED:
            try:
                return int(json.loads(self.read(node, f"{_GUARD}/{program}.json"))["child_pid"] or 0)
            except (OSError, ValueError, KeyError):
                raise InputError("drill.program", f"no guard of {program} runs on {node}") from None
        name = program.removesuffix("-guard")
        programs = self.programs(node)
        if name not in programs or (name != program and name not in _GUARDED):
            raise InputError("drill.program", f"no program {program} on {node}; there are {', '.join(programs)}")
        return programs[name]

    def _socket(self, node: str, path: str) -> Callable[[float], socket.socket]:
        def connect(timeout: float) -> socket.socket:
            fd = self.admin_socket(node, path)
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.settimeout(timeout)
                sock.connect(f"/proc/self/fd/{fd}")
            except OSError:
                sock.close()
                raise
            finally:
                os.close(fd)
            return sock

        return connect


class _Unix(xmlrpc.client.Transport):
    """XML-RPC over a connected unix socket."""

    def __init__(self, connect: Callable[[float], socket.socket], timeout: float) -> None:
        super().__init__()
        self._connect = connect
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("node", timeout=self._timeout)
        connection.sock = self._connect(self._timeout)
        # Where the base class looks for what its close() has to close.
        self._connection = host, connection
        return connection


def carried(pid1: int | None, addresses: Collection[str]) -> frozenset[str]:
    """Those of the addresses that are the own of the kernel of the node with this PID 1; none when it is off (None)."""
    try:
        text = Path(f"/proc/{pid1}/net/fib_trie").read_text(encoding="ascii") if pid1 else ""
    except OSError:
        return frozenset()
    # Asked twenty times a second: most nodes do not even know the addresses, and nothing needs to be parsed.
    known = [address for address in addresses if f"-- {address}\n" in text]
    return local_addresses(text).intersection(known) if known else frozenset()


def local_addresses(fib_trie: str) -> frozenset[str]:
    """Addresses that /proc/net/fib_trie calls the host's own."""
    found, last = set(), ""
    for line in fib_trie.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "|--":
            last = words[1]
        elif words[1:] == ["host", "LOCAL"]:
            found.add(last)
    return frozenset(found)
