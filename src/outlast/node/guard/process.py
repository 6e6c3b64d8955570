"""Child processes that outlive their guard: spawned, found again, watched by pidfd, read from /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Pulse:
    """A look at a process: state letter, times it slept by itself, nanoseconds it ran and waited for a processor."""

    state: str
    sleeps: int
    ran: int
    waited: int


class Child:
    """A process by pid and pidfd, whether or not it is a child of ours: a guard that died leaves its child serving."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when the process is gone."""
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.born = started_at(pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone is no error."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill_group(self) -> None:
        """SIGKILL the process and all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.send(signal.SIGKILL)

    def reap(self) -> str:
        """After its end: collect it, when it is ours, and say how it ended."""
        with suppress(ChildProcessError):
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
            if result is not None:
                exited = result.si_code == os.CLD_EXITED
                return f"exit status {result.si_status}" if exited else f"signal {result.si_status}"
        return "ended"

    def close(self) -> None:
        """Forget the process."""
        os.close(self.pidfd)


def spawn(argv: Sequence[str], env: Mapping[str, str], inherit: Sequence[int] = ()) -> Child:
    """Start a program in a process group of its own. Raises OSError when it cannot be started.

    Only `inherit` and the standard streams reach it: every other descriptor of the guard is closed on exec.
    """
    for number in inherit:
        os.set_inheritable(number, True)
    # A guard blocks no signal, but its interpreter ignores SIGPIPE: the child gets the defaults back.
    pid = os.posix_spawn(argv[0], list(argv), dict(env), setpgroup=0, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])
    return Child(pid)


def adopt(pid: object, born: object) -> Child | None:
    """The child that an earlier guard left behind, if that very process still runs."""
    if not isinstance(pid, int) or not isinstance(born, int) or pid <= 1:
        return None
    try:
        child = Child(pid)
    except OSError:
        return None
    if child.born == born and child.born:
        return child
    child.close()
    return None


def started_at(pid: int) -> int:
    """Start time in clock ticks since boot: with the pid it names a process for good. 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def state_of(pid: int) -> str:
    """State letter (R, S, D, T, t, Z), "" when the process is gone."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def prefer(pid: int, priority: int) -> None:
    """Give a process real-time scheduling (its own children go without); where that is refused, it goes on as it is."""
    if priority > 0:
        with suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def children_of(pid: int) -> tuple[int, ...]:
    """Pids of a process's children, oldest first."""
    try:
        return tuple(int(item) for item in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split())
    except OSError:
        return ()


def pulse(pid: int) -> Pulse:
    """Look at a process; all zero when it is gone."""
    try:
        status = (PROC / str(pid) / "status").read_text()
        ran, waited, _ = (PROC / str(pid) / "schedstat").read_text().split()
    except (OSError, ValueError):
        return Pulse("", 0, 0, 0)
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Pulse(fields["State"].split()[0], int(fields["voluntary_ctxt_switches"]), int(ran), int(waited))
