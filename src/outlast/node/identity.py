"""Who and where this node is right now: its boot, the code on its disk, the virtual addresses it carries."""

from __future__ import annotations

import os
from pathlib import Path

from outlast.node import disk


def held(vips: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the cluster's VIPs this node carries now, from the kernel's table of local addresses."""
    try:
        table = Path("/proc/net/fib_trie").read_text()
    except OSError:
        return ()
    words = set(table.split())
    return tuple(vip for vip in vips if vip in words)


def code_digest() -> str:
    """Digest of the code on disk: the target of the `code` link (the agent leaves when it changes)."""
    try:
        return os.readlink(disk.CODE).rsplit("-", 1)[-1]
    except OSError:
        return ""


def boot_id() -> str:
    """Identity of this boot of the node: PID 1's start time (a lab node shares its kernel's boot id with the host)."""
    return Path("/proc/1/stat").read_text().rsplit(")", 1)[1].split()[19]
