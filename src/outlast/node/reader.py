"""What the agent reads at the begin of a cycle: programs, answers, recovery rules, as one View. Waits for nothing."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from outlast.node import disk, leaving
from outlast.node.decide import next_step
from outlast.node.free_space import Spaces
from outlast.node.peers import Peers
from outlast.node.prober import Prober
from outlast.node.recovery import Recovery
from outlast.node.repair import disposable, in_question
from outlast.node.strain import IDLE, Strain
from outlast.node.unread import waits
from outlast.node.view import UP, Asked, Attempt, MemberView, Sickness, View
from outlast.spec.bundle import Bundle, BundleMember
from outlast.spec.probe import Health, Probe
from outlast.spec.program import Step
from outlast.spec.snapshot import ProgramState


@dataclass
class Kept:
    """What the agent keeps from one cycle to the next. `attempts` by service and name; the rest by service.

    left: services that are out of the balancers and have nothing in flight.
    stale, stale_sections: files that differ from the bundle; running: the step or action that is under way.
    """

    memory: disk.Memory
    boot_memory: disk.Memory
    running: dict[str, str] = field(default_factory=dict)
    attempts: dict[tuple[str, str], Attempt] = field(default_factory=dict)
    stale: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stale_sections: dict[str, bool] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    spaces: Spaces = field(default_factory=Spaces)


class Reader:
    """One per bundle."""

    def __init__(self, bundle: Bundle, prober: Prober, recoveries: Mapping[str, Recovery], kept: Kept) -> None:
        self.bundle = bundle
        self.prober = prober
        self.recoveries = recoveries
        self.kept = kept
        self.peers = Peers(bundle)
        self.strain = Strain()

    def read(self, states: Mapping[str, ProgramState]) -> View:
        """The node now; questions that are due go out."""
        wanted: dict[Hashable, Probe] = {}
        self.kept.spaces.look(self.bundle.members, time.monotonic())
        members = self._strained(tuple(self._member(member, states, wanted) for member in self.bundle.members))
        self.prober.refresh(wanted, states)
        ours = {program.name for member in self.bundle.members for program in member.programs}
        # One that is stopping is asked about again when it has stopped, instead of as fast as the agent can turn.
        strangers = tuple(name for name, state in states.items() if name not in ours and state.state != "STOPPING")
        return View(time.monotonic(), self.bundle.node, members, strangers, paused=disk.paused())

    def _member(
        self, member: BundleMember, states: Mapping[str, ProgramState], wanted: dict[Hashable, Probe]
    ) -> MemberView:
        name, kept = member.service, self.kept
        view = MemberView(
            member=member,
            stale_files=kept.stale.get(name, ()),
            programs={program.name: states[program.name] for program in member.programs if program.name in states},
            stale_sections=kept.stale_sections.get(name, True),
            started=kept.memory.started.get(name, ""),
            reloaded=kept.memory.reloaded.get(name, ""),
            needs=(),
            step_needs=(),
            health=Health("stopped", "member.stopped", f"{name} does not run"),
            steps_done=kept.memory.steps | kept.boot_memory.steps,
            running=kept.running.get(name, ""),
            attempts={key: attempt for (service, key), attempt in kept.attempts.items() if service == name},
            repair_after=self.bundle.repair_after,
            leaving=leaving.announced(member),
            left=name in kept.left,
        )
        view = self._asked(view, wanted) if view.up else self._partly(view, wanted)
        view = self._short(self._deaf(view))
        step = pending_step(view)
        step_needs = self._ask(name, "step", step.needs if step else (), wanted)
        recovery = self.recoveries.get(member.start)
        direction = recovery.direction(view) if recovery else None
        return replace(view, step_needs=step_needs, direction=direction)

    def _asked(self, view: MemberView, wanted: dict[Hashable, Probe]) -> MemberView:
        """With its health, with what is sick, and with what must be known before anything is done about that."""
        member = view.member
        keys: dict[Hashable, tuple[str, ...]] = {}
        for key, probe, names in _questions(view):
            keys[key], wanted[key] = names, probe
        view = replace(view, health=self.prober.health(member.service, keys))
        sick = self.prober.sick({key: names[0] for key, names in keys.items() if len(names) == 1})
        if not sick or not view.repair_after:
            return view
        others = self.peers.others(member.service) if member.quorum else view.others
        return replace(view, sick=sick, needs=self._needs(view, wanted), others=others)

    def _short(self, view: MemberView) -> MemberView:
        """Short of space: not well in the others' eyes, so that of two none relies on the other."""
        shortage = self.kept.spaces.short.get(view.member.service) if view.repair_after else None
        if shortage is None:
            return view
        health = Health("failed", "member.short", shortage.sentence)
        return replace(view, shortage=shortage, health=health, others=self.peers.others(view.member.service))

    def _partly(self, view: MemberView, wanted: dict[Hashable, Probe]) -> MemberView:
        """While one program is down the others are asked on: one that hung before would seem to have just begun."""
        for key, probe, names in _questions(view):
            if names and all(view.state(name) in UP for name in names):
                wanted[key] = probe
        return replace(view, needs=self._needs(view, wanted))

    def _deaf(self, view: MemberView) -> MemberView:
        """Whether those that hear no stop signal while they start have come up; also where another one is down."""
        found: dict[str, bool | None] = {}
        for program in view.member.programs:
            if program.deaf_start and view.state(program.name) in UP:
                asked = [key for key, _, names in _questions(view) if names == (program.name,)]
                found[program.name] = self.prober.has_come_up(asked)
        return replace(view, deaf=found)

    def _needs(self, view: MemberView, wanted: dict[Hashable, Probe]) -> tuple[Asked, ...]:
        return self._ask(view.member.service, "needs", view.member.needs, wanted)

    def _ask(self, name: str, what: str, probes: tuple[Probe, ...], wanted: dict[Hashable, Probe]) -> tuple[Asked, ...]:
        keys = [(name, what, probe) for probe in probes]
        wanted.update(zip(keys, probes, strict=True))
        return tuple(self.prober.asked(key) for key in keys)

    def _strained(self, members: tuple[MemberView, ...]) -> tuple[MemberView, ...]:
        now = time.monotonic()
        silent = {
            one.program: view.programs[one.program].pid
            for view in members
            for one in view.sick
            if one.silent and in_question(one, now)
        }
        seen = self.strain.look(silent)
        if not seen:
            return members
        return tuple(
            replace(view, sick=tuple(_with_evidence(view, one, seen.get(one.program, IDLE)) for one in view.sick))
            for view in members
        )


def _with_evidence(view: MemberView, sick: Sickness, strain: str) -> Sickness:
    """What the kernel says of a program whose answers are bad."""
    asked = sick.silent and disposable(view, sick.program)
    return replace(sick, strain=strain, waits=asked and waits(view.member.probes, sick.program))


def _questions(view: MemberView) -> Iterator[tuple[Hashable, Probe, tuple[str, ...]]]:
    """A member's probes, each with the key that its answers are kept under and with the programs that it speaks of."""
    member = view.member
    for index, probe in enumerate(member.probes):
        names = speakers(member, probe)
        if all(name in view.programs for name in names):
            # What a program said before it was started anew, by whomever, counts no more.
            pids = tuple(view.programs[name].pid for name in names)
            yield (member.service, view.started, index, pids), probe, names


def speakers(member: BundleMember, probe: Probe) -> tuple[str, ...]:
    """The programs that a probe's answer speaks of; none where it speaks of the network, which no restart mends."""
    if probe.kind in ("guard", "carrier"):
        return ()
    names = tuple(program.name for program in member.programs)
    said = probe.path if probe.kind == "process" else probe.program
    return (said,) if said in names else names


def pending_step(view: MemberView) -> Step | None:
    """The step whose needs are worth asking: the one that `decide` would run next."""
    step = next_step(view, view.member.prepare)
    if step is None and view.up and view.started == view.member.restart_digest:
        return next_step(view, view.member.setup)
    return step
