"""Programs inside a node, found and signalled from outside: no process is started for it, so it takes milliseconds.

A node's own numbers (`inner`) are those of its PID namespace; the machine has others.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

from outlast.lab import processes
from outlast.lab.processes import Process

_ROUNDS = 20


def descendants(root: Process) -> list[Process]:
    """The process and all below it, parents first. Empty when it is gone."""
    found, waiting = [], [root] if root.is_alive() else []
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        waiting += [child for pid in _children(one.pid) if (child := processes.process(pid)) and child.is_alive()]
    return found


def find(pid1: int, inner: int) -> Process | None:
    """The process that a node's own programs know by `inner`, among the descendants of the node's PID 1."""
    top = processes.process(pid1)
    if inner <= 0 or top is None:
        return None
    return next((one for one in descendants(top) if inner_pid(one.pid) == inner), None)


def inner_pid(pid: int) -> int:
    """A process's number in its innermost PID namespace, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[-1]) for line in status.splitlines() if line.startswith("NSpid:")), 0)


def stop_tree(root: Process) -> list[Process]:
    """SIGSTOP a process and all below it; returns them. Looked at again until nobody new is found: a parent that
    still ran may have forked between the look and the signal."""
    stopped: dict[Process, None] = {}
    for _ in range(_ROUNDS):
        fresh = [one for one in descendants(root) if one not in stopped]
        if not fresh:
            break
        send(fresh, signal.SIGSTOP)
        stopped |= dict.fromkeys(fresh)
    return list(stopped)


def send(targets: Iterable[Process], number: signal.Signals) -> int:
    """Signal exactly these processes; returns how many were still there."""
    count = 0
    for target in targets:
        with processes.handle(target) as pidfd:
            if pidfd is not None:
                try:
                    signal.pidfd_send_signal(pidfd, number)
                    count += 1
                except ProcessLookupError:
                    continue
    return count


def with_variable(name: str, value: str, pid1: int) -> list[Process]:
    """Processes of a node that were started with an environment variable, whoever is their parent now."""
    word = f"{name}={value}".encode()
    try:
        space = Path(f"/proc/{pid1}/ns/pid").stat().st_ino
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns/pid").stat().st_ino != space or word not in (entry / "environ").read_bytes().split(b"\0"):
                continue
        except OSError:
            continue
        if (one := processes.process(int(entry.name))) and one.is_alive():
            found.append(one)
    return found


def _children(pid: int) -> list[int]:
    """Listed by the thread that forked them."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found
