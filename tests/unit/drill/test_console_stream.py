"""The stream between two servers: what a guest's console says, as packets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from outlast.drill import console_stream
from outlast.drill.console_stream import INTERVAL, LOST_AFTER, ConsoleStream, Replies
from outlast.drill.faults.hands import Hands
from outlast.errors import RemoteError
from outlast.record.history import Packet

HEAD = "PING 192.168.77.5 (192.168.77.5): 56 data bytes"


def reply(number: int, milliseconds: float = 2.0) -> str:
    return f"64 bytes from 192.168.77.5: seq={number} ttl=64 time={milliseconds:.3f} ms"


def end(sent: int, received: int) -> str:
    return f"{sent} packets transmitted, {received} packets received, 0% packet loss"


def heard(replies: Replies, *lines: tuple[float, str]) -> list[Packet]:
    return [packet for at, line in lines for packet in replies.heard(line, at)]


def lost(packets: list[Packet]) -> list[int]:
    return [packet.seq for packet in packets if packet.received is None]


def test_an_answer_is_a_packet_and_its_round_trip_tells_when_it_left() -> None:
    found = heard(Replies("between"), (10.0, HEAD), (10.002, reply(0)), (10.052, reply(1)))
    assert [packet.seq for packet in found] == [0, 1]
    assert (found[0].stream, found[0].received) == ("between", 10.002)
    assert found[0].sent == pytest.approx(10.0) and found[1].sent == pytest.approx(10.05)


def test_a_number_that_is_passed_over_is_lost_once_it_is_overdue() -> None:
    replies = Replies("between")
    heard(replies, (10.0, HEAD), (10.002, reply(0)), (10.152, reply(3)))
    assert replies.overdue(10.15 - LOST_AFTER) == []
    gone = replies.overdue(10.15)
    assert lost(gone) == [1, 2]
    assert [packet.sent for packet in gone] == pytest.approx([10.05, 10.1])
    assert replies.overdue(99.0) == []


def test_an_answer_that_comes_late_is_no_loss_and_one_that_comes_twice_is_none_more() -> None:
    replies = Replies("between")
    heard(replies, (10.0, HEAD), (10.002, reply(0)), (10.102, reply(2)))
    late = heard(replies, (10.3, reply(1, 250.0)), (10.31, f"{reply(1, 260.0)} (DUP!)"))
    assert [(packet.seq, packet.received) for packet in late] == [(1, 10.3)]
    assert replies.overdue(99.0) == []


def test_the_end_of_a_round_tells_of_those_after_the_last_answer() -> None:
    """All but the last, whose answer may have been cut off."""
    found = heard(Replies("between"), (10.0, HEAD), (10.002, reply(0)), (20.0, ""), (20.01, end(200, 1)))
    assert lost(found) == list(range(1, 199))
    assert all(10.0 < packet.sent < 20.0 for packet in found if packet.received is None)


def test_a_round_without_any_answer_is_lost_whole() -> None:
    found = heard(Replies("between"), (10.0, HEAD), (20.0, end(200, 0)))
    assert lost(found) == list(range(199))
    assert found[0].sent == pytest.approx(10.0, abs=INTERVAL)


def test_a_round_ends_before_the_answers_of_a_slow_network_are_there() -> None:
    lines = [(10.0 + INTERVAL * number + 0.4, reply(number, 400.0)) for number in range(192)]
    assert lost(heard(Replies("between"), (10.0, HEAD), *lines, (20.0, end(200, 192)))) == []


def test_numbers_go_on_from_round_to_round() -> None:
    found = heard(
        Replies("between"), (10.0, HEAD), (10.0, reply(0)), (10.05, reply(1)), (10.06, end(2, 2)), (10.1, HEAD),
        (10.1, reply(0)), (10.2, reply(2)), (10.21, end(3, 2)),
    )  # fmt: skip
    assert [packet.seq for packet in found] == [0, 1, 2, 4, 3]
    assert lost(found) == [3]


def test_who_comes_in_the_middle_of_a_round_counts_from_there() -> None:
    found = heard(Replies("between"), (10.0, reply(150)), (10.1, reply(152)), (10.11, end(153, 140)), (10.2, HEAD))
    assert len(found) == 3 and len(lost(found)) == 1


def test_a_round_of_which_nothing_was_heard_but_its_end_says_nothing() -> None:
    assert heard(Replies("between"), (10.0, end(200, 0))) == []


def test_a_guest_that_died_in_a_round_sent_no_more() -> None:
    found = heard(Replies("between"), (10.0, HEAD), (10.0, reply(0)), (30.0, HEAD), (30.0, reply(0)), (30.05, reply(1)))
    assert [packet.seq for packet in found] == [0, 1, 2] and lost(found) == []


def test_other_words_on_the_console_mean_nothing() -> None:
    words = ["guest 2.1: kernel up", "ping: sendto: Network is unreachable", "", "64 bytes from 192.168.77.5: seq=gu"]
    assert heard(Replies("between"), *((1.0, line) for line in words)) == []


class _Lab:
    """A node whose root is a folder; without power there is none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.on = True
        self.asked = threading.Semaphore(0)

    def root_path(self, node: str) -> Path:
        self.asked.release()
        if not self.on:
            raise RemoteError("lab.node-off", f"node {node} is off")
        return self.root


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[_Lab]:
    (tmp_path / "console.log").write_text(f"{HEAD}\r\n{reply(0)}\r\n")
    yield _Lab(tmp_path)


def _stream(lab: _Lab) -> ConsoleStream:
    return ConsoleStream("between", cast(Hands, type("_Hands", (), {"lab": lab})()), "k2", "/console.log")


def _say(lab: _Lab, *lines: str) -> None:
    with (lab.root / "console.log").open("a") as file:
        file.write("".join(f"{line}\r\n" for line in lines))


class _Noted:
    """Packets as they come."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.news = threading.Event()

    def __call__(self, packets: Any) -> None:
        self.packets += packets
        self.news.set()


def test_a_console_is_read_from_where_it_is_now(lab: _Lab) -> None:
    stream, noted = _stream(lab), _Noted()
    assert not stream.speaks(0.15), "what was said before counts for nothing"
    _say(lab, reply(7))
    assert stream.speaks(5)
    stream.start(noted)
    _say(lab, *(reply(number) for number in range(8, 70)))
    assert noted.news.wait(5), "many are noted while it runs"
    stream.stop()
    assert len(noted.packets) == 62 and lost(noted.packets) == []


def test_a_node_without_power_says_nothing_and_may_come_back_with_a_shorter_file(lab: _Lab) -> None:
    stream, noted = _stream(lab), _Noted()
    stream.start(noted)
    lab.on = False
    (lab.root / "console.log").write_text("")
    lab.on = True
    while lab.asked.acquire(blocking=False):
        pass
    # Asked twice from now on: it has seen the empty file.
    assert lab.asked.acquire(timeout=5) and lab.asked.acquire(timeout=5)
    _say(lab, HEAD, *(reply(number) for number in range(60)))
    assert noted.news.wait(5)
    stream.stop()
    assert [packet.seq for packet in noted.packets] == list(range(60))


def test_silence_waits_for_the_end_of_a_round(lab: _Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that says how many were lost."""
    monkeypatch.setattr(console_stream, "SILENT", 0.0)
    stream, noted = _stream(lab), _Noted()
    stream.start(noted)
    _say(lab, HEAD)
    stopping = threading.Thread(target=stream.stop)
    stopping.start()
    assert not noted.news.wait(0.3)
    _say(lab, end(100, 0))
    stopping.join(5)
    # The last ones are not counted, and in this short round that is a good part of all.
    assert lost(noted.packets)[:50] == list(range(50))
