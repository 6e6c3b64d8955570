"""Doors that put off new connections: real sockets on the loopback, no daemon."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from outlast.node.guard import bpf
from outlast.node.guard.doors import LEASE, NAME, Bell, Doors
from outlast.node.guard.settings import Listener

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
Held = dict[Listener, socket.socket]


@pytest.fixture
def held() -> Iterator[Held]:
    made: Held = {}
    for address in (HERE, ELSEWHERE):
        sock = socket.create_server((address, 0))
        made[Listener(address, address, int(sock.getsockname()[1]))] = sock
    yield made
    for sock in made.values():
        sock.close()


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    with closing(Doors(tmp_path)) as made:
        yield made


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    with closing(Bell(tmp_path)) as made:
        yield made


def lets_in(held: Held, address: str, seconds: float = 0.2) -> bool:
    [port] = [listener.port for listener in held if listener.address == address]
    try:
        socket.create_connection((address, port), seconds).close()
    except TimeoutError:
        return False
    return True


def test_a_closed_door_says_nothing_and_the_others_stay_open(doors: Doors, bell: Bell, held: Held) -> None:
    bell.say(frozenset([HERE]))
    assert doors.heard(held) == {HERE}
    assert not lets_in(held, HERE) and lets_in(held, ELSEWHERE)
    bell.say(frozenset([HERE]))
    assert not doors.heard(held)
    bell.say(frozenset())
    doors.heard(held)
    assert lets_in(held, HERE)


def test_who_was_put_off_is_let_in_at_his_second_try(doors: Doors, bell: Bell, held: Held) -> None:
    bell.say(frozenset([HERE]))
    doors.heard(held)
    [port] = [listener.port for listener in held if listener.address == HERE]
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex((HERE, port))
        bell.say(frozenset())
        doors.heard(held)
        _, writable, _ = select.select([], [client], [], 3.0)
        assert writable and client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_what_is_connected_goes_on(doors: Doors, bell: Bell, held: Held) -> None:
    [(listener, sock)] = [item for item in held.items() if item[0].address == HERE]
    with socket.create_connection((HERE, listener.port)) as client:
        peer, _ = sock.accept()
        bell.say(frozenset([HERE]))
        doors.heard(held)
        client.sendall(b"a")
        peer.settimeout(1.0)
        assert peer.recv(1) == b"a"
        peer.close()


def test_doors_open_by_themselves(doors: Doors, bell: Bell, held: Held) -> None:
    bell.say(frozenset([HERE]))
    doors.heard(held)
    doors.look(held)
    assert not lets_in(held, HERE, 0.05)
    time.sleep(LEASE)
    doors.look(held)
    assert lets_in(held, HERE)


def test_a_filter_that_an_earlier_guard_left_is_taken_away(doors: Doors, held: Held) -> None:
    for sock in held.values():
        bpf.attach(sock, bpf.NOTHING)
    doors.open(held)
    assert lets_in(held, HERE) and lets_in(held, ELSEWHERE)


def test_shut_for_good(doors: Doors, held: Held) -> None:
    doors.shut(held)
    doors.look(held)
    assert not lets_in(held, HERE) and not lets_in(held, ELSEWHERE)


@pytest.mark.parametrize("text", [b"", b"nonsense", b"7"])
def test_nonsense_changes_nothing(tmp_path: Path, doors: Doors, held: Held, text: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.sendto(text, str(tmp_path / NAME))
    assert not doors.heard(held) and lets_in(held, HERE)


def test_a_bell_that_nobody_hears(bell: Bell) -> None:
    bell.say(frozenset([HERE]))
