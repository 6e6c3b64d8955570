"""The contract of every Connector, on every backend: in memory, this machine, a real sshd, a lab node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from outlast.errors import RemoteError
from outlast.lab import runtime
from outlast.lab import topology as t
from outlast.lab.runtime import Lab
from outlast.remote.base import Connector
from outlast.remote.fake import FakeConnector
from outlast.remote.local import LocalConnector
from outlast.remote.netns import NetnsConnector
from outlast.remote.ssh import SshConnector, SshTarget
from outlast.spec.command import Output

pytestmark = pytest.mark.timeout(60)

SSHD = Path("/usr/sbin/sshd")
BUSYBOX = Path("/bin/busybox")
SECONDS = 10.0


@dataclass(frozen=True)
class Bench:
    """A connector, a folder that exists on its node, and a socket there that answers in capitals."""

    connector: Connector
    folder: str
    socket: str


Backend = Callable[[], AbstractAsyncContextManager[Bench]]


async def shout(reader: StreamReader, writer: StreamWriter) -> None:
    while content := await reader.read(65536):
        writer.write(content.upper())
        await writer.drain()
    writer.close()


# ── backends ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _fake_printf(argv: Sequence[str], _input: bytes) -> Output:
    return Output(tuple(argv), 0, argv[-1].encode(), b"")


async def _fake_cat(argv: Sequence[str], input: bytes) -> Output:
    return Output(tuple(argv), 0, input, b"")


async def _fake_sleep(argv: Sequence[str], _input: bytes) -> Output:
    await asyncio.sleep(float(argv[1]))
    return Output(tuple(argv), 0, b"", b"")


async def _fake_sh(argv: Sequence[str], _input: bytes) -> Output:
    known = {"echo oops >&2; exit 3": (3, b"oops\n"), "kill -9 $$": (137, b"")}
    status, stderr = known[argv[2]]
    return Output(tuple(argv), status, b"", stderr)


@asynccontextmanager
async def fake_bench() -> AsyncIterator[Bench]:
    programs = {"printf": _fake_printf, "cat": _fake_cat, "sleep": _fake_sleep, "sh": _fake_sh}
    connector = FakeConnector(programs=programs, folders={"/data"}, servers={"/data/socket": shout})
    yield Bench(connector, "/data", "/data/socket")


@asynccontextmanager
async def local_bench(folder: Path) -> AsyncIterator[Bench]:
    async with await asyncio.start_unix_server(shout, folder / "socket"):
        yield Bench(LocalConnector(), str(folder), f"{folder}/socket")


@asynccontextmanager
async def ssh_bench(folder: Path, target: SshTarget) -> AsyncIterator[Bench]:
    async with await asyncio.start_unix_server(shout, folder / "socket"):
        yield Bench(SshConnector(target), str(folder), f"{folder}/socket")


@asynccontextmanager
async def netns_bench(lab: Lab) -> AsyncIterator[Bench]:
    connector = NetnsConnector(lambda: lab.enter_argv("c1"), lambda: lab.root_path("c1"))
    await connector.run(["sh", "-c", "rm -rf /run/data && mkdir /run/data"], timeout=SECONDS)
    async with await asyncio.start_unix_server(shout, lab.root_path("c1") / "run/data/socket"):
        # Through an absolute link, as /var/run is one: from outside it would lead into the host's /run.
        yield Bench(connector, "/run/data", "/var/run/data/socket")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTarget]:
    if os.geteuid() != 0:
        pytest.skip("needs root, as make test says before it begins")
    assert SSHD.exists(), "install openssh-server (make test does)"
    folder = tmp_path_factory.mktemp("sshd")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    host_key = (folder / "host.pub").read_text().strip()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    daemon = subprocess.Popen(
        [SSHD, "-D", "-f", folder / "config", "-p", str(port), "-E", folder / "log"], stdin=subprocess.DEVNULL
    )
    try:
        _await_port(port)
        yield SshTarget(
            "127.0.0.1", port=port, user="root", keys=(str(folder / "user"),), known_hosts=str(folder / "known_hosts")
        )
    finally:
        daemon.terminate()
        daemon.wait(10)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, "sshd does not listen"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root, as make test says before it begins")
    assert BUSYBOX.exists(), "install busybox-static (make test does)"
    folder = tmp_path_factory.mktemp("labs")
    root, state = folder / "root", folder / "contract"
    for name in ("bin", "etc", "var"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    subprocess.run(["chroot", str(root), "/bin/busybox", "--install", "-s", "/bin"], check=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    (root / "var/run").symlink_to("/run")
    init = ["/bin/sh", "-c", "while :; do sleep 3600 & wait $!; done"]
    topology = t.Topology(state.name, t.lab_id(state.name, str(state)), (), (t.LabNode("c1", (), 32),))
    try:
        yield runtime.create(topology, root, state, init_argv=init)
    finally:
        runtime.destroy(state)


@pytest.fixture(params=["fake", "local", "ssh", pytest.param("netns", marks=pytest.mark.lab)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "fake":
        return fake_bench
    if request.param == "local":
        return lambda: local_bench(tmp_path)
    if request.param == "ssh":
        target = request.getfixturevalue("sshd")
        return lambda: ssh_bench(tmp_path, target)
    lab = request.getfixturevalue("node")
    return lambda: netns_bench(lab)


def on(backend: Backend, work: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with backend() as bench:
            try:
                await work(bench)
            finally:
                await bench.connector.close()

    asyncio.run(whole())


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(RemoteError) as caught:
        await call
    return caught.value.code


# ── the contract ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_arguments_arrive_as_they_are(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        for word in ("plain", "two words", "$HOME `id` \"quoted\" 'single'", "star * ; | & > \\", "ümläut", "a\nb"):
            output = await bench.connector.run(["printf", "%s", word], timeout=SECONDS)
            assert (output.status, output.stdout.decode()) == (0, word)
            assert output.argv == ("printf", "%s", word)

    on(backend, work)


def test_status_is_an_answer(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        output = await bench.connector.run(["sh", "-c", "echo oops >&2; exit 3"], timeout=SECONDS)
        assert (output.status, output.stdout, output.stderr) == (3, b"", b"oops\n")
        killed = await bench.connector.run(["sh", "-c", "kill -9 $$"], timeout=SECONDS)
        assert killed.status == 128 + 9

    on(backend, work)


def test_input_is_binary_and_may_be_large(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        content = bytes(range(256)) * 8192
        assert (await bench.connector.run(["cat"], timeout=SECONDS, input=content)).stdout == content
        assert (await bench.connector.run(["cat"], timeout=SECONDS)).stdout == b""

    on(backend, work)


def test_missing_program(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        assert await refused(bench.connector.run(["no-such-program"], timeout=SECONDS)) == "remote.no-command"

    on(backend, work)


def test_timeout_ends_the_wait(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        started = time.monotonic()
        assert await refused(bench.connector.run(["sleep", "30"], timeout=0.3)) == "remote.timeout"
        assert time.monotonic() - started < 5
        assert (await bench.connector.run(["printf", "%s", "well"], timeout=SECONDS)).stdout == b"well"

    on(backend, work)


def test_many_commands_at_once(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        runs = [bench.connector.run(["printf", "%s", str(number)], timeout=SECONDS) for number in range(30)]
        assert [output.stdout for output in await asyncio.gather(*runs)] == [str(n).encode() for n in range(30)]

    on(backend, work)


def test_files_come_back_as_written(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        path = f"{bench.folder}/a file with 'odd' name"
        for content in (b"", b"first\n", bytes(range(256)) * 4096):
            await bench.connector.put(path, content, mode=0o600)
            assert await bench.connector.get(path) == content

    on(backend, work)


def test_file_trouble_is_named(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        assert await refused(bench.connector.get(f"{bench.folder}/none")) == "remote.not-found"
        assert await refused(bench.connector.get(bench.folder)) == "remote.not-allowed"
        assert await refused(bench.connector.put("/no/such/x", b"", mode=0o644)) == "remote.not-found"

    on(backend, work)


def test_stream_carries_bytes_both_ways(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        reader, writer = await bench.connector.stream(bench.socket)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), SECONDS) == b"HELLO"
        writer.write(b"x" * 300_000)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(-1), SECONDS) == b"X" * 300_000
        writer.close()
        await writer.wait_closed()

    on(backend, work)


def test_stream_to_nowhere(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        assert await refused(bench.connector.stream(f"{bench.folder}/no-socket")) == "remote.not-found"

    on(backend, work)


def test_closed_is_closed(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        await bench.connector.close()
        await bench.connector.close()
        for call in (
            bench.connector.run(["printf"], timeout=SECONDS),
            bench.connector.get("/etc/hostname"),
            bench.connector.put(f"{bench.folder}/x", b"", mode=0o600),
            bench.connector.stream(bench.socket),
        ):
            assert await refused(call) == "remote.closed"

    on(backend, work)


# ── what only backends with a real disk show ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backend", ["local", "ssh", pytest.param("netns", marks=pytest.mark.lab)], indirect=True)
def test_put_replaces_whole_with_mode_and_owner(backend: Backend) -> None:
    async def work(bench: Bench) -> None:
        connector, path = bench.connector, f"{bench.folder}/file"
        await connector.put(path, b"old", mode=0o640)
        await connector.put(path, b"new", mode=0o604, owner="nobody")
        shown = await connector.run(["stat", "-c", "%a %u", path], timeout=SECONDS)
        assert shown.stdout == b"604 65534\n"
        # A failed put leaves the old file, and no draft.
        assert await refused(connector.put(path, b"newer", mode=0o600, owner="no-such-user")) == "remote.failed"
        assert await connector.get(path) == b"new"
        listing = await connector.run(["ls", "-A", bench.folder], timeout=SECONDS)
        assert sorted(listing.stdout.split()) == [b"file", b"socket"]

    on(backend, work)


# ── what is particular to one backend ─────────────────────────────────────────────────────────────────────────────


def test_ssh_refuses_an_unknown_host_key(sshd: SshTarget, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    target = SshTarget(sshd.host, sshd.port, keys=sshd.keys, known_hosts=str(tmp_path / "known_hosts"))
    asyncio.run(_expect(target, "remote.refused"))


def test_ssh_refused_key(sshd: SshTarget, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    target = SshTarget(sshd.host, sshd.port, keys=(str(tmp_path / "other"),), known_hosts=sshd.known_hosts)
    asyncio.run(_expect(target, "remote.refused"))


def test_ssh_nobody_listens(sshd: SshTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    target = SshTarget(sshd.host, port, keys=sshd.keys, known_hosts=sshd.known_hosts)
    asyncio.run(_expect(target, "remote.unreachable"))


async def _expect(target: SshTarget, code: str) -> None:
    connector = SshConnector(target)
    assert await refused(connector.run(["true"], timeout=SECONDS)) == code
    await connector.close()


def test_ssh_uses_one_connection_and_comes_back(sshd: SshTarget) -> None:
    async def work() -> None:
        connector = SshConnector(sshd)
        asked = ["sh", "-c", "echo $SSH_CONNECTION"]
        first = (await connector.run(asked, timeout=SECONDS)).stdout
        assert (await connector.run(asked, timeout=SECONDS)).stdout == first
        # The session's own sshd process ends: this very command is lost, the next one connects anew.
        assert await refused(connector.run(["sh", "-c", _KILL_MY_SSHD], timeout=SECONDS)) == "remote.lost"
        second = (await connector.run(asked, timeout=SECONDS)).stdout
        assert second
        assert second != first
        await connector.close()

    asyncio.run(work())


# The parent is the node's timeout(1), the parent of that is the sshd process of this one connection.
_KILL_MY_SSHD = "set -- $(cat /proc/$PPID/stat); kill -9 $4; sleep 5"


@pytest.mark.lab
def test_netns_tells_power_loss_from_a_killed_command(node: Lab) -> None:
    async def work() -> None:
        connector = NetnsConnector(lambda: node.enter_argv("c1"), lambda: node.root_path("c1"))
        running = asyncio.create_task(connector.run(["sh", "-c", "touch /run/started; sleep 60"], timeout=30))
        deadline = time.monotonic() + SECONDS
        while (await connector.run(["test", "-e", "/run/started"], timeout=SECONDS)).status:
            assert time.monotonic() < deadline
        await asyncio.to_thread(node.poweroff, "c1")
        assert await refused(running) == "remote.lost"
        assert await refused(connector.run(["true"], timeout=SECONDS)) == "remote.unreachable"
        assert await refused(connector.stream("/run/data/socket")) == "remote.unreachable"
        await asyncio.to_thread(node.poweron, "c1")
        assert (await connector.run(["true"], timeout=SECONDS)).status == 0

    asyncio.run(work())
