"""Out of the balancers before a stop on purpose: no request is sent to a program that ends, none is cut short.

A file says that it leaves; its server then answers the balancers' checks with 404 (uWSGI by its own routes, Swift with
503). Files, not messages to the balancers: who does not hear of it, because it is cut off or being started, still sees
it at its next check, and nothing stays switched off when the agent that began dies.
"""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from outlast.spec.bundle import BundleMember
from outlast.spec.program import LEAVING, Leave, Program

LIMIT = 20.0
"""Seconds after the notice that requests in flight may take. One that takes longer (a large upload) is cut short."""

LOOK = 0.1
"""Seconds between two looks at the connections."""

FOLDER = Path(LEAVING)
TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"


def announced(member: BundleMember) -> bool:
    """Whether a program of the member is on the way out."""
    return any((FOLDER / program.name).exists() for program, _ in _leaving(member))


def announce(member: BundleMember) -> None:
    """Raises OSError."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for program, _ in _leaving(member):
        (FOLDER / program.name).touch()


def withdraw(member: BundleMember) -> None:
    """Its programs are meant to be asked again."""
    for program, _ in _leaving(member):
        (FOLDER / program.name).unlink(missing_ok=True)


async def leave(member: BundleMember) -> str:
    """Announces, waits until the balancers know and what they had sent is done; how it ended. Raises OSError."""
    announce(member)
    begun = time.monotonic()
    ways = [way for _, way in _leaving(member)]
    await asyncio.sleep(max(way.notice for way in ways))
    until = time.monotonic() + LIMIT
    while (count := _in_flight(ways)) and time.monotonic() < until:
        await asyncio.sleep(LOOK)
    took = time.monotonic() - begun
    if count:
        requests = "1 request" if count == 1 else f"{count} requests"
        return f"{member.service} still has {requests} after {took:.1f} s: cutting short"
    return f"{member.service} has left the balancers and has no request any more, after {took:.1f} s"


def _leaving(member: BundleMember) -> list[tuple[Program, Leave]]:
    return [(program, program.leave) for program in member.programs if program.leave]


def _in_flight(ways: list[Leave]) -> int:
    table = TABLE.read_text()
    return sum(connections(table, way.address, way.port) for way in ways)


def connections(table: str, address: str, port: int) -> int:
    """How many connections to an IPv4 address and port are established, from the text of /proc/net/tcp (proc(5))."""
    # The kernel prints the address as a number in the machine's own order of bytes.
    number = int.from_bytes(socket.inet_aton(address), "little")
    local = f"{number:08X}:{port:04X}"
    rows = (line.split() for line in table.splitlines()[1:])
    return sum(1 for row in rows if row[1] == local and row[3] == _ESTABLISHED)
