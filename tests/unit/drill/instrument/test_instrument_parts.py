"""The instrument's decisions: values in, values out."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from pathlib import Path
from typing import Any

import pymysql
import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.instrument import api, order, sql, streams
from outlast.drill.instrument.__main__ import meter
from outlast.drill.instrument.clean import things
from outlast.drill.instrument.consumed import Consumed, consumption
from outlast.drill.instrument.known import Known, Next, Thing
from outlast.drill.instrument.ledger import Ledger
from outlast.drill.instrument.mix import MIX
from outlast.drill.instrument.probe import stalled
from outlast.drill.instrument.task import Trace
from outlast.errors import InputError
from outlast.record.history import Done, Intent, Packet
from outlast.record.run import RunFolder

NAMES = {**api.names_of("d1-7", "r7", "d1"), "account": "a", "user": "u1", "username": "admin", "project": "p"}


def judged(workload: str, kind: Any, status: int, body: object, **headers: str) -> tuple[str, str, str]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = api.judge(api.API[workload][kind], NAMES, status, headers, text)
    return reply.outcome, reply.detail, reply.value


@pytest.mark.parametrize(
    ("workload", "kind", "status", "body", "expected"),
    [
        ("keystone-read", "read", 200, {"user": {"id": "u1"}}, ("ok", "", "")),
        ("keystone-read", "read", 200, {"user": {"id": "u2"}}, ("failed", "wrong answer: user.id is 'u2'", "")),
        ("glance-images", "create", 201, {"id": "i", "name": "d1-7"}, ("ok", "", "i")),
        ("glance-images", "create", 201, {"name": "d1-7"}, ("failed", "wrong answer: no id", "")),
        ("placement-traits", "list", 200, {"traits": ["CUSTOM_D1_3", "CUSTOM_X"]}, ("ok", "", "CUSTOM_D1_3")),
        ("nova-keypairs", "list", 200, {"keypairs": [{"keypair": {"name": "d1-2"}}]}, ("ok", "", "d1-2")),
        ("nova-read", "read", 200, {"servers": None}, ("failed", "wrong answer: no list servers", "")),
        ("nova-read", "read", 200, b"<html>", ("failed", "wrong answer: no JSON", "")),
        ("swift-objects", "read", 200, NAMES["content"].encode(), ("ok", "", "d1-7")),
        ("swift-objects", "read", 200, b"d1-8\n", ("failed", "wrong answer: another body", "")),
        ("swift-objects", "read", 404, b"", ("ok", "404", "")),
        ("swift-objects", "list", 200, [{"name": "d1-7"}, {"name": "x"}], ("ok", "", "d1-7")),
        ("swift-objects", "delete", 204, b"", ("ok", "", "")),
        ("neutron-networks", "delete", 500, b"", ("failed", "500", "")),
    ],
)
def test_answers(workload: str, kind: str, status: int, body: object, expected: tuple[str, str, str]) -> None:
    assert judged(workload, kind, status, body) == expected


def test_answers_without_a_body_are_known_by_a_header() -> None:
    good = judged("swift-objects", "create", 201, b"", Etag=f'"{NAMES["digest"]}"')
    assert good == ("ok", "", "d1-7")
    assert judged("swift-objects", "create", 201, b"", Etag='"0"')[0] == "failed"
    assert judged("swift-objects", "create", 201, b"")[0] == "failed"


@given(st.binary(), st.sampled_from([(name, kind) for name, calls in api.API.items() for kind in calls]))
def test_no_body_is_a_surprise(body: bytes, which: tuple[str, Any]) -> None:
    """Whatever comes, there is a judgement."""
    call = api.API[which[0]][which[1]]
    for status in (*call.status, 404, 500, 503):
        api.judge(call, NAMES, status, {}, body)


def test_every_api_workload_can_do_its_steps() -> None:
    for name, calls in api.API.items():
        assert set(MIX[name].steps) <= set(calls)
        for call in calls.values():
            words = {**NAMES, **dict.fromkeys(("public_key", "image", "flavor", "network", "password"), "x")}
            words |= dict.fromkeys(("user_domain", "project_domain"), "x")
            assert "{" not in call.path.format_map(words)
            api.body_of(call, words)


def test_public_key_is_one() -> None:
    load_ssh_public_key(api.public_key("d1").encode())
    assert base64.b64decode(api.public_key("d1").split()[1])[:4] == struct.pack(">I", 11)


def test_steps_work_on_what_is_known() -> None:
    known = Known()
    assert known.next("keystone-projects", 3) == Next("list")
    assert known.next("keystone-projects", 0) == Next("create")
    known.ended("keystone-projects", "d1-1", "r1")
    assert known.next("keystone-projects", 3) == Next("delete", Thing("d1-1", "r1"))
    assert known.next("keystone-projects", 3) == Next("list")


def test_what_is_read_is_not_removed() -> None:
    known = Known()
    known.next("swift-objects", 0)
    known.ended("swift-objects", "d1-1", "d1-1")
    assert known.next("swift-objects", 3) == Next("read")
    assert known.next("swift-objects", 4) == Next("read", Thing("d1-1", "d1-1"))


def test_too_many_are_removed_instead_of_made() -> None:
    known = Known()
    for number in range(30):
        assert known.next("nova-keypairs", 0) == Next("create")
        known.ended("nova-keypairs", f"d1-{number}", f"r{number}")
    assert known.next("nova-keypairs", 0) == Next("delete", Thing("d1-0", "r0"))


def test_one_server_at_a_time() -> None:
    known = Known()
    assert known.next("nova-servers", 1) is None
    assert known.next("nova-servers", 0) == Next("create")
    assert known.next("nova-servers", 2) is None
    assert known.next("nova-servers", 3) is None
    known.ended("nova-servers", "d1-1", "s1")
    assert known.next("nova-servers", 4) == Next("delete", Thing("d1-1", "s1"))
    assert known.next("nova-servers", 6) == Next("create")


def test_an_order_says_everything_that_it_lacks() -> None:
    with pytest.raises(InputError) as caught:
        order.read('{"workloads": ["nova-servers", "mq-rpc", "nonsense"], "rate": 0}')
    assert caught.value.code == "instrument.order"
    for words in ("nonsense", "folder", "prefix", "positive", "`urls` of nova", "`auth`", "`server`", "`amqp`"):
        assert words in caught.value.message
    with pytest.raises(InputError, match="cannot be read"):
        order.read("{")


def test_an_order_as_a_drill_writes_it() -> None:
    found = order.read(
        json.dumps(
            {
                "folder": "/x",
                "first": 1,
                "step": 2,
                "workloads": ["sql-rows", "mq-notices"],
                "sql": {"host": "h", "port": 3306, "user": "u", "password": "p", "database": "d"},
                "amqp": {"hosts": ["h:5672"], "user": "u", "password": "p"},
                "streams": [{"name": "floating", "address": "127.0.0.1"}],
                "prefix": "d1",
            }
        )
    )
    assert found.action == "run" and found.sql is not None and found.streams[0].address == "127.0.0.1"


@pytest.mark.parametrize(
    ("code", "left", "outcome"),
    [
        (2003, False, "failed"),
        (2013, False, "failed"),
        (1040, False, "failed"),
        (2013, True, "unknown"),
        (1053, True, "unknown"),
        (1180, True, "unknown"),
        (1047, True, "failed"),
        (1213, True, "failed"),
        (1062, True, "failed"),
    ],
)
def test_what_the_database_says(code: int, left: bool, outcome: str) -> None:
    error = pymysql.err.OperationalError(code, "words")
    assert sql._failure(error, Trace(begun=1.0, left=left)).outcome == outcome


def test_a_broken_answer_of_the_database_is_open() -> None:
    for error in (pymysql.err.InternalError("Packet sequence number wrong"), ConnectionResetError(104, "reset")):
        assert sql._failure(error, Trace(begun=1.0, left=True)).outcome == "unknown"


@given(st.integers(0, 65535), st.integers(0, 2**40))
def test_echo_packets(ident: int, seq: int) -> None:
    token = b"12345678"
    packet = streams.request(ident, seq, token)
    assert streams.checksum(packet) == 0
    header = bytes([0x45]) + bytes(19)
    answer = header + b"\0" + packet[1:]
    assert streams.reply_seq(answer, token) == seq
    assert streams.reply_seq(answer, b"another1") is None
    assert streams.reply_seq(header + packet, token) is None  # our own request, seen on the loopback interface


@given(st.binary(max_size=60))
def test_foreign_packets(packet: bytes) -> None:
    assert streams.reply_seq(packet, b"12345678") is None


def test_packets_end_once() -> None:
    flights = streams.Flights("floating")
    for seq in range(3):
        flights.left(seq, float(seq))
    assert flights.came(1, 1.5) == Packet(stream="floating", seq=1, sent=1.0, received=1.5)
    assert flights.came(1, 1.6) is None
    assert flights.lost(2.0) == [Packet(stream="floating", seq=0, sent=0.0)]
    assert flights.came(0, 9.0) is None
    assert len(flights) == 1


def test_stalls() -> None:
    assert stalled(10.0, 10.049) is None
    found = stalled(10.0, 10.06)
    assert found is not None and found.at == 10.0 and found.seconds == pytest.approx(0.06)


def test_meter_gives_lateness() -> None:
    found = meter([0.001] * 99 + [0.5], 2.0)
    assert (found["lateness_p50"], found["lateness_p99"], found["lateness_max"]) == (0.001, 0.5, 0.5)
    assert meter([], 1.0)["requests"] == 0


def test_what_is_ours_in_a_list() -> None:
    call = api.API["keystone-projects"]["list"]
    body = json.dumps({"projects": [{"id": "1", "name": "d1-7"}, {"id": "2", "name": "d10-7"}]}).encode()
    assert things(call, body, "d1") == [("d1-7", "1")]
    assert things(api.API["placement-traits"]["list"], b'{"traits": ["CUSTOM_D1_4"]}', "d1") == [
        ("CUSTOM_D1_4", "CUSTOM_D1_4")
    ]
    keypairs = json.dumps({"keypairs": [{"keypair": {"name": "d1-2"}}]}).encode()
    assert things(api.API["nova-keypairs"]["list"], keypairs, "d1") == [("d1-2", "d1-2")]


def test_the_ledger_keeps_lines_of_two_writers_whole(tmp_path: Path) -> None:
    async def write() -> None:
        ledgers = [Ledger(tmp_path, lambda sentence: pytest.fail(sentence)) for _ in range(2)]
        futures = []
        for number in range(400):
            ledger = ledgers[number % 2]
            intent = Intent(id=number, workload="w", service="s", kind="create", scheduled=float(number), key="k" * 200)
            futures.append(ledger.intent(intent))
            ledger.done(Done(id=number, sent=1.0, ended=2.0, outcome="ok"), durable=True)
        for future in futures:
            assert future is not None
            await future
        assert (tmp_path / "history.jsonl").read_bytes().count(b"intent") == 400
        for ledger in ledgers:
            ledger.close()

    asyncio.run(write())
    found = RunFolder(tmp_path).history()
    assert len(found) == 400 and {operation.outcome for operation in found} == {"ok"}


def test_a_write_that_cannot_be_noted_is_not_sent(tmp_path: Path) -> None:
    said: list[str] = []

    async def write() -> None:
        ledger = Ledger(tmp_path, said.append)
        (tmp_path / "history.jsonl").unlink()
        ledger._files["history.jsonl"] = 10**6  # no such descriptor, as after a failed disk
        future = ledger.intent(Intent(id=1, workload="w", service="s", kind="create", scheduled=0.0))
        assert future is not None
        with pytest.raises(OSError):
            await future

    asyncio.run(write())
    assert len(said) == 1


def test_consumption_in_the_checkers_words(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append("consumed.jsonl", [Consumed(at=1.0, key="d1-1"), Consumed(at=2.0, key="d1-1")])
    found = consumption(folder)
    assert [operation.id for operation in found] == [-1, -2]
    assert {(operation.workload, operation.kind, operation.value) for operation in found} == {
        ("mq-notices-consume", "read", "d1-1")
    }
