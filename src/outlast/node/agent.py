"""The node's agent: reads once, decides, does one thing, says one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from outlast.node import disk, hands, leaving, repair
from outlast.node.decide import RECOVERIES, Action, decide
from outlast.node.ends import Ends
from outlast.node.guard_events import GuardEvents
from outlast.node.identity import boot_id, code_digest, held
from outlast.node.prober import Prober
from outlast.node.reader import Kept, Reader
from outlast.node.recovery import Recovery, recoveries
from outlast.node.serve import Server
from outlast.node.supervisor import Supervisor
from outlast.node.view import Attempt, MemberView, View, step_digest
from outlast.node.watchers import Watchers
from outlast.record import events
from outlast.spec import bundle as bundles
from outlast.spec import snapshot as snapshots
from outlast.spec.bundle import Bundle, BundleMember
from outlast.spec.program import Step
from outlast.spec.snapshot import MemberState, Snapshot

IDLE = 1.0
"""Seconds between two cycles when nothing changes."""

BUSY = 0.25
"""Seconds between two cycles while members are on their way."""

GATHER = 0.2
"""Seconds that a cycle without anything to do lets answers gather before the next one."""

RECHECK = 60.0
"""Seconds after which files on disk are compared again although nobody announced a change."""


class Agent:
    """One per node. Owns the start, stop, restart and bootstrap of the node's members."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.bundle: Bundle | None = None
        self.code = code_digest()
        self.wake = asyncio.Event()
        self.prober = Prober(self.wake.set)
        self.memory_path = disk.HOME / "memory.json"
        self.boot_path = disk.RUN / "boot.json"
        self.memory_lock = threading.Lock()
        self.kept = Kept(disk.load(self.memory_path), disk.load(self.boot_path))
        self.journal: events.Journal | None = None
        self.guards = GuardEvents()
        self.checked_at = 0.0
        self.bundle_stamp: tuple[int, int] = (0, 0)
        self.snapshot = Snapshot("", os.uname().nodename, "", self.code, boot_id(), 0, "no bundle yet")
        self.snapshot_at = time.monotonic()
        self.said: dict[str, str] = {}
        self.cycle = 0
        self.paused = ""
        self.recoveries: Mapping[str, Recovery] = {}
        self.reader: Reader | None = None
        self.ends = Ends()
        self.watchers = Watchers(self._event, self.prober.hasten, self._primary)
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the code on disk is another one, or SIGTERM."""
        stopping = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stopping.set)
        server = Server({"/snapshot": self._answer_snapshot, "/events": self._answer_events})
        await server.listen_unix(disk.SOCKET)
        self.tasks |= self.watchers.start()
        listening = False
        while not stopping.is_set() and code_digest() == self.code:
            self.wake.clear()
            self._take_bundle()
            if self.bundle is None or self.reader is None:
                await self._pause(0.1)
                continue
            if not listening:
                await server.listen_tcp(self.bundle.agent_address, self.bundle.agent_port)
                listening = True
            await self._cycle(self.bundle, self.reader)
        if stopping.is_set() and self.bundle:
            await self._leave_node(self.bundle)

    async def _leave_node(self, bundle: Bundle) -> None:
        """Where all of the node is shut down, its programs leave the balancers before anything is stopped (D4)."""
        try:
            if await asyncio.to_thread(self.supervisor.shutting_down):
                members = [member for member in bundle.members if member.leaves]
                await asyncio.gather(self.watchers.uplink.leave(), *(self._leave(member) for member in members))
                # Supervisord ends one program after the other; that took 40 s for those that may end at once.
                services = {member.service for member in members}
                for state in (one for one in self.snapshot.members if one.service in services):
                    for program in state.programs:
                        hands.end(program.pid)
        except (OSError, xmlrpc.client.Error) as error:
            self._event("", "agent.ends", f"supervisord does not say whether the node is shut down: {error}")

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), seconds)

    def _take_bundle(self) -> None:
        """A new bundle is taken whole or not at all."""
        try:
            status = disk.BUNDLE.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self.bundle_stamp:
                return
            self.bundle = bundles.decode(disk.BUNDLE.read_bytes())
        except (FileNotFoundError, ValueError) as error:
            self.snapshot = replace(self.snapshot, sentence=f"no usable bundle: {error}")
            return
        self.bundle_stamp = stamp
        self.journal = events.Journal(disk.EVENTS, self.bundle.node)
        self.checked_at = 0.0
        self.kept.attempts.clear()
        self.watchers.adopt(self.bundle)
        self.recoveries = recoveries(self.bundle, self)
        self.reader = Reader(self.bundle, self.prober, self.recoveries, self.kept)
        self._event("", "agent.bundle", f"took bundle {self.bundle.digest}")

    async def _cycle(self, bundle: Bundle, reader: Reader) -> None:
        self.cycle += 1
        try:
            states = await asyncio.to_thread(self.supervisor.states)
        except (OSError, xmlrpc.client.Error) as error:
            self.snapshot = replace(self.snapshot, sentence=f"supervisord does not answer: {error}")
            self.snapshot_at = time.monotonic()
            await self._pause(0.5)
            return
        await self._check_files(bundle)
        self._tell_guards()
        for service, code, sentence in self.ends.seen(bundle.members, states):
            self._event(service, code, sentence)
        view = reader.read(states)
        self._note_pause(view.paused)
        actions = decide(view)
        todo = next((action for action in actions if action.kind != "none"), None)
        self._publish(bundle, view, actions, todo)
        if todo:
            await self._do(todo, view)
            return
        # Who has given one bad answer is asked again at once, although it still counts as well.
        settled = all(action.final for action in actions) and not any(member.sick for member in view.members)
        # While twenty members start, some answer changes every few milliseconds: one cycle takes several together.
        await asyncio.sleep(GATHER)
        await self._pause((IDLE if settled else BUSY) - GATHER)

    async def _check_files(self, bundle: Bundle) -> None:
        now = time.monotonic()
        if now - self.checked_at < RECHECK and self.checked_at:
            return
        for member in bundle.members:
            self.kept.stale[member.service] = await asyncio.to_thread(disk.stale, member.files)
            self.kept.stale_sections[member.service] = hands.stale_sections(member)
        self.checked_at = now

    # --- doing ---------------------------------------------------------------------------------------------------

    async def _do(self, action: Action, view: View) -> None:
        self._event(action.service, action.code, action.sentence, action.evidence)
        if action.kind == "forget":
            for program in view.strangers:
                await asyncio.to_thread(hands.forget, program, self.supervisor)
            return
        member = next(member for member in view.members if member.member.service == action.service)
        if action.kind == "step" and action.step:
            self._background(action.service, action.step.name, self._step(member.member, action.step))
        elif action.kind == "leave":
            self._background(action.service, "leave", self._leave(member.member))
        elif action.kind in RECOVERIES:
            recovery = self.recoveries[member.member.start]
            self._background(action.service, action.kind, self._recover(recovery, action, member))
        else:
            await self._quick(action, member)

    async def _quick(self, action: Action, view: MemberView) -> None:
        try:
            await asyncio.to_thread(self._quick_blocking, action, view)
        except (OSError, KeyError, xmlrpc.client.Error) as error:
            self._failed(action.service, action.kind, str(error))
            self._event(action.service, "action.failed", f"{action.kind} of {action.service} failed: {error}")
            return
        if action.kind not in ("start", "repair"):
            self.kept.attempts.pop((action.service, action.kind), None)

    def _quick_blocking(self, action: Action, view: MemberView) -> None:
        member = view.member
        name = member.service
        if action.kind == "files":
            hands.write_files(member, view.stale_files)
            self.kept.stale[name] = disk.stale(member.files)
        elif action.kind == "sections":
            hands.write_sections(member)
            self.kept.stale_sections[name] = hands.stale_sections(member)
        elif action.kind == "return":
            leaving.withdraw(member)
            self.kept.left.discard(name)
        elif action.kind == "stop":
            self.ends.expect(program.name for program in member.programs)
            hands.stop(view, self.supervisor)
        elif action.kind == "repair":
            self._kill(view, action.program)
        elif action.kind == "start":
            self.started(view)
        elif action.kind == "reload":
            hands.reload(member)
            self._remember(lambda memory: replace(memory, reloaded={**memory.reloaded, name: member.reload_digest}))

    def _kill(self, view: MemberView, program: str) -> None:
        """Supervisord starts it again, or its recovery rule does."""
        self.ends.expect([program])
        counted = (view.member.service, repair.key(program))
        self.kept.attempts[counted] = repair.counted(self.kept.attempts.get(counted), time.monotonic())
        stacks = any(one.stacks for one in view.member.programs if one.name == program)
        hands.kill(view.programs[program].pid, stacks)

    def started(self, view: MemberView) -> None:
        """Starts the member's programs and remembers the digest they run with, before they do."""
        member = view.member
        hands.start(view, self.supervisor)
        name = member.service
        self.kept.left.discard(name)
        self.kept.attempts[(name, "start")] = self._attempt(name, "start")
        self._remember(
            lambda memory: replace(
                memory,
                started={**memory.started, name: member.restart_digest},
                reloaded={**memory.reloaded, name: member.reload_digest},
            )
        )

    def _attempt(self, service: str, key: str) -> Attempt:
        """Repeated starts count as failures until `FORGIVE` seconds pass: a crash loop slows down by itself."""
        before = self.kept.attempts.get((service, key))
        now = time.monotonic()
        again = before is not None and now - before.at < 30
        return Attempt(now, before.failures + 1 if again and before else 0)

    def _failed(self, service: str, key: str, reason: str) -> None:
        before = self.kept.attempts.get((service, key))
        self.kept.attempts[(service, key)] = Attempt(time.monotonic(), (before.failures if before else 0) + 1, reason)

    def _background(self, service: str, what: str, work: object) -> None:
        self.kept.running[service] = what

        async def supervised() -> None:
            try:
                await work  # type: ignore[misc]
            except Exception as error:
                self._failed(service, what, str(error))
                self._event(service, "step.failed", f"{what} failed: {error}")
            finally:
                self.kept.running.pop(service, None)
                self.wake.set()

        task = asyncio.create_task(supervised())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _step(self, member: BundleMember, step: Step) -> None:
        begun = time.monotonic()
        await hands.run_step(step, member)
        self.kept.attempts.pop((member.service, step.name), None)
        digest = step_digest(step)
        if step.every_boot:
            self.kept.boot_memory = self.kept.boot_memory.with_step(digest)
            disk.save(self.boot_path, self.kept.boot_memory)
        else:
            self._remember(lambda memory: memory.with_step(digest))
        self._event(member.service, "step.done", f"{step.name} done in {time.monotonic() - begun:.1f} s")

    async def _leave(self, member: BundleMember) -> None:
        """Out of the balancers. Trouble with it changes nothing: then it is stopped as one that has no balancer."""
        try:
            sentence = await leaving.leave(member)
        except OSError as error:
            sentence = f"{member.service} could not leave the balancers: {error}"
        self.kept.left.add(member.service)
        self._event(member.service, "member.left", sentence)

    async def _recover(self, recovery: Recovery, action: Action, view: MemberView) -> None:
        await recovery.act(action.kind, view)
        self.kept.attempts.pop((action.service, action.kind), None)

    def _remember(self, change: Callable[[disk.Memory], disk.Memory]) -> None:
        # Actions run in threads: two changes at once must not lose one.
        with self.memory_lock:
            self.kept.memory = change(self.kept.memory)
            disk.save(self.memory_path, self.kept.memory)

    def remember_view(self, members: tuple[str, ...], number: int) -> None:
        """The database's primary component, durably: recovery after a total loss depends on it."""
        if (members, number) != (self.kept.memory.view, self.kept.memory.view_number):
            self._remember(lambda memory: replace(memory, view=members, view_number=number))

    # --- telling -------------------------------------------------------------------------------------------------

    def _event(self, service: str, code: str, sentence: str, evidence: str = "") -> None:
        if self.journal:
            self.journal.add(time.time(), service, code, sentence, evidence)

    def _tell_guards(self) -> None:
        if journal := self.journal:
            for told in self.guards.news():
                journal.add(told.at, told.service, told.code, told.sentence, told.evidence)

    def _publish(self, bundle: Bundle, view: View, actions: tuple[Action, ...], todo: Action | None) -> None:
        by_service = {action.service: action for action in actions}
        members = []
        for member in view.members:
            action = by_service[member.member.service]
            self._say(member, action)
            members.append(_state(member, action))
        chosen = todo or next((action for action in actions if not action.final), None)
        galera = next((item.fact() for item in self.recoveries.values()), None)
        self.snapshot = Snapshot(
            cluster=bundle.cluster,
            node=bundle.node,
            bundle=bundle.digest,
            code=self.code,
            boot=boot_id(),
            cycle=self.cycle,
            sentence=chosen.sentence if chosen else "all members are well",
            members=tuple(members),
            vips=held(bundle.vips),
            galera=galera,
            has_data=tuple(name for name, item in self.recoveries.items() if item.fact().has_data),
            settled=all(action.final for action in actions) and not view.paused,
            paused=view.paused,
        )
        self.snapshot_at = time.monotonic()

    def _primary(self) -> bool:
        return self.snapshot.galera is not None and self.snapshot.galera.state == "primary"

    def _note_pause(self, reason: str) -> None:
        if reason != self.paused:
            code, sentence = (
                ("agent.paused", f"repair is paused: {reason}") if reason else ("agent.resumed", "repair goes on")
            )
            self._event("", code, sentence)
        self.paused = reason

    def _say(self, member: MemberView, action: Action) -> None:
        """A waiting sentence becomes an event once, when its code changes."""
        name = member.member.service
        if action.kind == "none" and self.said.get(name) != action.code:
            self._event(name, action.code, action.sentence)
        self.said[name] = action.code

    def _answer_snapshot(self, query: Mapping[str, str]) -> bytes:
        return snapshots.encode(replace(self.snapshot, age=time.monotonic() - self.snapshot_at))

    def _answer_events(self, query: Mapping[str, str]) -> bytes:
        """Events behind the `after`-th, from `since` on (wall time); the guards' are among them, a little later."""
        found = events.read(disk.EVENTS, int(query.get("after", "0") or 0))
        since = float(query.get("since", "0") or 0)
        kept = sorted((event for event in found if event.at >= since), key=lambda event: event.at)
        return msgspec.json.encode(kept[-int(query.get("last", "2000")) :])


def _state(member: MemberView, action: Action) -> MemberState:
    converged = member.up and member.started == member.member.restart_digest and not member.stale_files
    setup = all(step_digest(step) in member.steps_done for step in member.member.setup)
    phase = "settled" if action.final else "refused" if action.code == "member.refused" else _phase(member, action)
    sentence = action.sentence if not action.final else member.health.sentence
    return MemberState(
        member.member.service, member.health, phase, sentence, converged, setup, tuple(member.programs.values())
    )


def _phase(member: MemberView, action: Action) -> str:
    return "running" if member.up else action.kind if action.kind != "none" else "waiting"


def main(argv: list[str]) -> int:
    """`outlast-node agent`."""
    asyncio.run(Agent(Supervisor()).run())
    return 0
