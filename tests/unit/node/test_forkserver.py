"""A real supervisord with our plugin, a real fork server, and a program that says what became of it. No root needed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.lab.image import forks
from outlast.node.supervisor import Supervisor

SOURCE = Path(forks.__file__).parents[3]
HEAVY = """
from pathlib import Path
with (Path(__file__).parent / "loadings").open("a") as file:
    file.write("x")
"""
PROGRAM = """#!/usr/bin/env python3
import json, os, sys, time
loaded = "heavy" in sys.modules
import heavy
here = os.path.dirname(sys.argv[1])
row = {
    "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "loaded": loaded, "argv": sys.argv,
    "name": __name__, "who": os.environ.get("WHO"), "home": os.environ.get("SUPERVISOR_PROCESS_NAME"),
    "files": [n for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")],
    "ours": sorted(name for name in sys.modules if name.startswith("outlast")), "directory": os.getcwd(),
}
print("a word for the log", flush=True)
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(row) + "\\n")
while True:
    time.sleep(60)
"""
CONFIG = """
[supervisord]
nodaemon=true
logfile={here}/supervisord.log
pidfile={here}/supervisord.pid
[unix_http_server]
file={here}/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[rpcinterface:outlast_forks]
supervisor.rpcinterface_factory=outlast.lab.image.forks:make
folder={here}/fork
[program:forkserver]
command={python} -P -m outlast.node.forkserver {here}/forkserver.json
autorestart=true
startsecs=0
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={here}/forkserver.log
[program:forked]
command=/usr/bin/nice -n 0 {here}/program.py {here}/said one "two words"
environment=OUTLAST_FORK="project",WHO="me",PYTHONPATH="{here}"
directory={here}
autostart=false
autorestart=true
startsecs=0
stopasgroup=true
redirect_stderr=true
stdout_logfile={here}/forked.log
"""


def until(what: Callable[[], object], seconds: float = 20.0) -> object:
    """Waits until it is true, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


class Node:
    """A folder with one supervisord."""

    def __init__(self, here: Path) -> None:
        self.here = here
        (here / "heavy.py").write_text(HEAVY)
        script = here / "program.py"
        script.write_text(PROGRAM.replace("/usr/bin/env python3", sys.executable))
        script.chmod(0o755)
        config = {"folder": str(here / "fork"), "common": ["json"], "projects": [["project", 0, ["heavy", "absent"]]]}
        (here / "forkserver.json").write_text(json.dumps(config))
        (here / "supervisord.conf").write_text(CONFIG.format(here=here, python=sys.executable))
        env = {**os.environ, "PYTHONPATH": f"{SOURCE}:{here}"}
        argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(here / "supervisord.conf")]
        self.process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.supervisor = Supervisor(f"unix://{here}/s")
        until((here / "s").exists)
        until((here / "fork" / "project").exists)

    def said(self, rows: int) -> dict[str, object]:
        """What the program wrote at its start number `rows`."""
        file = self.here / "said"
        until(lambda: file.exists() and len(file.read_text().splitlines()) >= rows)
        row: dict[str, object] = json.loads(file.read_text().splitlines()[rows - 1])
        return row

    def loadings(self) -> int:
        return len((self.here / "loadings").read_text())

    def pid(self, program: str) -> int:
        return self.supervisor.states()[program].pid

    def state(self, program: str) -> str:
        return self.supervisor.states()[program].state

    def status(self) -> str:
        """The fork server's word about itself, "" when it says nothing."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(2)
                line.connect(str(self.here / "fork" / "status"))
                line.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return line.recv(100).decode().partition("\r\n")[0]
        except OSError:
            return ""

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        finally:
            self.process.kill()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.end()


def test_a_program_is_a_fork_and_supervisords_own_child(node: Node) -> None:
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    node.supervisor.start("forked")
    said = node.said(1)
    assert said["loaded"] is True
    assert node.loadings() == 1, "loaded by the fork server, and not again"
    assert said["pid"] == node.pid("forked") == said["group"]
    assert said["parent"] == node.process.pid
    assert said["argv"] == [f"{node.here}/program.py", f"{node.here}/said", "one", "two words"]
    assert (said["name"], said["who"], said["home"]) == ("__main__", "me", "forked")
    assert said["directory"] == str(node.here)
    assert said["ours"] == [], "nothing of ours is left in it"
    assert said["files"] == [], "no file of the fork server is left in it"
    until(lambda: "a word for the log" in (node.here / "forked.log").read_text())
    assert "absent cannot be loaded" in (node.here / "forkserver.log").read_text()


def test_it_is_restarted_and_stopped_like_any_other(node: Node) -> None:
    node.supervisor.start("forked")
    first = node.said(1)
    os.kill(int(str(first["pid"])), signal.SIGKILL)
    second = node.said(2)
    assert second["pid"] != first["pid"] and second["loaded"] is True
    node.supervisor.stop("forked")
    until(lambda: node.state("forked") == "STOPPED")
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(second["pid"])), 0)


def test_it_outlives_its_fork_server_and_starts_without_one(node: Node) -> None:
    node.supervisor.start("forked")
    first = node.said(1)
    node.supervisor.stop("forkserver")
    until(lambda: node.state("forkserver") == "STOPPED")
    assert node.pid("forked") == first["pid"]
    os.kill(int(str(first["pid"])), signal.SIGKILL)
    second = node.said(2)
    assert second["loaded"] is False and second["parent"] == node.process.pid
    assert second["argv"] == first["argv"] and second["who"] == "me"
    node.supervisor.start("forkserver")
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    os.kill(int(str(second["pid"])), signal.SIGKILL)
    assert node.said(3)["loaded"] is True


def test_a_hung_fork_server_holds_nobody_up_and_starts_nothing_later(node: Node) -> None:
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    group = node.pid("forkserver")
    os.killpg(group, signal.SIGSTOP)
    node.supervisor.start("forked")
    assert node.said(1)["loaded"] is False
    os.killpg(group, signal.SIGCONT)
    # Served after the order that nobody waits for any more.
    read, write = os.pipe()
    with pytest.raises(ValueError):
        forks.ask(f"{node.here}/fork/project", {}, [read])  # one file instead of two: refused
    os.close(read)
    os.close(write)
    assert len((node.here / "said").read_text().splitlines()) == 1


def test_a_stopped_part_is_noticed_and_all_begin_anew(node: Node) -> None:
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    before = node.pid("forkserver")
    children = Path(f"/proc/{before}/task/{before}/children").read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGSTOP)
    # Asked as the agent does, again and again: a stop takes effect a moment after the signal.
    until(lambda: node.status() != "HTTP/1.0 200 OK" or node.pid("forkserver") != before)
    until(lambda: node.pid("forkserver") not in (0, before))
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    node.supervisor.start("forked")
    assert node.said(1)["loaded"] is True


def test_who_does_not_say_go_gets_no_program(node: Node) -> None:
    until(lambda: node.status() == "HTTP/1.0 200 OK")
    script = [f"{node.here}/program.py", f"{node.here}/said"]
    said = {"argv": script, "nice": 0, "environment": {}, "directory": "/", "umask": None}
    null = os.open(os.devnull, os.O_RDWR)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
        line.settimeout(5)
        line.connect(f"{node.here}/fork/project")
        socket.send_fds(line, [json.dumps(said).encode()], [null, null])
        pid = int(line.recv(32))
    os.close(null)
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert not (node.here / "said").exists()
