"""Keeps the answers of probes fresh without ever letting a cycle wait for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from outlast.node.answers import Answer
from outlast.node.probes import ask
from outlast.node.view import Asked, Sickness
from outlast.spec.probe import EAGER, Health, Probe
from outlast.spec.snapshot import ProgramState

COMING = 0.8
"""The same while nothing good was heard yet. While a node comes up, thirty questions are open at a time: asked every
0.4 s they took a tenth of what the node had."""

DEAR = frozenset({"token"})
"""Kinds whose question costs the one who is asked more than the haste is worth: asked at their own interval, always."""

HASTE = 0.15
"""Seconds for a question that something else gave rise to. Silence alone decides nothing there: the kernel has to say
too that a client's request lies unread and that nobody is at work on it (repair.py)."""

PATIENCE = 2
"""Bad answers in a row that turn a well member into a failed one."""


@dataclass
class Record:
    """What is known of one probe since its member was last started.

    `unsure`: the last answer if nothing was learned from it; `answer` then still holds what was known before.
    """

    answer: Answer | None = None
    unsure: Answer | None = None
    bad_in_a_row: int = 0
    bad_since: float = 0.0
    silent: bool = False
    first_asked: float = 0.0
    ever_good: bool = False
    task: asyncio.Task[None] | None = None


class Prober:
    """Answers by key. `wake` is called whenever an answer changes between good and bad."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._records: dict[Hashable, Record] = {}
        self._wanted: Mapping[Hashable, Probe] = {}
        self._programs: Mapping[str, ProgramState] = {}

    def refresh(self, wanted: Mapping[Hashable, Probe], programs: Mapping[str, ProgramState]) -> None:
        """Asks what is due among the wanted probes and forgets the others."""
        for key in [key for key in self._records if key not in wanted]:
            record = self._records.pop(key)
            if record.task:
                record.task.cancel()
        self._wanted, self._programs = wanted, programs
        now = time.monotonic()
        for key, probe in wanted.items():
            record = self._records.setdefault(key, Record())
            if record.task is None and now >= _due(record, probe):
                record.task = asyncio.create_task(self._ask(record, probe, programs))

    def hasten(self, probe: Probe) -> None:
        """Ask this now, for HASTE, if it is wanted at all; its interval does not count.

        One question is under way at a time.
        """
        for key, wanted in self._wanted.items():
            record = self._records.get(key)
            if record and record.task is None and wanted == probe:
                hasty = replace(probe, timeout=min(probe.timeout, HASTE))
                record.task = asyncio.create_task(self._ask(record, hasty, self._programs))

    async def _ask(self, record: Record, probe: Probe, programs: Mapping[str, ProgramState]) -> None:
        try:
            answer = await ask(probe, programs)
        finally:
            record.task = None
        record.unsure = None if answer.sure else answer
        if not answer.sure:
            return
        record.first_asked = record.first_asked or answer.at - answer.took
        if not answer.good and record.bad_in_a_row == 0:
            record.bad_since = answer.at - answer.took
        record.silent = not answer.good and answer.took >= probe.timeout
        changed = record.answer is None or record.answer.good != answer.good
        record.answer = answer
        record.bad_in_a_row = 0 if answer.good else record.bad_in_a_row + 1
        record.ever_good = record.ever_good or answer.good
        if changed or record.bad_in_a_row == PATIENCE:
            self._wake()

    def asked(self, key: Hashable) -> Asked:
        """The last answer; not good and without words where there is none yet."""
        record = self._records.get(key)
        if record is None or record.answer is None:
            return Asked(False, record.unsure.sentence if record and record.unsure else "")
        return Asked(record.answer.good, record.answer.sentence, record.answer.at)

    def sick(self, programs: Mapping[Hashable, str]) -> tuple[Sickness, ...]:
        """Programs whose probes (by key) answer badly now, the longest first; each by its worst probe."""
        found: dict[str, Sickness] = {}
        for key, program in programs.items():
            record = self._records.get(key)
            if record is None or record.answer is None or record.answer.good:
                continue
            since = record.bad_since if record.ever_good else record.first_asked
            if program not in found or since < found[program].since:
                words = record.answer.sentence
                found[program] = Sickness(
                    program, since, record.bad_in_a_row, words, record.silent, was_well=record.ever_good
                )
        return tuple(sorted(found.values(), key=lambda one: one.since))

    def has_come_up(self, keys: Iterable[Hashable]) -> bool | None:
        """Whether a program has answered well since it was started; None: no question to it has come back yet.

        Where answers taught nothing it is taken as up, so that nobody waits for a better one without end.
        """
        records = [record for key in keys if (record := self._records.get(key))]
        if any(record.ever_good or (record.unsure and record.answer is None) for record in records):
            return True
        return False if any(record.answer for record in records) else None

    def health(self, service: str, keys: Iterable[Hashable]) -> Health:
        """One word for all probes of a member whose programs run."""
        records = [self._records.get(key) for key in keys]
        worst = Health("ok", "member.ok", f"{service} is well")
        for record in records:
            if record is None or record.answer is None:
                why = record.unsure.sentence if record and record.unsure else f"{service} was not asked yet"
                return Health("starting", "member.unasked", why)
            if record.answer.good or (record.ever_good and record.bad_in_a_row < PATIENCE):
                continue
            if record.ever_good:
                return Health("failed", "member.failed", record.answer.sentence, record.answer.at)
            worst = replace(worst, status="starting", code="member.starting", sentence=record.answer.sentence)
        return worst


def _due(record: Record, probe: Probe) -> float:
    if record.unsure:
        # Whatever stood between us and the program does not go away by asking often.
        return record.unsure.at + probe.interval
    if record.answer is None:
        return 0.0
    if record.answer.good or probe.kind in DEAR:
        return record.answer.at + probe.interval
    return record.answer.at + min(EAGER if record.ever_good else COMING, probe.interval)
