"""Processes with loaded libraries, from which a node's OpenStack programs are forked.

Two thirds of what it takes to start such a program is loading Python modules, the same ones in many programs. Here one
process loads what all use, forks one per project which loads what that project uses, and these wait for orders. A fork
takes over all that is loaded, and its memory too as long as nobody writes to it. Decision 0026.

Runs in OpenStack's own environment: ``python -P -m outlast.node.forkserver CONFIG``, where CONFIG is JSON: `folder` of
the sockets, `common` (modules), and `projects`, a list of [name, nice, modules]; the first is loaded before the others.

What is said on a project's socket (SOCK_SEQPACKET), by supervisord's plugin (outlast.lab.image.forks), in this order:

1. an order, JSON: argv (of a Python script), nice, environment, directory, umask; with it two open files, the program's
   input and output;
2. by the new process, its id. It is an orphan, so that the next reaper, supervisord, is its parent;
3. "go". Without it the process ends.

On the socket `status` the first process answers HTTP: 200 when all are loaded. If one of its children ends or is
stopped it ends, and all with it; who was forked lives on.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

STATUS = "status"
PATIENCE = 1.0
"""Seconds for who has connected to say something."""
_PR_SET_PDEATHSIG = 1

Order = dict[str, Any]


def main(config: dict[str, Any]) -> Order | None:
    """Loads and serves. Returns only in a process that was forked for an order, with it, or None when it must end."""
    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        left.unlink()  # whoever asks there would wait for nobody
    gc.disable()  # nothing that is loaded is garbage
    status = listen(folder, STATUS, socket.SOCK_STREAM)
    load("all projects", config["common"])
    children: dict[int, int] = {}
    loading: list[int] = []
    for name, nice, modules in config["projects"]:
        ready, tell = os.pipe()
        pid = os.fork()
        if not pid:
            status.close()
            for watched in (*loading, ready, *children.values()):
                os.close(watched)
            priority(nice)
            return project(folder, name, modules, tell)
        os.close(tell)
        children[pid] = os.pidfd_open(pid)
        loading.append(ready)
        if len(loading) == 1:  # what a starting node waits for; the others may load beside each other
            answer(status, children, "503 Loading", until=ready)
    for ready in loading:
        answer(status, children, "503 Loading", until=ready)
        os.close(ready)
    answer(status, children, "200 OK")
    return None


def answer(status: socket.socket, children: dict[int, int], says: str, until: int = -1) -> None:
    """Answers with `says` until the file is readable (or closed), or for ever; until a child is gone or stopped."""
    watched: list[Any] = [status, *children.values(), *([until] if until >= 0 else [])]
    while True:
        able = select.select(watched, [], [])[0]
        if any(child in able for child in children.values()) or (status in able and stopped(children)):
            raise SystemExit("a fork server has ended or was stopped; all begin anew")
        if status in able:
            reply(status, says)
        if until in able:
            return


def stopped(children: Iterable[int]) -> bool:
    """Whether the kernel has stopped any of them since this was last asked."""
    return any(os.WIFSTOPPED(os.waitpid(pid, os.WNOHANG | os.WUNTRACED)[1]) for pid in children)


def reply(status: socket.socket, says: str) -> None:
    """Answers one question on the status socket."""
    try:
        line, _ = status.accept()
        with line:
            line.settimeout(PATIENCE)
            line.recv(4096)
            line.sendall(f"HTTP/1.0 {says}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    except OSError:
        pass  # who asked has gone; it will ask again


def priority(nice: int) -> None:
    """Sets this process's niceness; who may not (a test without root) keeps its own."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def say(words: str) -> None:
    """Into the program's log."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def listen(folder: Path, name: str, kind: socket.SocketKind) -> socket.socket:
    """A listening socket for root alone."""
    path, hidden = folder / name, folder / f".{name}"
    line = socket.socket(socket.AF_UNIX, kind)
    line.bind(str(hidden))
    hidden.chmod(0o600)
    line.listen(16)
    hidden.rename(path)  # whoever sees it can connect
    return line


def load(whose: str, modules: Iterable[str]) -> None:
    """Imports the modules; "module:function" is called as well. What fails is said: then programs only start slower."""
    begun, cost = time.monotonic(), time.process_time()
    for module, _, function in (name.partition(":") for name in modules):
        try:
            loaded = importlib.import_module(module)
            if function:
                getattr(loaded, function)()
        except Exception as error:
            say(f"{whose}: {module} cannot be loaded: {error!r}")
    took, cost = time.monotonic() - begun, time.process_time() - cost
    say(f"{whose}: loaded in {took:.1f} s, {cost:.1f} s of processor time")


def project(folder: Path, name: str, modules: Iterable[str], tell: int) -> Order | None:
    """Loads what a project needs and forks for each order. Returns as `main` does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    load(name, modules)
    gc.collect()
    gc.enable()
    gc.freeze()  # no collection looks at what is there now, which would write to, and so copy, all of its memory
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        # A fork has one thread only, and perhaps locks that the others held.
        raise SystemExit(f"{name}: loading has started {threads - 1} threads, so nothing can be forked from it")
    priority(0)
    line = listen(folder, name, socket.SOCK_SEQPACKET)
    os.close(tell)
    while True:
        asker, _ = line.accept()
        with asker:
            order, files = heard(asker)
            if order:
                between = os.fork()
                if not between:
                    if os.fork():
                        os._exit(0)
                    line.close()
                    return order if agreed(asker, files) else None
                os.waitpid(between, 0)
            for file in files:
                os.close(file)


def heard(asker: socket.socket) -> tuple[Order, list[int]]:
    """An order and the files that came with it; {} if there was none."""
    asker.settimeout(PATIENCE)
    try:
        said, files, _, _ = socket.recv_fds(asker, 1 << 17, 2)
        order = json.loads(said)
    except (OSError, ValueError) as error:
        say(f"not understood: {error}")
        return {}, []
    return (order, files) if len(files) == 2 else ({}, files)


def agreed(asker: socket.socket, files: list[int]) -> bool:
    """In the new process: says its id, waits for "go", and takes its files for its own."""
    os.setpgid(0, 0)
    asker.settimeout(5 * PATIENCE)
    try:
        asker.send(str(os.getpid()).encode())
        if asker.recv(8) != b"go":
            return False
    except OSError:
        return False
    for number, file in ((0, files[0]), (1, files[1]), (2, files[1])):
        os.dup2(file, number)
    return True


def become(order: Order) -> None:
    """Runs the program as ``python SCRIPT …`` would, in this process."""
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    priority(order["nice"])
    os.chdir(order["directory"])
    if order["umask"] is not None:
        os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = list(order["argv"])
    title(sys.argv)
    # Our own code is not the program's; its own path is what it would have been.
    ours = [name for name in sys.modules if name.partition(".")[0] == "outlast"]
    for name in ours:
        del sys.modules[name]
    code = str(Path(__file__).resolve().parents[2])
    wanted = [Path(sys.argv[0]).parent.as_posix(), *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    sys.path[:] = [*wanted, *(path for path in sys.path if path not in (code, *wanted))]
    runpy.run_path(sys.argv[0], run_name="__main__")


def title(argv: list[str]) -> None:
    """What `ps` and /proc say of the process."""
    try:
        setproctitle = importlib.import_module("setproctitle")
    except ImportError:
        return
    setproctitle.setproctitle(" ".join(argv))
    setproctitle.setthreadtitle(Path(argv[0]).name[:15])


if __name__ == "__main__":
    if given := main(json.loads(Path(sys.argv[1]).read_text())):
        become(given)
