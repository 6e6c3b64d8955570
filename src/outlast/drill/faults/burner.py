"""Keeps a node busy. Runs inside the node by the system's Python: nothing but the standard library.

Words: cpu or disk, how many workers, seconds until they end by themselves, start of the names of files to write.
"""

import os
import sys
import time

BLOCK = b"\0" * 262144
BLOCKS = 64


def main() -> None:
    kind, workers, seconds, path = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    end = time.monotonic() + seconds
    for number in range(workers):
        if os.fork() == 0:
            become_own()
            if kind == "cpu":
                spin(end)
            else:
                write(end, f"{path}.{number}")
            os._exit(0)


def become_own() -> None:
    """Nobody waits for us, and we hold nobody's pipes."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)


def spin(end: float) -> None:
    while time.monotonic() < end:
        for _ in range(20000):
            pass


def write(end: float, path: str) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        while time.monotonic() < end:
            for block in range(BLOCKS):
                os.pwrite(file, BLOCK, block * len(BLOCK))
                os.fdatasync(file)
                if time.monotonic() > end:
                    break
    finally:
        os.unlink(path)


if __name__ == "__main__":
    main()
