"""Answers wrongly. Runs inside a node by the system's Python: nothing but the standard library.

Words: port (0: any free one), way, seconds until it ends by itself. Prints its port once it listens, then goes on in
the background.
"""

import os
import signal
import socket
import sys
import threading

SIGN = "X-Outlast-Drill"
SOMEBODY_ELSES = b'{"release": "9.9", "status": "stable", "name": "something else altogether", "items": [1, 2, 3]}'
BROKEN = b'{"versions": {"values": [{"id": "v3.14", "status": "sta'
WAYS = ("500", "broken-body", "other-body", "cut", "stall")


def main() -> None:
    port, way, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(512)
    os.write(1, f"{server.getsockname()[1]}\n".encode())
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        client, _ = server.accept()
        threading.Thread(target=lie, args=(client, way), daemon=True).start()


def lie(client: socket.socket, way: str) -> None:
    try:
        client.settimeout(30)
        asked = b""
        while b"\r\n\r\n" not in asked and len(asked) < 65536:
            part = client.recv(65536)
            if not part:
                return
            asked += part
        client.sendall(answer(way))
        if way == "stall":
            # Nothing more comes, until the asker has had enough of it.
            client.settimeout(None)
            while client.recv(65536):
                pass
        elif way != "cut":
            drain(client)
    except OSError:
        pass
    finally:
        client.close()


def drain(client: socket.socket) -> None:
    """What the asker still sends is read, so that closing does not reset what it has not read yet."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(1)
    while client.recv(65536):
        pass


def answer(way: str) -> bytes:
    status, body, length = "200 OK", SOMEBODY_ELSES, len(SOMEBODY_ELSES)
    if way == "500":
        status, body = "500 Internal Server Error", b'{"error": "it does not work"}'
        length = len(body)
    elif way == "broken-body":
        body, length = BROKEN, len(BROKEN)
    elif way == "cut":
        body, length = BROKEN, 4096
    elif way == "stall":
        body, length = b"", 4096
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{SIGN}: {way}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


if __name__ == "__main__":
    main()
