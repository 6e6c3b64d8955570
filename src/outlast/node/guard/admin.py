"""HAProxy's admin socket: one command, one answer."""

from __future__ import annotations

import socket

SECONDS = 0.2


def ask(path: str, command: str) -> bytes:
    """What HAProxy answers. Raises OSError when it does not within SECONDS."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        sock.connect(path)
        sock.sendall(f"{command}\n".encode())
        answer = b""
        while part := sock.recv(16384):
            answer += part
    return answer
