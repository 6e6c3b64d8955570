"""What on this machine belongs to a lab, found by its mark, and its removal.

Files may be lost or half-written, a creator may have been killed: what counts is what is really there.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from outlast.lab import network, processes, volumes
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.state import LabPlace, locked, place

_ROUNDS = 3
_SECONDS = 20


@dataclass(frozen=True)
class Removed:
    """What `destroy` took away."""

    processes: int
    namespaces: tuple[str, ...]
    links: tuple[str, ...]
    loops: tuple[str, ...]
    mounts: tuple[str, ...]
    files: tuple[str, ...]


def destroy(state_dir: Path) -> Removed:
    """Remove everything of the lab, whole, half-built or crashed; nothing of anything else. Safe to repeat."""
    where = place(state_dir)
    with contextlib.ExitStack() as stack:
        locks: tuple[int, ...] = ()
        if where.state_dir.is_dir():
            _check_is_lab(where)
            locks = (stack.enter_context(locked(where.state_dir)),)
        removed = _remove(Commands(locks), where)
    if left := leftovers(state_dir):
        raise LabError("lab.leftovers", f"lab {where.lab} could not be removed whole: {'; '.join(left)}")
    return removed


def leftovers(state_dir: Path) -> list[str]:
    """Everything on the machine that still carries the lab's mark, one line each."""
    where = place(state_dir)
    namespaces = network.marked_namespaces(where.lab_id)
    return [
        *(f"process {found.pid}" for found in _processes(where)),
        *(f"network namespace {name}" for name in namespaces),
        *(f"link {name}" for name in network.host_links(Commands(), where.lab_id)),
        *(f"loop device {device} on {file}" for device, file in sorted(volumes.loops(where.state_dir).items())),
        *(f"mount {target}" for target in _mounts(where)),
        *([f"files in {where.state_dir}"] if where.state_dir.exists() else []),
    ]


def _check_is_lab(where: LabPlace) -> None:
    """A folder that a lab never made is not ours to delete, whatever path was given."""
    strangers = {entry.name for entry in where.state_dir.iterdir()} - {
        "lock",
        "nodes",
        "topology.json",
        "topology.json.new",
    }
    if strangers:
        shown = ", ".join(sorted(strangers)[:3])
        raise LabError(
            "lab.not-found", f"{where.state_dir} is not a lab's folder: it holds {shown}; nothing was removed"
        )


def _remove(commands: Commands, where: LabPlace) -> Removed:
    killed = 0
    for _ in range(_ROUNDS):
        found = _processes(where)
        killed += len(found)
        if not found:
            break
        processes.kill(found, _SECONDS)
    links = network.host_links(commands, where.lab_id)
    for link in links:
        commands.run("ip", "link", "del", link)
    namespaces = network.marked_namespaces(where.lab_id)
    for name in namespaces:
        network.delete_namespace(commands, name)
    mounts = _mounts(where)
    for target in reversed(mounts):
        commands.succeeds("umount", "-l", target)
    loops = volumes.loops(where.state_dir)
    for device in volumes.wait_released(where.state_dir, _SECONDS):
        commands.succeeds("losetup", "-d", device)
    files = [str(entry) for entry in sorted((where.state_dir / "nodes").glob("*"))]
    if where.state_dir.exists():
        _remove_files(where)
    return Removed(killed, tuple(namespaces), tuple(links), tuple(sorted(loops)), tuple(mounts), tuple(files))


def _remove_files(where: LabPlace) -> None:
    """The lock goes last: as long as anything is left, the next destroy still finds a lab."""
    shutil.rmtree(where.state_dir / "nodes", ignore_errors=True)
    for name in ("topology.json.new", "topology.json", "lock"):
        (where.state_dir / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        where.state_dir.rmdir()


def _processes(where: LabPlace) -> list[processes.Process]:
    names = network.marked_namespaces(where.lab_id)
    namespaces = [network.namespace_path(name) for name in names if network.namespace_exists(name)]
    return processes.marked(where.lab_id, namespaces)


def _mounts(where: LabPlace) -> list[str]:
    """A lab mounts nothing in the host's namespace; somebody looking into a volume by hand does."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    targets = [line.split()[4] for line in lines]
    return [target for target in targets if target.startswith(f"{where.state_dir}/")]
