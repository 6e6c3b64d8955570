"""System calls that Python 3.11 does not offer. Nothing here knows about labs.

Imported by the boot program of every node: keep the imports few, they are paid once per node.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_NOATIME = 0x400
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

# Numbers of calls newer than 2018 are the same on every architecture.
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41}
_FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 1, 6

_LOOP_CONFIGURE, _LOOP_CTL_GET_FREE = 0x4C0A, 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
_EXT4_IOC_SHUTDOWN = 0x8004587D
_EXT4_GOING_FLAGS_NOLOGFLUSH = 2
_FIFREEZE, _FITHAW = 0xC0045877, 0xC0045878
_PR_CAPBSET_DROP = 24

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    _check("unshare", _libc.unshare(flags))


def enter_namespace(path: str, kind: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(f"enter {path}", _libc.setns(fd, kind))
    finally:
        os.close(fd)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(options))
    _check(f"mount {kind or 'bind'} on {target}", _libc.mount(*arguments))


def detach(target: str) -> None:
    _check(f"unmount {target}", _libc.umount2(os.fsencode(target), MNT_DETACH))


def pivot_into(root: str) -> None:
    """Make `root` the root of this mount namespace and let go of everything that was mounted before."""
    os.chdir(root)
    _check("pivot_root", _libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b"."))
    detach(".")
    os.chdir("/")


def drop_from_bounding_set(capability: int) -> None:
    if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) and ctypes.get_errno() != errno.EINVAL:
        _check(f"drop capability {capability}", -1)


def attach_loop(image: int) -> tuple[str, int]:
    """Attach an open file to a free loop device which frees itself after its last user.

    Returns the device's path and a descriptor that must stay open until the device is mounted.
    """
    info = struct.pack("=QQQQQIIII64s64s32sQQ", 0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, b"", b"", b"", 0, 0)
    configuration = struct.pack("=II", image, 0) + info + bytes(64)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(64):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, configuration)
            except OSError as error:
                os.close(device)
                # Somebody else was given the same free device and was faster.
                if error.errno != errno.EBUSY:
                    raise
            else:
                return path, device
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no free loop device")


def shut_down_ext4(device: str) -> None:
    """Cut a mounted ext4 off its device at once: what is not on the device now never gets there.

    A freeze ends with it: nobody could die while waiting for it.
    """
    with _mounted_ext4(device) as directory:
        fcntl.ioctl(directory, _EXT4_IOC_SHUTDOWN, struct.pack("=I", _EXT4_GOING_FLAGS_NOLOGFLUSH))
        _unless_busy(errno.EINVAL, directory, _FITHAW)


def freeze_ext4(device: str) -> bool:
    """Let every write to a mounted ext4 wait, from now until it is thawed; False when it was frozen before.

    What was written before is synced first, so the call takes as long as that.
    """
    with _mounted_ext4(device) as directory:
        return _unless_busy(errno.EBUSY, directory, _FIFREEZE)


def thaw_ext4(device: str) -> bool:
    """End a freeze; False when there was none. A superblock that stays frozen outlives its last user."""
    with _mounted_ext4(device) as directory:
        return _unless_busy(errno.EINVAL, directory, _FITHAW)


def _unless_busy(code: int, directory: int, request: int) -> bool:
    try:
        fcntl.ioctl(directory, request, 0)
    except OSError as error:
        if error.errno != code:
            raise
        return False
    return True


@contextlib.contextmanager
def _mounted_ext4(device: str) -> Iterator[int]:
    """The root of a mounted ext4, open.

    The filesystem need not be visible anywhere: a second, detached mount of the device reaches the same superblock.
    """
    context = _check("fsopen", _libc.syscall(_SYS_FSOPEN, b"ext4", 1))
    opened = [context]
    try:
        source = _libc.syscall(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, b"source", device.encode(), 0)
        _check(f"fsconfig {device}", source)
        _check(f"fsconfig {device}", _libc.syscall(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0))
        tree = _check(f"fsmount {device}", _libc.syscall(_SYS_FSMOUNT, context, 1, 0))
        opened.append(tree)
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
        opened.append(directory)
        yield directory
    finally:
        for fd in reversed(opened):
            os.close(fd)


def _check(what: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return int(result)
