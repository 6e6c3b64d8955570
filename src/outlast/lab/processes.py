"""Whose process is it? Processes are known by pid *and* start time, so a recycled pid is never touched."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK_VARIABLE = "OUTLAST_LAB"

_PF_EXITING = 0x4


@dataclass(frozen=True)
class Process:
    pid: int
    started: int

    def is_alive(self) -> bool:
        """It still holds something: a zombie has given back all that a lab cares about."""
        seen = _stat(self.pid)
        return seen is not None and seen.started == self.started and seen.state not in "ZX"

    def state(self) -> str:
        """The kernel's letter (R, S, D, T for stopped, Z), "" when it is gone."""
        seen = _stat(self.pid)
        return seen.state if seen is not None and seen.started == self.started else ""

    def cpu_ticks(self) -> int:
        """Processor time used so far, in the kernel's ticks (100 a second); 0 when it is gone."""
        seen = _stat(self.pid)
        return seen.ticks if seen is not None and seen.started == self.started else 0

    def is_ending(self) -> bool:
        """A PID 1 on its way out kills all others of its namespace first, and waits for them: nobody may come in."""
        seen = _stat(self.pid)
        return seen is None or bool(seen.flags & _PF_EXITING)


@dataclass(frozen=True)
class _Stat:
    state: str
    flags: int
    started: int
    ticks: int


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process(pid: int) -> Process | None:
    seen = _stat(pid)
    return Process(pid, seen.started) if seen else None


def _stat(pid: int) -> _Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return _Stat(fields[0], int(fields[6]), int(fields[19]), int(fields[11]) + int(fields[12]))


@contextlib.contextmanager
def handle(target: Process) -> Iterator[int | None]:
    """A pidfd of exactly this process, or None if it is gone."""
    try:
        fd = os.pidfd_open(target.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # Compared after opening: the descriptor can no longer change its process, the number could before.
        yield fd if target.is_alive() else None
    finally:
        os.close(fd)


def wait_for_end(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(max(0, int(seconds * 1000))))


def kill(targets: Iterable[Process], seconds: float = 10) -> list[Process]:
    """SIGKILL all, then wait for all; returns those that would not go."""
    with contextlib.ExitStack() as stack:
        handles = [(target, stack.enter_context(handle(target))) for target in targets]
        living = [(target, fd) for target, fd in handles if fd is not None]
        for _, fd in living:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        deadline = time.monotonic() + seconds
        return [target for target, fd in living if not wait_for_end(fd, deadline - time.monotonic())]


def marked(lab_id: str, namespaces: Iterable[Path]) -> list[Process]:
    """Every process of the lab, found on the machine: by the mark in its environment or by its network namespace.

    Without the caller itself.
    """
    mark = f"{MARK_VARIABLE}={lab_id}".encode()
    inodes = {path.stat().st_ino for path in namespaces}
    return [found for pid in _pids() if _is_marked(pid, mark, inodes) and (found := process(pid)) and found.is_alive()]


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _is_marked(pid: int, mark: bytes, inodes: set[int]) -> bool:
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes:
            return True
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
