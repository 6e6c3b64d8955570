"""Can this machine hold a lab? Everything is tried for real in a throw-away namespace before anything is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from outlast.errors import Problem
from outlast.lab.state import DEFAULT_HOME

_TOOLS = {
    "ip": "iproute2",
    "nft": "nftables",
    "ethtool": "ethtool",
    "mkfs.ext4": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "losetup": "mount",
    "mount": "mount",
}
_PATH = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"


@dataclass(frozen=True)
class _Ability:
    code: str
    sentence: str
    hint: str
    script: str


# Each script runs under sh -e in new mount, network, PID, UTS and IPC namespaces, in an empty directory on a tmpfs.
_ABILITIES = (
    _Ability("no-namespaces", "the kernel gives no new namespaces", "is this a restricted container?", "true"),
    _Ability(
        "no-overlay",
        "the kernel cannot mount overlay filesystems",
        "modprobe overlay",
        "mkdir lower upper work root; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root",
    ),
    _Ability(
        "no-veth", "the kernel has no veth links", "modprobe veth", "ip link add name left type veth peer name right"
    ),
    _Ability("no-bridge", "the kernel has no bridges", "modprobe bridge", "ip link add name switch type bridge"),
    _Ability(
        "no-nftables",
        "the kernel cannot filter on bridges with nftables",
        "modprobe nf_tables",
        "nft 'add table bridge t; add chain bridge t c { type filter hook forward priority 0; }'",
    ),
    _Ability("no-tun", "the kernel has no TUN device", "modprobe tun", "test -c /dev/net/tun"),
    _Ability(
        "no-loop",
        "the kernel cannot mount ext4 from a loop device",
        "modprobe loop ext4",
        "truncate -s 8M image; mkfs.ext4 -q -F image; mkdir root; mount -t ext4 -o loop image root",
    ),
)


def preflight(
    home: Path = DEFAULT_HOME, *, memory_mib: int = 1024, disk_mib: int = 2048, abilities: bool = True
) -> list[Problem]:
    """All that is in the way of a lab of this size; empty when nothing is."""
    if os.geteuid() != 0:
        return [Problem("lab.not-root", "a lab needs root: it makes namespaces and mounts", hint="use sudo")]
    problems = [*_missing_tools(), *_short_of_memory(memory_mib), *_short_of_disk(home, disk_mib)]
    if abilities and not any(problem.code == "lab.tool-missing" for problem in problems):
        problems += _missing_abilities()
    return problems


def _missing_tools() -> list[Problem]:
    return [
        Problem("lab.tool-missing", f"the program {tool} is not installed", hint=f"apt install {package}")
        for tool, package in _TOOLS.items()
        if shutil.which(tool, path=_PATH) is None
    ]


def _short_of_memory(wanted_mib: int) -> list[Problem]:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    if available >= wanted_mib:
        return []
    sentence = f"{available} MiB of memory are available, this lab needs about {wanted_mib} MiB"
    return [Problem("lab.memory", sentence, hint="stop other programs or make the lab smaller")]


def _short_of_disk(home: Path, wanted_mib: int) -> list[Problem]:
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free // 2**20
    if free >= wanted_mib:
        return []
    sentence = f"{free} MiB are free in {there}, this lab needs about {wanted_mib} MiB"
    return [Problem("lab.disk", sentence, hint="free some space or put the labs elsewhere")]


def _missing_abilities() -> list[Problem]:
    first, *rest = _ABILITIES
    if reason := _try(first.script):
        return [Problem(f"lab.{first.code}", f"{first.sentence}: {reason}", hint=first.hint)]
    with ThreadPoolExecutor(2) as pool:
        reasons = list(pool.map(lambda ability: _try(ability.script), rest))
    return [
        Problem(f"lab.{ability.code}", f"{ability.sentence}: {reason}", hint=ability.hint)
        for ability, reason in zip(rest, reasons, strict=True)
        if reason
    ]


def _try(script: str) -> str:
    """The last line of what went wrong, or nothing."""
    namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation=private"]
    with tempfile.TemporaryDirectory(prefix="outlast-preflight-") as folder:
        inside = f'mount -t tmpfs tmpfs "$0" && cd "$0" && {{ {script}; }}'
        done = subprocess.run(
            ["unshare", *namespaces, "sh", "-ec", inside, folder],
            capture_output=True,
            text=True,
            timeout=30,
            env={"PATH": _PATH, "LC_ALL": "C"},
        )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
