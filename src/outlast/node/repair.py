"""When a program that runs is killed and started again: a pure rule. Times are monotonic seconds.

Taken from what operators report of automatic repair (two of its failures are "made it worse" and "gave up for ever"):
only the faulty program is touched; slow is not hung, and coming up is not failed; a program is not blamed for what it
depends on; of a service that needs a majority only the odd one is touched; every repair waits longer than the one
before, and that is forgotten with time, so nothing is given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from outlast.node.view import Attempt, MemberView, Sickness

ANSWERS = 2
"""Bad answers in a row that are needed besides the time: one may be lost by chance."""

LIMITS = {"idle": 0.0, "busy": 20.0, "starved": 300.0}
"""Seconds instead of `repair_after`, where that is shorter, by what the program does meanwhile. One that computes may
still come to answer (a loop never does); on a node that is overloaded a restart costs more than it brings."""

REAPED = 3.0
"""Seconds within which supervisord has seen that a killed program is dead; what is known of it until then is old."""

START_LIMIT = 180.0
"""For one that has not answered well since its start and does nothing. Thrice what an API took here when three nodes
booted at once."""

SLOW_START_LIMIT = 900.0
"""The same for one that is at work, or kept from it: where loading takes long, loading again takes as long."""

PAUSES = (0.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds between the n-th repair of a program and the next; the last goes on for ever."""

FORGET = 300.0
"""Seconds without a repair after which the next one is the first again."""

REJOIN = 5.0
"""Seconds that a member which answers, but wrongly, gets to find the others once they are a majority: OVN's databases
needed one to two when a network was whole again; restarted in that moment they kept Neutron waiting for four."""

STAGGER = 10.0
"""Without a majority of well members, hung ones are restarted one after the other, so many seconds apart."""


@dataclass(frozen=True)
class Repair:
    """What to do about one sick program: kill it (`due`), or wait for what the sentence says."""

    program: str
    due: bool
    code: str
    sentence: str
    evidence: str = ""


def next_repair(view: MemberView, now: float) -> Repair | None:
    """The first sick program that may be repaired, else why the first one may not; None where nothing is due yet."""
    if not view.repair_after:
        return None
    found = [_judge(view, sick, now) for sick in view.sick if _overdue(view, sick, now)]
    return next((repair for repair in found if repair.due), found[0] if found else None)


def in_question(sick: Sickness, now: float) -> bool:
    """Whether what the program does meanwhile may decide soon. To find out costs something while a node comes up."""
    return sick.was_well or now - sick.since >= START_LIMIT / 2


def key(program: str) -> str:
    """Under which name a program's repairs are counted among its member's attempts."""
    return f"repair {program}"


def _overdue(view: MemberView, sick: Sickness, now: float) -> bool:
    plain = view.member.start == "plain"
    if not sick.was_well:
        # Recovery rules and members that wait for each other know better how long a start may take.
        limit = START_LIMIT if sick.strain == "idle" else SLOW_START_LIMIT
        return plain and not view.member.quorum and now - sick.since >= limit
    if not plain and not sick.silent:
        return False
    attempt = view.attempts.get(key(sick.program))
    if attempt and attempt.at >= sick.since and now - attempt.at < REAPED:
        return False
    # That it did not answer may be our own fault, late as we may be; that it does not read is the kernel's word.
    if sick.silent and sick.waits and sick.strain == "idle" and disposable(view, sick.program):
        return True
    return sick.answers >= ANSWERS and now - sick.since >= max(LIMITS[sick.strain], view.repair_after)


def disposable(view: MemberView, name: str) -> bool:
    """Whether nobody would miss what the program holds."""
    return any(program.disposable for program in view.member.programs if program.name == name)


def _judge(view: MemberView, sick: Sickness, now: float) -> Repair:
    what = f"{sick.program} has {_fault(sick)} for {now - sick.since:.1f} s ({sick.sentence})"
    reason = _unmet(view) or _no_majority(view, sick, now) or _too_soon(view.attempts.get(key(sick.program)), now)
    evidence = f"{sick.answers} bad answers; {_seen(view)}"
    if reason:
        return Repair(sick.program, False, reason[0], f"{what}, not restarted: {reason[1]}", evidence)
    code = "program.hung" if sick.silent else "program.wrong" if sick.was_well else "program.never-well"
    if any(one.stacks for one in view.member.programs if one.name == sick.program):
        evidence += "; what its threads did is asked for, into its log"
    return Repair(sick.program, True, code, f"{what}: killing it", evidence)


def _fault(sick: Sickness) -> str:
    if not sick.was_well:
        return "not come up"
    return "not answered" if sick.silent else "answered wrongly"


def _unmet(view: MemberView) -> tuple[str, str] | None:
    for answer in view.needs:
        if not answer.good:
            return "repair.needs", f"it depends on {answer.sentence}" if answer.sentence else "asking what it needs"
    return None


def _no_majority(view: MemberView, sick: Sickness, now: float) -> tuple[str, str] | None:
    if not view.member.quorum:
        return None
    if view.others.majority:
        left = REJOIN - (now - view.others.since)
        if sick.silent or left <= 0:
            return None
        return "repair.rejoining", f"the others are a majority again, it has {left:.0f} s to find them by itself"
    words = f"only {view.others.well} of {view.others.of} other members are well"
    # Who is hung helps no majority. Who answers may be part of the next one: a restart would only delay it.
    turn = STAGGER * (1 + view.member.index)
    if sick.silent and now - sick.since >= turn:
        return None
    return "repair.no-majority", words + (
        f"; in {turn - (now - sick.since):.0f} s it is its turn" if sick.silent else ""
    )


def _too_soon(attempt: Attempt | None, now: float) -> tuple[str, str] | None:
    if attempt is None or now - attempt.at > FORGET:
        return None
    left = attempt.at + PAUSES[min(attempt.failures, len(PAUSES) - 1)] - now
    return ("repair.backoff", f"restarted {attempt.failures} times lately, again in {left:.0f} s") if left > 0 else None


def _seen(view: MemberView) -> str:
    majority = f"{view.others.well} of {view.others.of} others well" if view.member.quorum else ""
    needs = f"{len(view.needs)} needs answered" if view.needs else ""
    return ", ".join(word for word in (majority, needs) if word) or "nothing else to ask"


def counted(before: Attempt | None, now: float) -> Attempt:
    """The count after one more repair at `now`."""
    again = before is not None and now - before.at <= FORGET
    return Attempt(now, before.failures + 1 if before and again else 1)
