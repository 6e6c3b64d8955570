"""Labs of the tests' own: a cluster file under a name nobody else uses, verbs through the real command, a sure end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from outlast.errors import OutlastError
from outlast.lab import ownership
from outlast.lab.processes import MARK_VARIABLE
from outlast.lab.state import place
from outlast.observe.collect import Answer, Unreachable, collect
from outlast.pipeline.target import LABS, NOTE, Target, open_target
from outlast.pipeline.verbs import all_events
from outlast.record.events import Event
from outlast.spec.snapshot import GaleraFact, MemberState

T = TypeVar("T")

POLL = 0.1
"""Seconds between two looks at a condition."""

NETWORKS = """
networks:
  management: {cidr: 10.60.0.0/24}
  control-data: {cidr: 10.61.0.0/24}
  tunnel: {cidr: 10.62.0.0/24}
  external: {cidr: 10.63.0.0/24, gateway: 10.63.0.1, pool: [10.63.0.100, 10.63.0.199]}
"""
"""The same in every lab: labs are cut off from each other."""

VIPS = """
vips:
  external: {address: 10.60.0.250}
  internal: {address: 10.61.0.250}
"""

SUPERVISOR = ("/opt/outlast/bin/supervisorctl", "-c", "/etc/outlast/supervisord.conf")

# Where a developer names a root in $OUTLAST_TEST_IMAGE, no image is built for an unfinished recipe.
IMAGE = os.environ.get("OUTLAST_TEST_IMAGE", "")
_COMMAND = ("-m", "outlast.cli.main")
_WITH_IMAGE = (
    "-c",
    "import os, pathlib\n"
    "import outlast.pipeline.up as up\n"
    "from outlast.lab.image.build import GUEST, Image\n"
    "root = pathlib.Path(os.environ['OUTLAST_TEST_IMAGE'])\n"
    "up.build_image = lambda progress: Image(root, 'given', root / GUEST)\n"
    "from outlast.cli.main import main\n"
    "main()",
)


def until(condition: Callable[[], T], seconds: float, what: str | Callable[[], object], poll: float = POLL) -> T:
    """The condition's value as soon as it is true. Fails with `what` (words, or a call that finds some) in the end."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            words = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s: {words}")
        time.sleep(poll)


def sweep(home: Path = LABS) -> list[str]:
    """Remove the labs of test runs that were killed: the process that is part of their names is there no more.

    A process of another kind may have its number meanwhile: then it is left for a later run. What could not be removed
    is said, and no reason to test nothing.
    """
    found = []
    for folder in sorted(home.glob("t-*")):
        owner = re.fullmatch(r"t-.+-(\d+)-[0-9a-f]{5}", folder.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            (folder / NOTE).unlink(missing_ok=True)
            try:
                ownership.destroy(folder)
            except OutlastError as error:
                found.append(f"{folder.name} of a former test run stays: {error}")
            else:
                found.append(f"{folder.name} of a former test run is removed")
    return found


class Cluster:
    """One lab: its file, the command, and eyes that look past the command."""

    def __init__(self, folder: Path, label: str, name: str = "") -> None:
        self.name = name or f"t-{label}-{os.getpid()}-{uuid.uuid4().hex[:5]}"
        self.path = folder / f"{self.name}.yaml"

    # --- the file and the command --------------------------------------------------------------------------------

    def write(self, body: str) -> None:
        # Whole or not at all: other threads of a test read it meanwhile.
        draft = self.path.with_suffix(".draft")
        draft.write_text(f"cluster: {self.name}\n{body}")
        draft.replace(self.path)

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, *(_WITH_IMAGE if IMAGE else _COMMAND), *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command in the background, for this cluster."""
        return subprocess.Popen(
            self.argv(*words, "-f", str(self.path)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, *words: str, status: int = 0, timeout: float = 300.0, options: Sequence[str] = (), file: bool = True
    ) -> str:
        """The command to its end; what it printed. Fails when it ends with another exit status."""
        try:
            done = subprocess.run(
                self.argv(*words, *(["-f", str(self.path)] if file else []), *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                env={**os.environ, "OUTLAST_CLUSTER": str(self.path)},
            )
        except subprocess.TimeoutExpired as late:
            events = [f"{one.at:.1f} {one.node} {one.service} {one.sentence}" for one in self.events()[-40:]]
            raise AssertionError("\n".join([f"{late}", f"{late.stdout!r}", *self.unsettled(), *events])) from late
        assert done.returncode == status, f"outlast {' '.join(words)}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def up(self, timeout: float = 300.0) -> dict[str, Any]:
        """`up --json` to its end: its report."""
        report: dict[str, Any] = json.loads(self.run("up", "--json", timeout=timeout))
        return report

    # --- eyes ----------------------------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        return open_target(self.path)

    def answers(self) -> Mapping[str, Answer]:
        """What every node's agent says now; a node without power has no answer."""

        async def ask() -> Mapping[str, Answer]:
            async with self.target.reached() as connectors:
                return await collect(connectors)

        return asyncio.run(ask())

    def members(self, service: str) -> dict[str, MemberState]:
        """The members of a service whose agents answer, by node."""
        return {
            node: state
            for node, answer in self.answers().items()
            if not isinstance(answer, Unreachable)
            for state in answer.members
            if state.service == service
        }

    def unsettled(self) -> list[str]:
        """What is not as the bundles say and well, in words."""
        found = []
        for node, answer in self.answers().items():
            if isinstance(answer, Unreachable):
                found.append(f"{node}: {answer.reason}")
                continue
            found += [f"{one.service} on {node}: {one.sentence}" for one in answer.members if one.phase != "settled"]
            if not answer.members:
                found.append(f"{node}: {answer.sentence}")
        return found

    def await_settled(self, seconds: float) -> float:
        """Waits until every member of every node is well; the seconds it took."""
        begun = time.monotonic()
        # A look asks every node (20 ms of processor time): ten a second would take it from what is waited for.
        until(lambda: not self.unsettled(), seconds, self.unsettled, poll=0.5)
        return time.monotonic() - begun

    def galera(self) -> dict[str, GaleraFact]:
        """What each node knows of its own database."""
        return {
            node: answer.galera
            for node, answer in self.answers().items()
            if not isinstance(answer, Unreachable) and answer.galera is not None
        }

    def programs(self) -> dict[tuple[str, str], tuple[int, float]]:
        """Pid and start time of every program that runs."""
        return {
            (node, program.name): (program.pid, program.started)
            for node, answer in self.answers().items()
            if not isinstance(answer, Unreachable)
            for member in answer.members
            for program in member.programs
            if program.pid
        }

    def events(self, node: str = "", service: str = "", after: float = 0.0) -> list[Event]:
        return [event for event in asyncio.run(all_events(self.target, node, service)) if event.at > after]

    def holders(self, vip: str) -> list[str]:
        """Nodes whose kernel has the address, asked in their network namespaces and not by their agents."""
        return [node for node in self.powered() if f"inet {vip}/" in self.inside(node, "ip", "-o", "addr")]

    def powered(self) -> list[str]:
        return [node for node, state in self.target.lab.status().nodes.items() if state == "on"]

    # --- hands ---------------------------------------------------------------------------------------------------

    def entry(self, node: str, *argv: str) -> list[str]:
        return [*self.target.lab.enter_argv(node), *argv]

    def inside(self, node: str, *argv: str, given: str = "", timeout: float = 60.0, check: bool = True) -> str:
        """A command on a node; its output and complaints."""
        done = subprocess.run(
            self.entry(node, *argv),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"{argv} on {node}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    @contextmanager
    def running(self, node: str, *argv: str, given: str = "") -> Iterator[subprocess.Popen[str]]:
        """A command on a node while the block lasts; it is killed at the end if it still runs."""
        # What we start is the command's parent: without this the command would outlive it.
        words = self.entry(node, "setpriv", "--pdeathsig", "KILL", *argv)
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            if process.stdin:
                with suppress(BrokenPipeError):
                    process.stdin.write(given)
                    process.stdin.close()
                process.stdin = None
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    @contextmanager
    def following(self, node: str, *argv: str, given: str = "") -> Iterator[list[str]]:
        """A command on a node while the block lasts: the list grows with every whole line it prints."""
        said: list[str] = []
        with self.running(node, *argv, given=given) as process:
            reader = threading.Thread(target=_follow, args=(process, said))
            reader.start()
            try:
                yield said
            finally:
                process.kill()
                reader.join()

    def sql(self, node: str, statement: str, *, check: bool = True, timeout: float = 20.0) -> str:
        """Rows as lines, asked by the node's own socket."""
        argv = ("mariadb", "--no-defaults", "--socket=/run/mysqld/mysqld.sock", "--batch", "--skip-column-names")
        return self.inside(node, *argv, given=statement, check=check, timeout=timeout).strip()

    def count(self, node: str, path: str) -> int:
        """The number in a file of a node; 0 where there is none."""
        return int(self.inside(node, "sh", "-c", f"cat {path} 2>/dev/null || true").strip() or 0)

    def agent(self, node: str) -> int:
        """The pid of a node's agent, 0 while it is not running."""
        return int(self.inside(node, *SUPERVISOR, "pid", "outlast-agent"))

    def poweroff(self, *nodes: str) -> None:
        """The plugs of all these nodes at once."""
        _all(self.target.lab.poweroff, nodes)

    def poweron(self, *nodes: str) -> None:
        for node in nodes:
            self.target.lab.poweron(node)

    def remove(self) -> None:
        """`down`, and a look of our own at whether anything is left."""
        state_dir = self.target.state_dir
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.run("down", timeout=120)
        try:
            left = [*ownership.leftovers(state_dir), *_traces(place(state_dir).lab_id, state_dir)]
        finally:
            with suppress(OutlastError):
                ownership.destroy(state_dir)
        assert left == [], f"`down` left {left}"


def _all(act: Callable[[str], None], nodes: Iterable[str]) -> None:
    """One thread per node, so that all go at the same moment."""
    from concurrent.futures import ThreadPoolExecutor

    names = tuple(nodes)
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(act, names))


def _follow(process: subprocess.Popen[str], said: list[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        # A power cut may cut a line short; what it would have said was not heard by anybody.
        if line.endswith("\n"):
            said.append(line.rstrip("\n"))


def _traces(lab_id: str, state_dir: Path) -> list[str]:
    """Namespaces, loop devices, links and processes of a lab, found without any of the product's own code."""
    found = [str(path) for folder in ("/run/netns", "/sys/class/net") for path in Path(folder).glob(f"*{lab_id}*")]
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            found += [str(path)] if str(state_dir) in path.read_text() else []
    mark = f"{MARK_VARIABLE}={lab_id}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found += [str(path.parent)] if mark in path.read_bytes().split(b"\0") else []
    return found


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """kill -9 of a command and its children after so many seconds; False when it had ended before."""
    try:
        process.communicate(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        kill_now(process)
        return True


def kill_now(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
