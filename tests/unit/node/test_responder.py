"""The responder's verdict and its manners on the wire."""

from __future__ import annotations

import socket
import threading
import time

import pytest

pytest.importorskip("pymysql")

from outlast.node.responder import Member, Responder, answer, listen, verdict

GOOD = {
    "wsrep_cluster_status": "Primary",
    "wsrep_ready": "ON",
    "wsrep_local_state": "4",
    "wsrep_local_state_comment": "Synced",
}


@pytest.mark.parametrize(
    ("changes", "read_only", "donor_ok", "good"),
    [
        ({}, False, False, True),
        ({}, True, False, False),
        ({"wsrep_ready": "OFF"}, False, False, False),
        ({"wsrep_cluster_status": "non-Primary"}, False, False, False),
        ({"wsrep_local_state": "2"}, False, False, False),
        ({"wsrep_local_state": "2"}, False, True, True),
        ({"wsrep_local_state": "3"}, False, True, False),
    ],
)
def test_verdict(changes: dict[str, str], read_only: bool, donor_ok: bool, good: bool) -> None:
    assert verdict({**GOOD, **changes}, read_only, donor_ok)[0] is good


def test_no_galera_is_not_good() -> None:
    assert verdict({}, False, True) == (False, "cluster status is absent, not Primary")


def test_answer_carries_the_reason() -> None:
    assert answer(True, "Synced").startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer(False, "read_only is ON").endswith(b"\r\n\r\nread_only is ON\n")


class Slow(Member):
    """Counts its questions and takes its time."""

    def __init__(self) -> None:
        super().__init__("/nowhere", False)
        self.asked = 0

    def ask(self) -> tuple[bool, str]:
        self.asked += 1
        time.sleep(0.2)
        return True, f"answer {self.asked}"


def test_questions_that_wait_share_one_query() -> None:
    listener, member = listen("127.0.0.1:0"), Slow()
    responder = Responder(listener, member)
    threading.Thread(target=lambda: [responder.turn() for _ in range(60)], daemon=True).start()
    port = listener.getsockname()[1]

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), 3)

    idle, first = connect(), connect()
    first.sendall(b"GET / HTTP/1.1\r\n\r\n")
    time.sleep(0.1)
    rest = [connect() for _ in range(5)]
    for sock in rest:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    bodies = [sock.recv(4096).rpartition(b"\r\n")[2] for sock in (first, *rest)]
    assert bodies[0] == b"answer 1\n" and member.asked <= 3
    # None of them got the answer to a question older than its own.
    assert b"answer 1\n" not in bodies[1:]
    for sock in (idle, first, *rest):
        sock.close()
