"""One question to a balancer over its unix socket, without ever waiting for the answer."""

from __future__ import annotations

import socket
from contextlib import suppress

QUESTION = b"GET /alive HTTP/1.0\r\n\r\n"


def answer_of(raw: bytes) -> int | None:
    """Pid in a whole good answer (status 200, the pid as body); 0 when it is bad; None when it is not whole yet."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    if not gap or not body.endswith(b"\n"):
        return None
    with suppress(IndexError, ValueError):
        if head.split()[1] == b"200":
            return int(body)
    return 0


class Heartbeat:
    """A question under way; `sock` is None between questions."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sock: socket.socket | None = None
        self._raw = b""

    def ask(self) -> bool:
        """Send the question; False when nobody listens."""
        self.drop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(self.path)
            sock.send(QUESTION)
        except OSError:
            sock.close()
            return False
        self.sock, self._raw = sock, b""
        return True

    def read(self) -> int | None:
        """After the socket became readable: the pid that answered, 0 for a bad answer, None when more is to come."""
        if self.sock is None:
            return 0
        try:
            part = self.sock.recv(4096)
        except BlockingIOError:
            return None
        except OSError:
            part = b""
        self._raw += part
        found = answer_of(self._raw)
        return 0 if found is None and not part else found

    def drop(self) -> None:
        """Forget the question under way."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None
