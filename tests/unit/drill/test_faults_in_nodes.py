"""What faults run inside nodes, run here by the system's Python, on the loopback and in a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outlast.drill.faults import burner, liar
from outlast.drill.faults.answers import look
from outlast.drill.faults.hands import MARK, PYTHON
from outlast.lab import processes, tree

LIAR, BURNER = Path(liar.__file__), Path(burner.__file__)


def ours(mark: str) -> list[processes.Process]:
    return tree.with_variable(MARK, mark, os.getpid())


@contextmanager
def lying(way: str, seconds: float = 20) -> Iterator[int]:
    mark = f"test-{os.getpid()}-{way}"
    argv = [PYTHON, "-c", LIAR.read_text(), "0", way, str(seconds)]
    done = subprocess.run(argv, env={MARK: mark}, capture_output=True, text=True, timeout=20, check=True)
    try:
        yield int(done.stdout)
    finally:
        processes.kill(ours(mark))
        assert ours(mark) == []


@pytest.mark.parametrize("way", liar.WAYS)
def test_each_way_of_lying_shows(way: str) -> None:
    with lying(way) as port:
        assert look("127.0.0.1", port, 0.5) == way
        assert look("127.0.0.1", port, 0.5) == way


def test_a_posted_body_is_no_trouble() -> None:
    with lying("500") as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000)
        answer = b""
        while part := client.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b'{"error": "it does not work"}')


def test_the_liar_ends_by_itself() -> None:
    with lying("500", 0.3) as port:
        end = time.monotonic() + 10
        while look("127.0.0.1", port, 0.3):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_true_answer_is_no_lie() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert look("127.0.0.1", closed.getsockname()[1], 0.2) == ""


@pytest.mark.parametrize(("kind", "workers"), [("cpu", 2), ("disk", 1)])
def test_burners_are_busy_and_end_by_themselves(tmp_path: Path, kind: str, workers: int) -> None:
    mark = f"test-{os.getpid()}-{kind}"
    argv = [PYTHON, "-c", BURNER.read_text(), kind, str(workers), "0.6", str(tmp_path / "file")]
    subprocess.run(argv, env={MARK: mark}, capture_output=True, timeout=20, check=True)
    found = ours(mark)
    try:
        assert len(found) == workers
        end = time.monotonic() + 10
        while ours(mark):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert list(tmp_path.iterdir()) == []
    finally:
        processes.kill(found)


def test_a_tree_is_stopped_whole_and_woken() -> None:
    script = "import os, time\nfor _ in range(3): os.fork()\ntime.sleep(60)"
    parent = subprocess.Popen([PYTHON, "-c", script])
    try:
        root = processes.process(parent.pid)
        assert root is not None
        end = time.monotonic() + 10
        while len(tree.descendants(root)) < 8:
            assert time.monotonic() < end
            time.sleep(0.01)
        stopped = tree.stop_tree(root)
        assert stopped[0] == root and len(stopped) == 8
        while {one.state() for one in stopped} != {"T"}:
            assert time.monotonic() < end
        assert tree.send(stopped, signal.SIGCONT) == 8
        assert processes.kill(tree.stop_tree(root)) == []
        assert not any(one.is_alive() for one in stopped)
        assert tree.descendants(root) == []
    finally:
        parent.kill()
        parent.wait()


def test_a_process_knows_its_number_inside() -> None:
    me = processes.process(os.getpid())
    assert me is not None
    assert tree.inner_pid(os.getpid()) == os.getpid()
    assert tree.inner_pid(2**22 + 5) == 0
    assert tree.find(os.getpid(), os.getpid()) == me
