"""A round of Swift's replication begins when a node comes back, not when the pause happens to be over."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from outlast.node import swift_upkeep
from outlast.node.swift_upkeep import away, rest


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_who_accepts_no_connection_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here, gone = server.getsockname(), ("127.0.0.1", closed_port())
        assert away([here, gone]) == {gone}


def test_the_pause_ends_when_one_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift_upkeep, "LOOK", 0.02)
    place = ("127.0.0.1", closed_port())
    servers: list[socket.socket] = []
    thread = threading.Timer(0.2, lambda: servers.append(socket.create_server(place)))
    thread.start()
    begun = time.monotonic()
    assert rest(20.0, [place], frozenset([place])) == frozenset()
    assert time.monotonic() - begun < 10.0
    thread.join()
    servers[0].close()


def test_it_goes_on_for_as_long_as_nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swift_upkeep, "LOOK", 0.02)
    looks: list[int] = []
    answers = [frozenset({("a", 1)}), frozenset({("a", 1), ("b", 1)}), frozenset({("a", 1), ("b", 1)})]

    def seen(places: object) -> frozenset[tuple[str, int]]:
        looks.append(1)
        return answers[min(len(looks), len(answers)) - 1]

    monkeypatch.setattr(swift_upkeep, "away", seen)
    assert rest(0.2, [], frozenset({("a", 1)})) == answers[-1]
    assert len(looks) > 3
