"""A request that stays unread hastens the question, one that is read does not: real connections, the kernel's list."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from member_views import MEMBER

from outlast.node.unread import Unread, unread, waits
from outlast.spec.probe import Probe
from outlast.spec.program import Program


class Served:
    """A connection whose far end reads when it is told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.client = socket.create_connection(("127.0.0.1", self.port))
        self.server, _ = self.listener.accept()


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served()
    yield found
    for one in (found.client, found.server, found.listener):
        one.close()


def watcher(port: int, disposable: bool = True) -> tuple[Unread, list[Probe]]:
    asked: list[Probe] = []
    found = Unread(asked.append)
    program = replace(Program("cache", ("cache",)), disposable=disposable)
    probe = Probe("memcached", "127.0.0.1", port, program="cache")
    found.adopt([replace(MEMBER, programs=(program,), probes=(probe,))])
    return found, asked


def test_what_waits_on_a_port(served: Served) -> None:
    assert not unread(served.port)
    served.client.sendall(b"version")
    assert len(unread(served.port)) == 1
    served.server.recv(100)
    assert not unread(served.port)


def test_whether_anybody_waits_for_a_program(served: Served) -> None:
    probes = (Probe("memcached", "127.0.0.1", served.port, program="cache"), Probe("process", program="cache"))
    assert not waits(probes, "cache")
    served.client.sendall(b"get key")
    assert waits(probes, "cache") and not waits(probes, "another")


def test_it_is_asked_when_a_request_stays(served: Served) -> None:
    found, asked = watcher(served.port)
    assert not found.turn()
    served.client.sendall(b"get key")
    assert found.turn()
    assert not asked, "it may be on its way to it"
    assert found.turn()
    assert [probe.port for probe in asked] == [served.port]


def test_who_reads_between_two_looks_is_not_asked(served: Served) -> None:
    found, asked = watcher(served.port)
    for _ in range(3):
        served.client.sendall(b"get key")
        found.turn()
        served.server.recv(100)
        assert not found.turn()
    assert not asked


def test_only_programs_that_may_be_killed_lightly(served: Served) -> None:
    found, asked = watcher(served.port, disposable=False)
    served.client.sendall(b"get key")
    assert not found.turn()
    assert not found.turn()
    assert not asked
