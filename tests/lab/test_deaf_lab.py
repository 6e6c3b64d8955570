"""A listener of another process that hears nothing for a while (needs root): real ones, over loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outlast.node import deaf

pytestmark = pytest.mark.lab

SERVER = """
import socket
server = socket.create_server(("127.0.0.21", 0))
print(server.getsockname()[1], flush=True)
while True:
    client, _ = server.accept()
    client.settimeout(10)
    client.sendall(b"heard " + client.recv(10))
"""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server in another process, which answers one client after the other."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield int(server.stdout.readline())
        server.kill()


@contextmanager
def calling(port: int, source: str) -> Iterator[socket.socket]:
    """Somebody who has connected and said hello."""
    with socket.create_connection(("127.0.0.21", port), 5, source_address=(source, 0)) as client:
        client.sendall(b"hello")
        yield client


def is_heard(port: int, source: str) -> bool:
    with calling(port, source) as client:
        client.settimeout(0.5)
        return client.recv(20) == b"heard hello"


def test_deaf_for_so_long_and_not_longer(port: int) -> None:
    assert deaf.deafen("127.0.0.21", port, 1.0) == 1
    began = time.monotonic()
    with calling(port, "127.0.0.22") as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(20)
        # Nobody takes the filter away: its time is over, and what was not heard is sent again by the kernel.
        client.settimeout(5)
        assert client.recv(20) == b"heard hello"
    assert time.monotonic() - began > 0.95
    assert is_heard(port, "127.0.0.22")


def test_what_comes_from_its_own_address_is_heard(port: int) -> None:
    assert deaf.deafen("127.0.0.21", port, 5.0) == 1
    assert is_heard(port, "127.0.0.21")


def test_it_can_be_ended_at_once(port: int) -> None:
    assert deaf.deafen("127.0.0.21", port, 60.0) == 1
    assert deaf.deafen("127.0.0.21", port, 0.0) == 1
    assert is_heard(port, "127.0.0.22")


def test_only_who_listens_there_is_meant(port: int) -> None:
    assert deaf.deafen("127.0.0.20", port, 5.0) == 0
    assert deaf.deafen("127.0.0.21", port + 1 if port < 65535 else port - 1, 5.0) == 0
    assert is_heard(port, "127.0.0.22")
