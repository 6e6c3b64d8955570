"""View → one Action. Pure: the agent reads once, decides here, does one thing and says one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.node.repair import next_repair
from outlast.node.space import ORDERLY, STEADY, spared
from outlast.node.view import Attempt, Direction, MemberView, Shortage, View, step_digest
from outlast.spec.program import Step

BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds to wait before the n-th retry; the last one goes on for ever: nothing is given up silently."""

FORGIVE = 120.0
"""Seconds after which old failures count no more, success or not."""


@dataclass(frozen=True)
class Action:
    """One thing to do. `kind` none means that nothing is to be done or that something is waited for.

    kind: none, files, step, sections, start, leave, return, stop, reload, repair, forget, and of the recovery rules
    bootstrap, pc-bootstrap, renew, position, permit, return-permit
    `program`: which one a repair kills. `evidence`: what the decision rests on, for the event.
    """

    kind: str
    service: str
    code: str
    sentence: str
    step: Step | None = None
    final: bool = False
    program: str = ""
    evidence: str = ""


def decide(view: View) -> tuple[Action, ...]:
    """One action or waiting sentence per member, in start order, and one per program that nobody wants any more.

    The caller does the first that is not "none"; the rest tells what each member waits for.
    """
    if view.paused:
        return tuple(_paused(member, view.now, view.paused) for member in view.members)
    strangers = tuple(
        Action("forget", "", "program.stranger", f"{name} is not in the bundle any more: removing it")
        for name in view.strangers
    )
    return strangers + tuple(member_action(member, view.now) for member in view.members)


def _paused(view: MemberView, now: float, reason: str) -> Action:
    """What would be done is said and not done; who has nothing to do is still well, or waits as before.

    One thing is done: who was on its way out of the balancers would serve nobody for as long as the pause lasts.
    """
    action = member_action(view, now)
    if view.leaving and view.up and not view.running:
        name = view.member.service
        back = Action("return", name, "member.return", f"paused ({reason}): {name} goes on as it is, in the balancers")
        return _backed_off(back, view, now)
    if action.kind == "none":
        return action
    return _wait(action.service, "agent.paused", f"paused ({reason}); would do: {action.sentence}")


RECOVERIES = frozenset({"bootstrap", "pc-bootstrap", "renew", "position", "permit", "return-permit"})
"""Actions that a recovery rule's own hands do."""

CHECK = "check"
"""Name of the prepare steps that ask a program whether it would take its new configuration."""

QUICK = frozenset({"files", "sections", "return", "stop", "reload"})
"""Actions done on the spot. One that fails waits like everything else: a member must not starve the others."""


def member_action(view: MemberView, now: float) -> Action:
    """What is next for one member."""
    return _backed_off(_heard(_next_action(view, now), view), view, now)


def _heard(action: Action, view: MemberView) -> Action:
    """A stop waits until it is known whether its signal would be heard: for one answer, or its probe's time limit."""
    unknown = [name for name, come_up in view.deaf.items() if come_up is None]
    if action.kind == "stop" and unknown:
        sentence = f"{action.sentence}, once {unknown[0]} was asked whether it has come up"
        return _wait(action.service, "member.unasked", sentence)
    return action


def _backed_off(action: Action, view: MemberView, now: float) -> Action:
    attempt = view.attempts.get(action.kind) if action.kind in QUICK else None
    wait = _backoff(attempt, now)
    if attempt and wait > 0:
        sentence = f"{action.sentence} failed ({attempt.reason}), again in {wait:.1f} s"
        return _wait(action.service, "action.backoff", sentence)
    return action


def _next_action(view: MemberView, now: float) -> Action:
    name = view.member.service
    if view.running:
        return _wait(name, "member.busy", f"{view.running} is under way")
    if view.shortage and spared(view.others, view.shortage, now):
        return _short(view, view.shortage, now)
    if view.stale_files:
        paths = ", ".join(view.stale_files[:3]) + (" …" if len(view.stale_files) > 3 else "")
        return Action("files", name, "member.files", f"writing {paths}")
    # Preparing may be done while the old programs still run; they stop only for the moment of the exchange.
    step = next_step(view, view.member.prepare)
    if step:
        return _step_action(view, step, now)
    converged = view.started == view.member.restart_digest
    if view.up and converged:
        return _running(view, now)
    if view.up and view.member.leaves and not view.left and view.health.status == "ok":
        return Action("leave", name, "member.leave", f"taking {name} out of the balancers: its configuration changed")
    if view.up:
        return Action("stop", name, "member.outdated", f"stopping {name}: its configuration changed")
    return _starting(view, now, converged)


def _short(view: MemberView, shortage: Shortage, now: float) -> Action:
    name, why = view.member.service, shortage.sentence
    if view.down:
        return _wait(name, "member.short", f"{name} stays away: {why}; the others go on without it")
    stopping = next((one.name for one in view.member.programs if view.state(one.name) == "STOPPING"), "")
    if stopping and now - shortage.since >= STEADY + ORDERLY:
        words = f"{stopping} has not ended within {ORDERLY:g} s and has no space to write: killing it"
        return Action("repair", name, "member.short", words, program=stopping)
    if stopping:
        return _wait(name, "member.stopping", f"{name} is stopping")
    return Action("stop", name, "member.short", f"stopping {name}: {why}; the others can do without it")


def _starting(view: MemberView, now: float, converged: bool) -> Action:
    name = view.member.service
    if any(view.state(program.name) == "STOPPING" for program in view.member.programs):
        return _wait(name, "member.stopping", f"{name} is stopping")
    outdated = view.stale_sections or not converged
    if outdated and not view.down:
        return Action("stop", name, "member.outdated", f"stopping {name}: its configuration changed")
    if view.stale_sections:
        return Action("sections", name, "member.programs", f"writing the sections of {name}'s programs")
    for probe, answer in zip(view.member.needs, view.needs, strict=True):
        if not answer.good:
            what = answer.sentence or f"{probe.kind} {probe.address}:{probe.port} was not asked yet"
            return _wait(name, "member.needs", f"{name} waits for {what}")
    wait = _backoff(view.attempts.get("start"), now)
    if wait > 0:
        return _wait(name, "member.backoff", f"{name} is started again in {wait:.1f} s")
    if view.direction is None:
        return Action("start", name, "member.start", f"starting {name}")
    return _directed(view, view.direction, now)


def _directed(view: MemberView, direction: Direction, now: float) -> Action:
    name = view.member.service
    wait = _backoff(view.attempts.get(direction.kind), now)
    if direction.kind == "wait" or wait > 0:
        again = f" (again in {wait:.1f} s)" if wait > 0 else ""
        return _wait(name, direction.code, f"{direction.sentence}{again}")
    kind = direction.kind if direction.kind in RECOVERIES else "start"
    return Action(kind, name, direction.code, direction.sentence)


def _running(view: MemberView, now: float) -> Action:
    name = view.member.service
    if view.leaving:
        return Action("return", name, "member.return", f"{name} is needed again as it is: back into the balancers")
    repair = next_repair(view, now)
    if repair and repair.due:
        return Action("repair", name, repair.code, repair.sentence, program=repair.program, evidence=repair.evidence)
    if view.reloaded != view.member.reload_digest and view.member.reload:
        return Action("reload", name, "member.reload", f"reloading {name}: its configuration changed")
    direction = view.direction
    if direction is not None and direction.kind in ("pc-bootstrap", "restart", "position", "permit", "return-permit"):
        wait = _backoff(view.attempts.get(direction.kind), now)
        if wait > 0:
            return _wait(name, direction.code, f"{direction.sentence} (again in {wait:.1f} s)")
        # Positions are read from stopped members; a restart is a stop that the next cycle follows up.
        kind = "stop" if direction.kind in ("restart", "position") else direction.kind
        return Action(kind, name, direction.code, direction.sentence)
    step = next_step(view, view.member.setup)
    # A step that names its own needs does not depend on the member: it may run while the member still starts.
    if step and (view.health.status == "ok" or step.needs):
        return _step_action(view, step, now)
    if repair:
        return _wait(name, repair.code, repair.sentence)
    if view.health.status != "ok":
        return _wait(name, view.health.code, view.health.sentence)
    if direction is not None and direction.kind == "wait":
        # The probes are faster than the rule's own eyes; a member that both do not see in the cluster is not there yet.
        return _wait(name, direction.code, direction.sentence)
    return Action("none", name, "member.settled", f"{name} is well", final=True)


def next_step(view: MemberView, steps: tuple[Step, ...]) -> Step | None:
    """The first of the steps that is not done yet."""
    return next((step for step in steps if step_digest(step) not in view.steps_done), None)


def _step_action(view: MemberView, step: Step, now: float) -> Action:
    name = view.member.service
    for answer in view.step_needs:
        if not answer.good:
            return _wait(name, "step.needs", f"{step.name} waits for {answer.sentence or 'its first answer'}")
    attempt = view.attempts.get(step.name)
    wait = _backoff(attempt, now)
    if attempt and wait > 0:
        # Once may be a busy machine; a second time it is the configuration, and whoever waits for it should know.
        code = "member.refused" if step.name == CHECK and attempt.failures > 1 else "step.backoff"
        return _wait(name, code, f"{step.name} failed ({attempt.reason}), again in {wait:.1f} s")
    return Action("step", name, "step.run", f"running {step.name} for {name}", step=step)


def _backoff(attempt: Attempt | None, now: float) -> float:
    """Seconds still to wait; 0 when it may be tried."""
    if attempt is None or attempt.failures == 0 or now - attempt.at > FORGIVE:
        return 0.0
    pause = BACKOFF[min(attempt.failures, len(BACKOFF) - 1)]
    return max(0.0, attempt.at + pause - now)


def _wait(service: str, code: str, sentence: str) -> Action:
    return Action("none", service, code, sentence)
