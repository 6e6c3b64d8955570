"""Every kind of probe that speaks plainly, against real servers on loopback: good, wrong, silent, gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from outlast.node import probes
from outlast.node.answers import Answer, Unsure
from outlast.node.probes import ask
from outlast.spec.probe import Probe
from outlast.spec.snapshot import ProgramState

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMIT = 0.3


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[int]:
    """A server on a free port; every connection is closed after `talk`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def says(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)

    return talk


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and says nothing, until the other side gives up."""
    while await reader.read(4096):
        pass


async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer as the network may cut it."""
    for piece in (
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"Zookeeper version: 3.9\n",
        b"Mode: fol",
        b"lower\n",
        b"VERS",
        b"ION 1",
    ):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and hangs up."""


def probed(talk: Talk, kind: str, **more: object) -> Answer:
    async def go() -> Answer:
        async with serving(talk) as port:
            return await ask(Probe(kind, "127.0.0.1", port, timeout=LIMIT, **more), {})  # type: ignore[arg-type]

    return asyncio.run(go())


def http(status: str, body: bytes = b"") -> Talk:
    return says(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


SPOKEN = ("http", "zookeeper", "memcached", "ovsdb", "libvirt")


async def cut_short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The right words, and then the connection ends before the body does."""
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\nall fine")


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"@RSYNCD: 32.0 sha512 md5\n")


def libvirtd(refuses: int = 0) -> Talk:
    """Answers calls of libvirt's protocol; the procedure `refuses` with an error."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = struct.unpack(">7I", await reader.readexactly(28))
                await reader.readexactly(head[0] - 28)
                status, said = int(head[3] == refuses), b"\0" * 16
                writer.write(struct.pack(">7I", 28 + len(said), *head[1:4], 1, head[5], status) + said)

    return talk


OVSDB = b'{"error":null,"id":1,"result":[{"rows":[{"connected":true,"name":"OVN_Northbound"}]}]}'
OUTSIDE = OVSDB.replace(b"true", b"false")


@pytest.mark.parametrize(
    ("talk", "kind", "more", "good", "words"),
    [
        (http("200 OK"), "http", {}, True, "status 200"),
        (http("300 Multiple Choices"), "http", {}, True, "status 300"),
        (http("503 Service Unavailable"), "http", {}, False, "status 503"),
        (http("200 OK"), "http", {"statuses": (401,)}, False, "status 200"),
        (http("200 OK", b"all fine"), "http", {"contains": "fine"}, True, "status 200"),
        (http("200 OK", b"oh no"), "http", {"contains": "fine"}, False, "without 'fine'"),
        (says(b"SSH-2.0-OpenSSH\r\n"), "http", {}, False, "no HTTP status"),
        (says(b"\xff\xfe\x00garbage"), "http", {}, False, "no HTTP status"),
        (closes, "http", {}, False, "http 127.0.0.1"),
        (says(b"x" * 200_000), "http", {}, False, "http 127.0.0.1"),
        (cut_short, "http", {"contains": "fine"}, False, "cut short after"),
        (says(b"HTTP/1.1 200 OK\r\nX-Fine: fine\r\n\r\nno"), "http", {"contains": "fine"}, False, "without 'fine'"),
        (closes, "tcp", {}, True, "connected"),
        (greets, "tcp", {"contains": "@RSYNCD:"}, True, "greeted"),
        (closes, "tcp", {"contains": "@RSYNCD:"}, False, "no greeting"),
        (says(b"Zookeeper version: 3.9\nMode: leader\n"), "zookeeper", {}, True, "Zookeeper version"),
        (says(b"Zookeeper version: 3.9\nMode: follower\n"), "zookeeper", {}, True, "Zookeeper version"),
        (says(b"This ZooKeeper instance is not currently serving requests\n"), "zookeeper", {}, False, "not currently"),
        (says(b""), "zookeeper", {}, False, "answered b''"),
        (closes, "zookeeper", {}, False, "zookeeper 127.0.0.1"),
        (in_pieces, "http", {"contains": "Mode: follower"}, True, "status 200"),
        (in_pieces, "zookeeper", {}, True, "HTTP/1.1"),
        (says(b"VERSION 1.6.38\r\n"), "memcached", {}, True, "VERSION 1.6.38"),
        (says(b"ERROR\r\n"), "memcached", {}, False, "ERROR"),
        (says(OVSDB), "ovsdb", {"contains": "OVN_Northbound"}, True, "result"),
        (says(OUTSIDE), "ovsdb", {"contains": "OVN_Northbound"}, False, "answered"),
        (says(b'{"error":null,"id":1,"result":[{"rows":[]}]}'), "ovsdb", {"contains": "OVN_Southbound"}, False, "rows"),
        *((hangs, kind, {}, False, "no answer within 0.3 s") for kind in SPOKEN),
        (hangs, "tcp", {"contains": "@RSYNCD:"}, False, "no answer within 0.3 s"),
        (libvirtd(), "libvirt", {}, True, "opened qemu:///system"),
        (libvirtd(refuses=1), "libvirt", {}, False, "refused"),
        (closes, "libvirt", {}, False, "libvirt 127.0.0.1"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4), "libvirt", {}, False, "does not speak"),
    ],
)
def test_answers(talk: Talk, kind: str, more: dict[str, object], good: bool, words: str) -> None:
    begun = time.monotonic()
    answer = probed(talk, kind, **more)
    assert (answer.good, words in answer.sentence) == (good, True), answer
    assert answer.took <= time.monotonic() - begun
    assert begun <= answer.at <= time.monotonic()
    assert "\n" not in answer.sentence[:1]


def test_an_answer_that_drips_is_no_answer() -> None:
    """Bytes that come are not an answer: the time-out counts from the question, not from the last byte."""

    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    answer = probed(drips, "http")
    assert not answer.good
    assert LIMIT * 0.9 <= answer.took < LIMIT * 5


@pytest.mark.parametrize("kind", ["tcp", *SPOKEN])
def test_a_closed_port_is_named(kind: str) -> None:
    async def go() -> Answer:
        async with serving(closes) as port:
            pass
        return await ask(Probe(kind, "127.0.0.1", port, timeout=LIMIT), {})

    answer = asyncio.run(go())
    assert not answer.good
    assert answer.sentence.startswith(f"{kind} 127.0.0.1:")


@pytest.mark.parametrize(
    ("script", "contains", "good", "words"),
    [
        ("print('Status: active')", "Status:", True, "Status: active"),
        ("print('Status: active')", "", True, "Status: active"),
        ("pass", "", True, "exit 0"),
        ("print('nothing')", "Status:", False, "without 'Status:'"),
        (
            "raise SystemExit('cannot connect')",
            "",
            False,
            "exit 1: cannot",
        ),
        ("import sys; sys.stdin.read(); print('end')", "", True, "end"),
    ],
)
def test_commands(script: str, contains: str, good: bool, words: str) -> None:
    probe = Probe("command", argv=(sys.executable, "-I", "-S", "-c", script), contains=contains, timeout=20)
    answer = asyncio.run(ask(probe, {}))
    assert (answer.good, words in answer.sentence) == (good, True), answer


def test_a_hung_command_is_killed() -> None:
    answer = asyncio.run(ask(Probe("command", argv=("/bin/sleep", "600"), timeout=LIMIT), {}))
    assert not answer.good
    assert "no answer within 0.3 s" in answer.sentence
    assert answer.took < 10


def test_a_command_that_is_not_there() -> None:
    answer = asyncio.run(ask(Probe("command", argv=("/no/such/program",), timeout=5), {}))
    assert not answer.good
    assert "/no/such/program" in answer.sentence


@pytest.mark.parametrize(
    ("states", "good", "words"),
    [({"x": "RUNNING"}, True, "x is RUNNING"), ({"x": "FATAL"}, False, "x is FATAL"), ({}, False, "x is ABSENT")],
)
def test_process(states: dict[str, str], good: bool, words: str) -> None:
    programs = {name: ProgramState(name, state) for name, state in states.items()}
    answer = asyncio.run(ask(Probe("process", path="x"), programs))
    assert (answer.good, answer.sentence) == (good, words)


@pytest.mark.parametrize(
    ("state", "age", "there", "good"),
    [
        ("RUNNING", 3, False, False),
        ("RUNNING", 3, True, True),
        ("RUNNING", 40, False, True),  # not for ever
        ("RUNNING", -9, False, True),  # the clock was set back
        ("STOPPED", 3, False, True),  # by somebody, after it ran
        ("FATAL", 3, False, True),
    ],
)
def test_only_loading_is_waited_for(tmp_path: Path, state: str, age: float, there: bool, good: bool) -> None:
    if there:
        (tmp_path / "nova").touch()
    program = ProgramState("forkserver", state, 7, time.time() - age)
    probe = Probe("loaded", path=str(tmp_path / "nova"), program="forkserver", timeout=30)
    assert asyncio.run(ask(probe, {"forkserver": program})).good is good


@pytest.mark.parametrize(("age", "good"), [(3, False), (40, True)])
@pytest.mark.parametrize("known", [True, False])
def test_at_a_boot_the_loading_is_still_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, good: bool, known: bool
) -> None:
    booted = tmp_path / "supervisord.pid"
    booted.touch()
    os.utime(booted, (time.time() - age, time.time() - age))
    monkeypatch.setattr(probes, "BOOTED", booted)
    programs = {"forkserver": ProgramState("forkserver", "STOPPED")} if known else {}
    probe = Probe("loaded", path=str(tmp_path / "nova"), program="forkserver", timeout=30)
    assert asyncio.run(ask(probe, programs)).good is good


@pytest.mark.parametrize(("status", "good"), [("201 Created", True), ("401 Unauthorized", False), ("503 No", False)])
def test_token(status: str, good: bool) -> None:
    told: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.readuntil(b"}}}}}"))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())

    answer = probed(talk, "token", user="nova", secret="s3cret")
    assert answer.good is good
    assert "nova" in answer.sentence and "s3cret" not in answer.sentence
    head, _, body = told[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v3/auth/tokens ")
    asked = json.loads(body)["auth"]
    assert asked["identity"]["password"]["user"] == {
        "name": "nova",
        "password": "s3cret",
        "domain": {"name": "Default"},
    }
    assert asked["scope"]["project"]["name"] == "service"


@pytest.mark.parametrize("kind", ["sql", "amqp"])
@pytest.mark.parametrize(("talk", "limit"), [(closes, 3.0), (says(b"not this protocol at all, sorry\r\n" * 9), 3.0)])
def test_logins_fail_in_words(kind: str, talk: Talk, limit: float) -> None:
    pytest.importorskip({"sql": "pymysql", "amqp": "amqp"}[kind])

    async def go() -> Answer:
        async with serving(talk) as port:
            return await ask(Probe(kind, "127.0.0.1", port, path="db", user="u", secret="s", timeout=limit), {})

    answer = asyncio.run(go())
    assert not answer.good
    assert answer.sentence
    assert "s3cret" not in answer.sentence


def test_hung_questions_do_not_take_the_agents_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that hangs holds a thread for each question; the agent still asks supervisord at once."""
    release = threading.Event()

    def hung(probe: Probe) -> str:
        release.wait(30)
        return "late"

    monkeypatch.setattr(probes, "_KINDS", {"sql": probes._blocking(hung)})

    async def go() -> float:
        questions = [asyncio.create_task(ask(Probe("sql", "10.0.0.1", 3306, timeout=LIMIT), {})) for _ in range(60)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        await asyncio.to_thread(lambda: None)
        took = time.monotonic() - begun
        answers = await asyncio.gather(*questions)
        assert {answer.sentence for answer in answers} == {"no answer within 0.3 s from sql 10.0.0.1:3306"}
        return took

    try:
        assert asyncio.run(go()) < LIMIT
    finally:
        release.set()


@pytest.mark.parametrize(
    ("state", "good", "word"),
    [
        ('{"networks": {"management": {"cut": false}}}', True, "not fenced on management"),
        ('{"networks": {"m": {"cut": true, "sentence": "c2 silent"}, "c": {"cut": false}}}', False, "c2 silent"),
        ('{"child_pid": 5}', True, "fences nothing"),
        ('{"netw', False, ""),
        (None, False, "No such file"),
    ],
)
def test_guard(tmp_path: Path, state: str | None, good: bool, word: str) -> None:
    path = tmp_path / "keepalived.json"
    if state is not None:
        path.write_text(state)
    answer = asyncio.run(ask(Probe("guard", path=str(path)), {}))
    assert answer.good is good and word in answer.sentence


def unixctl(folder: Path, answer: bytes, contains: str = "") -> tuple[Answer, list[bytes]]:
    """A daemon's control socket that answers so; also what it was asked."""
    heard: list[bytes] = []

    async def go() -> Answer:
        through = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read(4096))
            with contextlib.suppress(ConnectionError):
                for piece in (answer[:9], answer[9:]):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if not answer.startswith(b"HTTP"):
                    await reader.read(1)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            through.set()

        path = str(folder / "x.ctl")
        server = await asyncio.start_unix_server(connected, path)
        try:
            answered = await ask(Probe("unixctl", path=path, argv=("status",), contains=contains, timeout=LIMIT), {})
            await through.wait()
            return answered
        finally:
            server.close()

    return asyncio.run(go()), heard


@pytest.mark.parametrize(
    ("said", "contains", "good", "words"),
    [
        (b'{"id":1,"result":"Status: active\\n","error":null}', "Status:", True, "Status: active"),
        (b'{"id":1,"result":"Status: active\\n","error":null}', "standby", False, "status without 'standby'"),
        (b'{"id":1,"result":null,"error":"\\"status\\" is not a valid command"}', "", False, "not a valid command"),
        (b'{"id":1,"result":"", "error":null}', "", True, "answered"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "", False, "answered b'HTTP"),
        (b"", "", False, "no answer within"),
    ],
)
def test_unixctl(tmp_path: Path, said: bytes, contains: str, good: bool, words: str) -> None:
    answer, heard = unixctl(tmp_path, said, contains)
    assert (answer.good, words in answer.sentence) == (good, True), answer
    assert json.loads(heard[0]) == {"id": 1, "method": "status", "params": []}


def test_http_by_a_unix_socket_with_headers(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def go() -> Answer:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read(4096))
            writer.write(b"HTTP/1.1 404 Not Found\r\n\r\nInstance was not found on network x")
            writer.close()

        path = str(tmp_path / "x.http")
        server = await asyncio.start_unix_server(connected, path)
        try:
            probe = Probe("http", f"unix:{path}", statuses=(404,), contains="not found on", headers=(("X-Net", "x"),))
            return await ask(probe, {})
        finally:
            server.close()

    assert asyncio.run(go()).good
    assert b"\r\nHost: localhost\r\n" in heard[0]
    assert b"\r\nX-Net: x\r\n" in heard[0]


def test_pulse_tells_a_stopped_program_from_a_sleeping_one() -> None:
    script = "import time\nwhile True: time.sleep(0.05)"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", script], start_new_session=True)
    program = {"x": ProgramState("x", "RUNNING", child.pid)}

    def pulse(path: str) -> Answer:
        return asyncio.run(ask(Probe("pulse", path=path, program="x", timeout=1.0), program))

    try:
        assert pulse("main").good
        assert pulse("group").good
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        for path in ("main", "group"):
            answer = pulse(path)
            assert (answer.good, answer.sure) == (False, True)
            assert answer.sentence == "pulse of x: did not run for 1 s"
            assert answer.took >= 1.0
    finally:
        child.kill()
        child.wait()
    assert not asyncio.run(ask(Probe("pulse", path="main", program="y", timeout=1.0), program)).good


def test_a_question_that_could_not_be_asked_fairly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_broker(probe: Probe) -> str:
        raise Unsure("no broker lets us in")

    monkeypatch.setattr(probes, "_KINDS", {"rpc": no_broker})
    answer = asyncio.run(ask(Probe("rpc", path="nova/scheduler.c1"), {}))
    assert not answer.sure
    assert answer.sentence == "nothing learned: rpc nova/scheduler.c1: no broker lets us in"


def test_a_silence_that_nobody_watched_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent itself did not get to look for seconds: the answer may have been there in time."""

    async def starved(probe: Probe) -> str:
        time.sleep(0.2)
        await asyncio.sleep(60)
        return ""

    monkeypatch.setattr(probes, "_KINDS", {"http": starved})
    monkeypatch.setattr(probes, "LATE", 0.05)
    answer = asyncio.run(ask(Probe("http", "10.0.0.1", 80, timeout=0.1), {}))
    assert (answer.good, answer.sure) == (False, False)
    assert answer.sentence == "nothing learned: no answer within 0.1 s from http 10.0.0.1:80"
