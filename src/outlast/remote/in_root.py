"""Opening a path as a node sees it, from outside: its absolute links must not lead into this machine."""

from __future__ import annotations

import ctypes
import os
import struct

# Its number is the same on every architecture; the C library has no name for it.
_SYS_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def open_in_root(root: str, path: str, flags: int) -> int:
    """Open `path` as a process with root directory `root` would."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened = int(_libc.syscall(_SYS_OPENAT2, directory, os.fsencode(path.lstrip("/") or "."), how, len(how)))
    finally:
        os.close(directory)
    if opened < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    return opened
