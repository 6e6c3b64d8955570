"""A node's disk: a sparse ext4 file on a loop device."""

from __future__ import annotations

import os
import time
from pathlib import Path

from outlast.lab import syscalls
from outlast.lab.commands import Commands

_FRESH = "lazy_itable_init=1,lazy_journal_init=1,assume_storage_prezeroed=1,nodiscard"
_POLL_SECONDS = 0.002


def make(commands: Commands, image: Path, mib: int) -> None:
    """Make the volume unless it is there; a half-made one never has the final name."""
    if image.exists():
        return
    draft = image.with_name(f"{image.name}.new")
    with open(draft, "wb") as target:
        target.truncate(mib * 1024 * 1024)
    commands.run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", _FRESH, str(draft))
    os.replace(draft, image)


def repair(commands: Commands, image: Path) -> None:
    """What replaying the journal at mount does not cure."""
    commands.succeeds("e2fsck", "-p", str(image))


def loops(folder: Path) -> dict[str, str]:
    """Attached loop devices whose file lies in `folder`: device -> file."""
    found = {}
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = entry.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if file.startswith(f"{folder}/"):
            found[f"/dev/{entry.parent.parent.name}"] = file
    return found


def cut_off(image: Path) -> None:
    """What is not on the volume now is lost; nothing more gets there."""
    for device in _devices(image):
        syscalls.shut_down_ext4(device)


def freeze(image: Path) -> bool:
    """Writes to the volume wait from now on; False when it is not mounted. Repeating it changes nothing."""
    devices = _devices(image)
    for device in devices:
        syscalls.freeze_ext4(device)
    return bool(devices)


def thaw(image: Path) -> bool:
    """What `freeze` did is over; False where nothing was frozen."""
    return any([syscalls.thaw_ext4(device) for device in _devices(image)])


def is_frozen(image: Path) -> bool:
    """Asked by freezing: the kernel tells it nobody otherwise."""
    for device in _devices(image):
        if syscalls.freeze_ext4(device):
            syscalls.thaw_ext4(device)
            return False
        return True
    return False


def _devices(image: Path) -> list[str]:
    return [device for device, file in loops(image.parent).items() if file == str(image)]


def wait_released(folder: Path, seconds: float) -> dict[str, str]:
    """Wait until the kernel has unmounted and freed all of the folder's devices; returns what it has not."""
    deadline = time.monotonic() + seconds
    while held := loops(folder):
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return held
