"""Running a program of this machine and taking its output, for the backends that need no network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from outlast.errors import RemoteError
from outlast.spec.command import Output

PATH = "/opt/outlast/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


async def run_process(
    argv: Sequence[str], *, prefix: Sequence[str] = (), env: Mapping[str, str], timeout: float, input: bytes | None
) -> Output:
    """Run `prefix + argv` in a process group of its own, so that a time-out ends it with all its children."""
    try:
        child = await asyncio.create_subprocess_exec(
            *prefix,
            *argv,
            stdin=asyncio.subprocess.DEVNULL if input is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, OSError) as error:
        raise RemoteError("remote.no-command", f"{argv[0]}: {error.strerror}") from None
    try:
        stdout, stderr = await asyncio.wait_for(child.communicate(input), timeout)
    except TimeoutError:
        raise RemoteError("remote.timeout", f"{argv[0]}: no end after {timeout:g} s") from None
    finally:
        await _end(child)
    status = child.returncode or 0
    return Output(tuple(argv), 128 - status if status < 0 else status, stdout, stderr)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Leave no process behind, whatever ended the wait."""
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    # Drains the pipes as well; a grandchild that left the group may hold them, and must not hold us.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.wait(), 5)
    transport = getattr(child, "_transport", None)
    if transport is not None:
        transport.close()
