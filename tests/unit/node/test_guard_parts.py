"""The guards' parts that need no daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from outlast.errors import InputError
from outlast.node.guard import sockets
from outlast.node.guard.check import check_balancer
from outlast.node.guard.decide import Limits
from outlast.node.guard.heartbeat import answer_of
from outlast.node.guard.journal import Journal, write_atomically
from outlast.node.guard.process import adopt, pulse, spawn, started_at, state_of
from outlast.node.guard.router import parse_fifo
from outlast.node.guard.settings import BalancerSettings, Listener, Single, read_balancer, read_router
from outlast.node.guard.writers import parse, roles

GOLDEN = Path(__file__).parents[2] / "golden/lab/c1/etc/outlast"
SETTINGS = BalancerSettings(
    name="haproxy", binary="/bin/true", file="/dev/null", alive="", admin="", track="", state="",
    listeners=(), singles=(), tcp_user_timeout=5.0, keepalive=(2, 1, 3), limits=Limits(), leave_seconds=0.0,
    stop_seconds=1.0,
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\n12", None),
        (b"HTTP/1.1 200 OK\r\n\r\n123\n", 123),
        (b"HTTP/1.1 503 No\r\n\r\n123\n", 0),
        (b"HTTP/1.1 200 OK\r\n\r\nhello\n", 0),
        (b"nonsense\r\n\r\n\n", 0),
    ],
)
def test_heartbeat_answers(raw: bytes, said: int | None) -> None:
    assert answer_of(raw) == said


def test_fifo_lines() -> None:
    text = 'INSTANCE "internal" MASTER 150\nGROUP "g" FAULT 0\nINSTANCE "external" MASTER_RX_LOWER_PRI 100\n'
    assert parse_fifo(text) == [("internal", "MASTER"), ("external", "MASTER_RX_LOWER_PRI")]


def test_writer_in_a_table() -> None:
    single = Single("galera", ("c1", "c2", "c3"))
    assert parse(b"# table: galera\n0x1: key=1 use=0 exp=0 shard=0 server_id=2 server_key=c2\n", single) == "c2"
    assert parse(b"# table: galera, used:0\n", single) == ""
    assert parse(b"server_id=9", single) == ""


def test_remembered_writer_is_the_active_one() -> None:
    singles = (Single("galera", ("c1", "c-2")),)
    assert roles(singles, {"galera": "c-2"}) == {
        "OUTLAST_ROLE_GALERA_C1": "backup",
        "OUTLAST_ROLE_GALERA_C_2": "no-backup",
    }
    assert roles(singles, {"galera": "gone"})["OUTLAST_ROLE_GALERA_C1"] == "no-backup"


def test_sockets_survive_their_process_and_are_taken_over() -> None:
    listener = Listener("FD", "127.0.0.1", free_port())
    settings = replace(SETTINGS, listeners=(listener,))
    held = sockets.hold(settings, {})
    child = spawn((sys.executable, "-c", "import time; time.sleep(60)"), os.environ, [held[listener].fileno()])
    sockets.release(held.values())
    with socket.create_connection(("127.0.0.1", listener.port), 2):
        found = sockets.take_over(child, (listener,))
        assert found, "a guard that is started anew needs pidfd_getfd for this"
        child.kill_group()
        assert sockets.turn_away(found.values()) == 1
    with pytest.raises(OSError, match=str(listener.port)):
        sockets.hold(replace(settings, listeners=(Listener("B", "127.0.0.1", free_port()), listener)), {})
    assert found[listener].getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000
    sockets.release(found.values())
    time.sleep(0.05)
    child.reap()
    child.close()


def test_an_address_of_another_node_can_be_bound() -> None:
    listener = Listener("FD", "192.0.2.77", free_port())
    sockets.release(sockets.hold(replace(SETTINGS, listeners=(listener,)), {}).values())


def test_adoption_wants_the_very_process() -> None:
    child = spawn((sys.executable, "-c", "import time; time.sleep(60)"), os.environ)
    try:
        again = adopt(child.pid, child.born)
        assert again is not None and again.pid == child.pid
        again.close()
        assert adopt(child.pid, child.born + 1) is None
        assert adopt(None, None) is None and adopt(2**22 + 1, 5) is None
        child.send(signal.SIGSTOP)
        time.sleep(0.1)
        assert state_of(child.pid) == "T" == pulse(child.pid).state
    finally:
        child.kill_group()
        os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
        assert child.reap() == "signal 9"
        child.close()
    assert started_at(child.pid) == 0 and pulse(child.pid).state == ""


def test_warnings_of_the_program_are_complaints(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_text(
        '#!/bin/sh\necho "[WARNING] http-check without httpchk, fd $FD"\necho Configuration file is valid\n'
    )
    program.chmod(0o755)
    settings = replace(SETTINGS, binary=str(program), listeners=(Listener("FD", "10.0.0.1", 1),))
    complaints = check_balancer(settings)
    assert len(complaints) == 1 and complaints[0].startswith("[WARNING]") and not complaints[0].endswith("fd ")
    assert check_balancer(replace(settings, binary="/bin/false")) == [
        "/bin/false refused its configuration with exit status 1"
    ]
    assert check_balancer(replace(settings, binary="/nowhere"))[0].startswith("/nowhere")


def test_journal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path / "guard", "haproxy")
    assert journal.last() == {}
    journal.publish({"child_pid": 7})
    journal.event("guard-died", "process 7 ended", pid=7)
    assert journal.last()["child_pid"] == 7 and journal.last()["guard_pid"] == os.getpid()
    assert json.loads(journal.events.read_text())["code"] == "guard-died"
    assert "guard-died" in capfd.readouterr().err
    assert not write_atomically(tmp_path / "absent" / "file", "text")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"listeners": 3}'])
def test_unreadable_settings_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "guard.json").write_text(content)
    with pytest.raises(InputError):
        read_balancer(tmp_path / "guard.json")


def with_news(found: object) -> object:
    """The same with one more key at every level."""
    if isinstance(found, dict):
        return {**{key: with_news(value) for key, value in found.items()}, "news": 1}
    return [with_news(item) for item in found] if isinstance(found, list) else found


@pytest.mark.parametrize(("name", "read"), [("haproxy", read_balancer), ("keepalived", read_router)])
def test_settings_of_newer_code_do_not_stop_a_reload(tmp_path: Path, name: str, read: Callable[[Path], object]) -> None:
    rendered = GOLDEN / f"guard-{name}.json"
    newer = with_news(json.loads(rendered.read_text()))
    assert isinstance(newer, dict)
    for network in newer.get("networks", ()):
        del network["peers"]["news"]  # names of nodes, no keys
    (tmp_path / "guard.json").write_text(json.dumps(newer))
    assert read(tmp_path / "guard.json") == read(rendered)


def test_guard_words(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "outlast.node", "guard", "haproxy", "--config", str(tmp_path / "absent"), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "guard-settings" in done.stderr
