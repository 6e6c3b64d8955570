"""A plugin of supervisord: a program may be forked from a process that has loaded its libraries.

It is in the image, as ``outlast_forks`` in supervisord's environment, because supervisord starts before any bundle is
there; supervisord loads it as an "rpcinterface", its own way to load plugins (scripts/node.sh). Never imported here.

A program whose environment names a project in ``OUTLAST_FORK`` is asked of that project's fork server
(outlast.node.forkserver, which describes what is said). The process becomes supervisord's own child, as if it had been
executed: by being orphaned in a tree of which supervisord is the reaper. Whatever goes wrong, and for every other
program, there is the way that always works: fork and execute.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
from typing import Any

from supervisor.process import Subprocess

FOLDER = "/run/outlast/fork"
PATIENCE = 1.0
"""Seconds that supervisord, which does nothing else meanwhile, waits for a fork server."""
NICE = "/usr/bin/nice"
_PR_SET_CHILD_SUBREAPER = 36

_spawn = Subprocess.spawn
_spawning: list[Any] = []


def _remembered(process: Any) -> Any:
    """Subprocess.spawn, which lets `fork` know whom it is for."""
    _spawning.append(process)
    try:
        return _spawn(process)
    finally:
        _spawning.pop()


def make(supervisord: Any, folder: str = FOLDER, **_: str) -> object:
    """The factory that supervisord calls when it starts, and again when it is told to read everything anew."""
    options = supervisord.options
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Subprocess.spawn = _remembered

    def fork() -> int:
        process = _spawning[-1]
        name = (process.config.environment or {}).get("OUTLAST_FORK", "")
        if name and process.config.uid in (None, os.getuid()):
            try:
                return ask(f"{folder}/{name}", order(process), _files(process))
            except (OSError, ValueError) as error:
                options.logger.info(f"no fork of {process.config.name} from {name}, so it is executed: {error}")
        return os.fork()

    options.fork = fork
    return object()  # it answers no calls


def _files(process: Any) -> list[int]:
    """What becomes its standard input and its output (and errors: our sections redirect them)."""
    return [process.pipes["child_stdin"], process.pipes["child_stdout"]]


def order(process: Any) -> dict[str, Any]:
    """What a process must be told to become the program, as supervisord tells one that it executes."""
    argv = list(process.get_execv_args()[1])
    nice = 0
    if argv[:2] == [NICE, "-n"]:
        nice, argv = int(argv[2]), argv[3:]
    environment = {**os.environ, "SUPERVISOR_ENABLED": "1", "SUPERVISOR_PROCESS_NAME": process.config.name}
    if process.group:
        environment["SUPERVISOR_GROUP_NAME"] = process.group.config.name
    return {
        "argv": argv,
        "nice": nice,
        "environment": environment | dict(process.config.environment),
        "directory": process.config.directory or "/",
        "umask": process.config.umask,
    }


def ask(server: str, said: dict[str, Any], files: list[int]) -> int:
    """The process id of the program. Raises OSError or ValueError: then no process runs or will run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(PATIENCE)
        line.connect(server)
        socket.send_fds(line, [json.dumps(said).encode()], files)
        pid = int(line.recv(32))
        # Without this word it ends: one that answers too late must not run beside the one executed instead.
        line.send(b"go")
        return pid
