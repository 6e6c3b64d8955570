"""The agent's own files on the node: paths, atomic writes, and what it remembers across restarts and boots."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from outlast.spec.bundle import BundleFile
from outlast.spec.file import Directory

HOME = Path("/var/lib/outlast")
RUN = Path("/run/outlast")
BUNDLE = HOME / "bundle.json"
CODE = HOME / "code"
PERMITS = HOME / "permits"
EVENTS = HOME / "events.jsonl"
GUARDS = RUN / "guard"
SOCKET = RUN / "agent.sock"
PAUSE = HOME / "pause"


@dataclass(frozen=True)
class Memory:
    """What the agent remembers. `started`/`reloaded`: digest by service; `steps`: digests of steps done.

    `view`, `view_number`: the last primary component of the database that this node was part of.
    """

    started: dict[str, str] = field(default_factory=dict)
    reloaded: dict[str, str] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    view: tuple[str, ...] = ()
    view_number: int = -1

    def with_step(self, digest: str) -> Memory:
        return replace(self, steps=self.steps | {digest})


def load(path: Path) -> Memory:
    """The memory; empty where the file is missing or torn."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except (FileNotFoundError, msgspec.DecodeError):
        return Memory()


def save(path: Path, memory: Memory) -> None:
    """Durably."""
    write(path, msgspec.json.encode(memory), mode=0o600)


def write(
    path: Path, content: bytes, mode: int = 0o644, owner: str = "root", group: str = "root", *, durable: bool = True
) -> None:
    """Temp file and rename: a reader sees the old or the new content, never a mixture.

    `durable` adds fsync of file and folder, so that it holds after a power cut too. Files that the agent compares
    with its bundle anyway go without: dozens of fsyncs cost more seconds than all the rest of a first start.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The real file behind a link is replaced, so that packages' links (/etc/alternatives) stay links.
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.outlast")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchown(descriptor, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
        os.fchmod(descriptor, mode)
        file.flush()
        if durable:
            os.fsync(descriptor)
    os.replace(temporary, path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove(path: Path) -> None:
    """Durably; nothing where it is not there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def stale(files: Iterable[BundleFile]) -> tuple[str, ...]:
    """Paths that differ from the bundle in content, mode or owner; a `once` file only where it is absent."""
    return tuple(file.path for file in files if not _is_current(file))


def _is_current(file: BundleFile) -> bool:
    path = Path(file.path)
    try:
        status = path.stat()
        if file.once:
            return True
        owner = (pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid)
        if (status.st_uid, status.st_gid) != owner or status.st_mode & 0o7777 != file.mode:
            return False
        return path.read_bytes() == file.text.encode()
    except (OSError, KeyError):  # absent, unreadable, or of a user that is not there yet: writing it tells which
        return False


def paused() -> str:
    """Why the agent shall keep its hands off, "" where it need not. An empty file holds it back all the same."""
    try:
        return PAUSE.read_text(errors="replace").strip() or "no reason given"
    except FileNotFoundError:
        return ""


def ensure(directory: Directory) -> None:
    """The directory with its owner and mode; its content stays."""
    path = Path(directory.path)
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, pwd.getpwnam(directory.owner).pw_uid, grp.getgrnam(directory.group).gr_gid)
    path.chmod(directory.mode)
