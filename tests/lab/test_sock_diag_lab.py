"""Connections that the kernel ends on demand (SOCK_DESTROY needs root): real ones, over loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from outlast.node import secluded, vanished
from outlast.node.guard.sessions import reset_connections

pytestmark = pytest.mark.lab

Pair = tuple[socket.socket, socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Two servers on addresses of their own, each with a client: (client, accepted, listener)."""
    found = []
    for address in ("127.0.0.11", "127.0.0.12"):
        listener = socket.create_server((address, 0))
        client = socket.create_connection(listener.getsockname(), 5)
        accepted, _ = listener.accept()
        found.append((client, accepted, listener))
    yield found
    for pair in found:
        for one in pair:
            one.close()


def port(pair: Pair) -> int:
    return int(pair[2].getsockname()[1])


def is_dead(sock: socket.socket) -> bool:
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b""
    except (ConnectionError, BrokenPipeError):
        return True
    except TimeoutError:
        return False


def test_connections_to_one_member_are_ended(pairs: list[Pair]) -> None:
    for client, _, _ in pairs:
        client.settimeout(0.3)
    assert vanished.end("127.0.0.11", (port(pairs[1]),)) == 0, "another port"
    assert vanished.end("127.0.0.11", (port(pairs[0]), port(pairs[1]))) == 1
    assert is_dead(pairs[0][0])
    assert not is_dead(pairs[1][0])


def test_connections_from_one_that_vanished_are_ended() -> None:
    # The vanished one is the client here: its address is the other end of what the listener accepted.
    with (
        socket.create_server(("127.0.0.11", 0)) as listener,
        socket.create_connection(listener.getsockname(), 5, source_address=("127.0.0.13", 0)) as client,
    ):
        accepted, _ = listener.accept()
        accepted.settimeout(0.3)
        with accepted:
            assert vanished.end("127.0.0.13", (client.getsockname()[1] + 1,)) == 0
            # Over loopback both ends are here, and either reset ends the other one too.
            assert vanished.end("127.0.0.13", (listener.getsockname()[1],)) == 1
            assert is_dead(accepted)


def test_clients_from_elsewhere_are_turned_away_and_own_ones_stay() -> None:
    with (
        socket.create_server(("127.0.0.11", 0)) as listener,
        socket.create_connection(listener.getsockname(), 5, source_address=("127.0.0.13", 0)) as away,
        socket.create_connection(listener.getsockname(), 5, source_address=("127.0.0.11", 0)) as own,
    ):
        pair = [listener.accept()[0] for _ in range(2)]
        for one in (away, own):
            one.settimeout(0.3)
        assert secluded.turn_away("127.0.0.12", (listener.getsockname()[1],)) == 0, "another address"
        assert secluded.turn_away("127.0.0.11", (listener.getsockname()[1],)) == 1
        assert is_dead(away)
        assert not is_dead(own)
        # The listener itself lives.
        socket.create_connection(listener.getsockname(), 5).close()
        for one in pair:
            one.close()


def test_connections_of_an_address_that_leaves_are_ended(pairs: list[Pair]) -> None:
    for client, _, _ in pairs:
        client.settimeout(0.3)
    assert reset_connections(["127.0.0.12"]) == 1
    assert is_dead(pairs[1][0])
    assert not is_dead(pairs[0][0])


def test_one_that_is_still_connecting_fails_at_once() -> None:
    """A member without power takes no connection and refuses none: 127.0.0.13 stands for it with a full queue."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.13", 0))
        listener.listen(0)
        where = listener.getsockname()
        waiting = [opened.enter_context(socket.socket()) for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(where)
        assert vanished.end("127.0.0.13", (where[1],)) == 4
        errors = {client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for client in waiting}
    assert 0 not in errors
