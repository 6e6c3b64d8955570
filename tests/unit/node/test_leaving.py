"""Out of the balancers: what the kernel's table says, and how long is waited, with real connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from member_views import MEMBER

from outlast.node import leaving
from outlast.spec.bundle import BundleMember
from outlast.spec.program import Leave, Program

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B00150A:1392 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B00150A:1392 0D00150A:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 0B00150A:1392 0C00150A:C351 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   3: 0B00150A:C352 0D00150A:1392 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   4: 0C00150A:1392 0D00150A:C353 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[BundleMember, socket.socket]]:
    """A member whose program listens here, and its listener."""
    monkeypatch.setattr(leaving, "FOLDER", tmp_path / "leaving")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        way = Leave("127.0.0.1", listener.getsockname()[1], 0.1)
        yield replace(MEMBER, programs=(Program("one", ("one",), leave=way), Program("two", ("two",)))), listener


def test_only_established_connections_to_the_very_port_count() -> None:
    assert leaving.connections(TABLE, "10.21.0.11", 5010) == 1, "not the listener, nor one that is over"
    assert leaving.connections(TABLE, "10.21.0.12", 5010) == 1
    assert leaving.connections(TABLE, "10.21.0.11", 5011) == 0
    assert leaving.connections(TABLE.splitlines()[0], "10.21.0.11", 5010) == 0


def test_the_file_is_there_while_it_leaves_and_names_only_who_does(served: tuple[BundleMember, socket.socket]) -> None:
    member, _ = served
    assert not leaving.announced(member)
    leaving.announce(member)
    assert leaving.announced(member)
    assert [path.name for path in leaving.FOLDER.iterdir()] == ["one"]
    leaving.withdraw(member)
    leaving.withdraw(member)
    assert not leaving.announced(member)


def test_a_request_in_flight_is_waited_for(served: tuple[BundleMember, socket.socket]) -> None:
    member, listener = served

    async def scene() -> tuple[bool, str]:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        leave = asyncio.create_task(leaving.leave(member))
        # Five times the notice: whoever did not look at connections would have ended.
        await asyncio.wait([leave], timeout=0.5)
        before = leave.done()
        assert leaving.announced(member)
        writer.close()
        listener.accept()[0].close()
        return before, await asyncio.wait_for(leave, 5)

    before, sentence = asyncio.run(scene())
    assert not before
    assert "no request any more" in sentence


def test_one_that_never_ends_is_cut_short_and_said(
    served: tuple[BundleMember, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    member, listener = served
    monkeypatch.setattr(leaving, "LIMIT", 0.3)
    with socket.create_connection(listener.getsockname()):
        sentence = asyncio.run(leaving.leave(member))
    assert "still has 1 request after" in sentence


def test_the_kernels_own_table_is_understood(served: tuple[BundleMember, socket.socket]) -> None:
    _, listener = served
    address, port = listener.getsockname()
    with socket.create_connection((address, port)), socket.create_connection((address, port)):
        assert leaving.connections(leaving.TABLE.read_text(), address, port) == 2
    assert leaving.connections(leaving.TABLE.read_text(), address, port) == 0
