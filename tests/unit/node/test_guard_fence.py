"""The guard's questions as packets, and what it does with the answers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from outlast.node.guard import echo, fence
from outlast.node.guard.echo import checksum, question, round_of
from outlast.node.guard.fence import Fence
from outlast.node.guard.journal import Journal
from outlast.node.guard.quorum import QuorumLimits
from outlast.node.guard.settings import Network

TOKEN = b"12345678"


def reply(number: int, token: bytes = TOKEN, kind: int = 0, words: int = 5) -> bytes:
    """The packet as a raw socket hands it over: an IPv4 header of `words` words comes first."""
    asked = question(number, 7, token)
    return bytes([0x40 | words]) + bytes(words * 4 - 1) + bytes([kind]) + asked[1:]


def test_a_question_is_a_correct_echo_request() -> None:
    packet = question(70000, 513, TOKEN)
    assert packet[0] == 8 and packet[1] == 0 and checksum(packet) == 0
    assert struct.unpack_from("!HH", packet, 4) == (513, 70000 & 0xFFFF)


def test_checksum_of_the_standard() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


@pytest.mark.parametrize(
    ("packet", "number"),
    [
        (reply(70000), 70000),
        (reply(3, words=6), 3),
        (reply(3, token=b"somebody"), 0),
        (reply(3, kind=8), 0),
        (reply(3)[:-1], 0),
        (b"", 0),
        (b"\x40" * 50, 0),
    ],
)
def test_only_our_own_answers_count(packet: bytes, number: int) -> None:
    assert round_of(packet, TOKEN) == number


class FakeEcho:
    """Peers that answer or not, as the test says."""

    alive: frozenset[str] = frozenset()
    trouble_now = ""

    def __init__(self, interface: str, address: str, peers: dict[str, str]) -> None:
        self.peers, self.trouble, self.number, self.closed = peers, "", 0, False

    def ask(self, number: int) -> None:
        self.number, self.trouble = number, FakeEcho.trouble_now

    def answers(self) -> dict[str, int]:
        return {peer: self.number for peer in self.peers if peer in FakeEcho.alive}

    def close(self) -> None:
        self.closed = True


class Bench:
    """A fence on a clock of the test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.folder = 1000.0, folder
        monkeypatch.setattr(fence, "Echo", FakeEcho)
        monkeypatch.setattr(fence.time, "monotonic", lambda: self.now)
        FakeEcho.alive, FakeEcho.trouble_now = frozenset("bc"), ""
        self.journal = Journal(folder, "keepalived")
        self.fence = self.begin()

    def network(self, *peers: str, name: str = "management") -> Network:
        return Network(name, "mgmt", "10.0.0.1", tuple((one, f"10.0.0.{ord(one)}") for one in peers or "bc"), "")

    def begin(self) -> Fence:
        return Fence(self.journal, (self.at(self.network()),), QuorumLimits(), self.folder / "heard")

    def boot(self) -> None:
        """As after a loss of power: what is in /run is gone."""
        self.journal.path.unlink(missing_ok=True)
        self.journal.events.unlink(missing_ok=True)
        self.fence = self.begin()

    def at(self, network: Network) -> Network:
        return Network(**{**vars(network), "track": str(self.folder / f"track/network-{network.name}")})

    def rounds(self, count: int, alive: str | None = None) -> list[bool]:
        if alive is not None:
            FakeEcho.alive = frozenset(alive)
        found = []
        for _ in range(count):
            self.now += 0.2
            found.append(self.fence.turn())
        return found

    def publish(self) -> None:
        self.journal.publish({"networks": self.fence.published()})

    def track(self, name: str = "management") -> str:
        return (self.folder / f"track/network-{name}").read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.journal.events.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_cut_off_and_back(bench: Bench) -> None:
    assert bench.track() == "0\n"
    bench.rounds(5)
    assert bench.rounds(5, "") == [False] * 4 + [True]
    assert bench.track() == "1\n"
    event = bench.events()[-1]
    assert event["code"] == "guard-cut-off" and event["silent"] == {"b": 1.0, "c": 1.0}
    assert "management" in event["sentence"] and "b silent for 1 s" in event["sentence"]
    published = bench.fence.published()["management"]
    assert published["cut"] and "no majority" in str(published["sentence"])
    assert bench.rounds(10, "c")[-1]
    assert bench.track() == "0\n" and bench.events()[-1]["code"] == "guard-joined"
    assert bench.fence.published()["management"]["sentence"] == ""


def test_who_is_connected_hears_it_before_the_addresses_go(bench: Bench) -> None:
    told: list[tuple[str, str]] = []
    bench.fence.leaving = lambda network: told.append((network, bench.track()))
    bench.rounds(5)
    bench.rounds(10, "")
    assert told == [("management", "0\n")], "once, while the track file still says that VIPs may stay"


def test_between_rounds_nothing_happens(bench: Bench) -> None:
    bench.now += 0.1
    assert not bench.fence.turn()
    assert bench.fence.watched["management"].standing.asked == 0


def test_addresses_are_looked_for_once_after_a_cut(bench: Bench) -> None:
    bench.rounds(5)
    bench.rounds(5, "")
    assert bench.fence.overdue() == ()
    bench.now += 0.6
    assert bench.fence.overdue() == ("management",)
    assert bench.fence.overdue() == ()


@pytest.mark.parametrize("state", ["cut", "armed"])
def test_the_next_guard_goes_on(bench: Bench, state: str) -> None:
    bench.rounds(5)
    if state == "cut":
        bench.rounds(5, "")
    bench.publish()
    bench.fence = bench.begin()
    assert bench.track() == ("1\n" if state == "cut" else "0\n")
    bench.rounds(5, "")
    assert bench.track() == "1\n"


def test_silence_from_the_start_fences_nothing_and_is_told_once(bench: Bench) -> None:
    bench.rounds(400, "")
    assert bench.track() == "0\n"
    assert [event["code"] for event in bench.events()] == ["guard-unheard"]
    bench.rounds(1, "b")
    assert bench.events()[-1]["code"] == "guard-heard"


def test_a_node_that_boots_into_a_split_holds_nothing_there(bench: Bench) -> None:
    bench.rounds(5)
    FakeEcho.alive = frozenset()
    bench.boot()
    assert bench.track() == "1\n", "before Keepalived starts"
    assert bench.events()[-1]["code"] == "guard-boots"
    bench.rounds(400)
    assert bench.track() == "1\n"
    assert any(bench.rounds(4, "b")), "soon back: it was not cut off, it was not joined yet"
    assert bench.track() == "0\n" and bench.events()[-1]["code"] == "guard-joined"
    bench.rounds(5, "")
    assert bench.track() == "1\n"


def test_what_was_never_heard_binds_no_later_boot(bench: Bench) -> None:
    bench.rounds(400, "")
    bench.boot()
    assert bench.track() == "0\n"


def test_other_controllers_than_before_the_boot_bind_nothing(bench: Bench) -> None:
    bench.rounds(5)
    (bench.folder / "heard/management").write_text("b d")
    FakeEcho.alive = frozenset()
    bench.boot()
    assert bench.track() == "0\n"


def test_who_cannot_ask_blames_nobody(bench: Bench) -> None:
    bench.rounds(5)
    FakeEcho.trouble_now = "no descriptors left"
    bench.rounds(50, "")
    assert bench.track() == "0\n"


def test_a_track_file_that_could_not_be_written_is_written_later(bench: Bench) -> None:
    bench.rounds(5)
    path = bench.folder / "track/network-management"
    path.unlink()
    path.mkdir()
    bench.rounds(6, "")
    assert bench.events()[-1]["code"] == "guard-track"
    path.rmdir()
    bench.rounds(1)
    assert bench.track() == "1\n"


def test_new_settings(bench: Bench) -> None:
    bench.rounds(5)
    before = bench.fence.watched["management"]
    bench.fence.adopt((bench.at(bench.network()),), QuorumLimits())
    assert bench.fence.watched["management"] is before
    bench.rounds(5, "")
    more = (bench.at(bench.network(*"bcde")), bench.at(bench.network(name="control-data")))
    bench.fence.adopt(more, QuorumLimits())
    assert bench.track() == "1\n" and bench.track("control-data") == "0\n"
    assert isinstance(before.echo, FakeEcho) and before.echo.closed
    bench.fence.adopt((), QuorumLimits())
    assert bench.track() == "0\n" and not bench.fence.watched


def test_an_interface_that_is_not_there_is_silence_not_trouble() -> None:
    asked = echo.Echo("no-such-link", "127.0.0.1", {"b": "127.0.0.2"})
    asked.ask(1)
    assert asked.answers() == {}
    asked.close()
