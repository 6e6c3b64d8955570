"""What a ping's end means, and the envelope. The line itself is tried on a real broker (tests/lab)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from outlast.node import rpc
from outlast.node.probes import ask
from outlast.node.rpc import EXCUSE, Excuses
from outlast.node.rpc_line import Line, Outcome, Ping, envelope, opened
from outlast.spec.probe import Probe

QUEUE = "scheduler.c1"
PROBE = Probe("rpc", "10.0.0.1,10.0.0.2", 5672, f"nova/{QUEUE}", user="u", secret="s", timeout=0.3)


class FakeLine:
    """Answers every ping with the same outcome, from no thread at all."""

    hosts, port = ("10.0.0.1", "10.0.0.2"), 5672

    def __init__(self, outcome: Outcome | None) -> None:
        self.outcome = outcome
        self.pings: list[Ping] = []

    def ask(self, ping: Ping) -> None:
        self.pings.append(ping)
        if self.outcome:
            ping.done(self.outcome)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rpc, "_EXCUSES", Excuses())
    yield


@pytest.mark.parametrize(
    ("outcome", "away", "good", "sure", "words"),
    [
        (Outcome("pong", "3 ms"), (), True, True, "pong after 3 ms"),
        (Outcome("wrong", "NoSuchMethod"), (), False, True, "answered NoSuchMethod"),
        (Outcome("silent", consumers=1), (), False, True, "was sent the ping and gave no answer within 0.3 s"),
        (Outcome("silent", consumers=1), ("10.0.0.2",), False, False, "broker 10.0.0.2 does not answer"),
        (Outcome("silent", consumers=0), (), False, False, "not subscribed"),
        (Outcome("missing"), (), False, False, "not subscribed"),
        (Outcome("untaken", "10.0.0.1 refused the message"), (), False, False, "10.0.0.1 refused the message"),
        (None, (), False, False, "no broker let us in"),
    ],
)
def test_verdicts(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome | None, away: tuple[str, ...], good: bool, sure: bool, words: str
) -> None:
    line = FakeLine(outcome)

    async def who_is_away(hosts: tuple[str, ...], port: int) -> tuple[str, ...]:
        return away

    monkeypatch.setattr(rpc, "_line", lambda probe: line)
    monkeypatch.setattr(rpc, "_away", who_is_away)
    answer = asyncio.run(ask(PROBE, {}))
    assert (answer.good, answer.sure, words in answer.sentence) == (good, sure, True), answer
    assert (line.pings[0].exchange, line.pings[0].queue) == ("nova", QUEUE)


def test_a_worker_that_had_the_ping_is_hung_whatever_becomes_of_its_subscription() -> None:
    excuses = Excuses()
    assert excuses.why(QUEUE, 1, (), 100.0) == ""
    # The broker drops the silent client: no consumer, which alone would be an excuse.
    assert excuses.why(QUEUE, 0, (), 105.0) == ""
    # Until it answers again.
    excuses.answered(QUEUE)
    assert excuses.why(QUEUE, 0, (), 110.0) != ""


def test_excuses_end() -> None:
    excuses = Excuses()
    for since in (0.0, 5.0, EXCUSE - 0.1):
        assert excuses.why(QUEUE, 0, ("10.0.0.2",), 100.0 + since)
    assert excuses.why(QUEUE, 1, ("10.0.0.2",), 100.0 + EXCUSE) == ""


def test_a_broker_that_goes_away_again_excuses_again() -> None:
    excuses = Excuses()
    assert excuses.why(QUEUE, 1, ("10.0.0.2",), 100.0)
    assert excuses.why("conductor.c1", 1, (), 110.0) == ""
    assert excuses.why(QUEUE, 1, ("10.0.0.2",), 120.0)


def test_envelope() -> None:
    outer = json.loads(envelope("id1", "amq.gen-1"))
    assert set(outer) == {"oslo.version", "oslo.message"}
    call = json.loads(outer["oslo.message"])
    assert (call["method"], call["_msg_id"], call["_reply_q"]) == ("oslo_rpc_server_ping", "id1", "amq.gen-1")
    assert opened(envelope("id1", "amq.gen-1")) == call
    for garbage in ("", "[]", "{}", b"\xff", '{"oslo.message": 3}', '{"oslo.message": "[1]"}'):
        assert opened(garbage) == {}


def test_no_broker_at_all_is_nothing_learned() -> None:
    """The real line, to ports where nobody listens: it says so when the ping's time is over, and goes on living."""
    line = Line(("127.0.0.1",), 1, "u", "s")
    outcomes: list[Outcome] = []

    async def go() -> None:
        for _ in range(2):
            outcomes.append(await rpc._asked(line, "nova", QUEUE, 0.3))

    asyncio.run(go())
    assert [outcome.kind for outcome in outcomes] == ["untaken", "untaken"]
    assert "127.0.0.1" in outcomes[1].words


def test_hello_tells_a_broker_that_answers_from_one_that_hangs() -> None:
    async def go() -> tuple[bool, bool, bool]:
        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.read(8) == rpc.HELLO
            writer.write(b"\x01\x00\x00")
            writer.close()

        async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            await reader.read(1)
            writer.close()

        good, bad = [await asyncio.start_server(talk, "127.0.0.1", 0) for talk in (answers, hangs)]
        ports = [server.sockets[0].getsockname()[1] for server in (good, bad)]
        said = [await rpc._hello("127.0.0.1", port) for port in (*ports, 1)]
        for server in (good, bad):
            server.close()
        return said[0], said[1], said[2]

    assert asyncio.run(go()) == (True, False, False)
