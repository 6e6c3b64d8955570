"""One drill from its first look to its last: load, faults, proof, undo, full redundancy. Concludes nothing itself.

Everything seen goes into the run folder; `drill.conclude` reads it back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outlast.drill.console_stream import ConsoleStream
from outlast.drill.faults.facts import gather
from outlast.drill.faults.hands import Hands
from outlast.drill.faults.strike import Strike
from outlast.drill.faults.verb import Order
from outlast.drill.load import Loads
from outlast.drill.observer import Observer, well_since
from outlast.drill.repaired import Watch
from outlast.drill.scenario import Fault, Scenario
from outlast.drill.targets import resolve, resolve_options
from outlast.errors import OutlastError, RolloutError
from outlast.observe.status import ClusterStatus
from outlast.record.run import Mark, RunFolder

EFFECT_SECONDS = 10.0
STEADY_SECONDS = 3.0
LAST_RESORT_SECONDS = 180.0
POLL = 0.1


@dataclass(frozen=True)
class Bench:
    """What a drill works with. look: the cluster's status now. works_again: makes something new and
    reaches it; raises where that fails. tell: one line for the operator. journal: folder of the undo journal.
    between: the stream between two servers; without it `missing` says why, where it could have been."""

    hands: Hands
    loads: Loads
    folder: RunFolder
    journal: Path
    look: Callable[[], ClusterStatus]
    works_again: Callable[[], None]
    tell: Callable[[str], None]
    drain: float = 30.0
    between: ConsoleStream | None = None
    missing: str = ""


@dataclass
class Struck:
    """A fault of the scenario with its strike. undone: the moment, None while it lasts."""

    number: int
    fault: Fault
    nodes: tuple[str, ...]
    options: Mapping[str, object]
    strike: Strike | None = None
    undone: float | None = None

    @property
    def words(self) -> str:
        return f"{self.fault.verb} {', '.join(self.nodes)} ({self.fault.target})"


@dataclass
class Drill:
    """A run in progress."""

    scenario: Scenario
    bench: Bench
    seed: int
    id: str
    struck: list[Struck] = field(default_factory=list)

    def run(self) -> None:
        """The drill but for its last question, `try_it`. What was broken is undone whatever happens.

        Raises OutlastError where it cannot begin (target, program, load) and KeyboardInterrupt.
        """
        self.mark("begun")
        self.struck = self._aim()
        for one in self.struck:
            self.bench.tell(f"target: {one.words}")
        observer = Observer(self.bench.hands, self.bench.folder, self.bench.look)
        observer.start()
        try:
            with self._load():
                self._sleep(self.scenario.warmup)
                with self._undone_at_last():
                    self._break()
                    self._recover(observer)
                self._sleep(self.scenario.after)
        finally:
            observer.stop()

    def try_it(self) -> None:
        """Marks whether something new works afterwards, or why not. After `run`: nothing is measured any more."""
        try:
            self.bench.works_again()
        except OutlastError as error:
            self.mark("broken", error.message)
            self.bench.tell(f"it does not work again: {error.message}")
            return
        self.mark("works-again")
        self.bench.tell("something new works again")

    def targets(self) -> dict[str, str]:
        return {f"{one.number}: {one.fault.verb} {one.fault.target}": ", ".join(one.nodes) for one in self.struck}

    def mark(self, what: str, detail: str = "", fault: int = -1, at: float | None = None) -> float:
        now = time.monotonic()
        moment = now if at is None else at
        wall = time.time() - (now - moment)
        self.bench.folder.append("marks.jsonl", [Mark(at=moment, what=what, detail=detail, fault=fault, wall=wall)])
        return moment

    # --- phases --------------------------------------------------------------------------------------------------

    def _aim(self) -> list[Struck]:
        """All descriptions become nodes before the first fault, by the same facts: later ones would see its effect."""
        facts = gather(self.bench.hands, [fault.target for fault in self.scenario.faults])
        found = []
        for number, fault in enumerate(self.scenario.faults):
            nodes = resolve(fault.target, facts, self.seed, str(fault.options.get("program", "")))
            options = resolve_options(fault.options, facts, self.seed)
            if "program" in fault.options:
                for node in nodes:
                    self.bench.hands.programs(node)
            found.append(Struck(number, fault, nodes, options))
        return found

    @contextlib.contextmanager
    def _load(self) -> Iterator[None]:
        between = self.bench.between
        self.bench.loads.start()
        if between:
            between.start(lambda packets: self.bench.folder.append("streams.jsonl", packets))
        elif self.bench.missing:
            self.mark("left-out", self.bench.missing)
            self.bench.tell(self.bench.missing)
        self.mark("load-started")
        self.bench.tell("load runs")
        try:
            yield
        except BaseException:
            self.bench.loads.kill()
            if between:
                between.stop(patient=False)
            raise
        meter = self.bench.loads.stop(self.bench.drain + 10)
        self.mark("load-stopped")
        if between:
            between.stop()
        self.bench.folder.write("meter.json", meter)

    def _break(self) -> None:
        begun = time.monotonic()
        for one in self.struck:
            self._sleep_until(begun + one.fault.after)
            order = Order(
                id=f"{self.id[-16:]}-{one.number}".lower().strip("-"),
                verb=one.fault.verb,
                nodes=one.nodes,
                options=one.options,  # type: ignore[arg-type]
                seed=self.seed,
            )
            one.strike = Strike(self.bench.hands, self.bench.journal, order)
            at = one.strike.begin()
            self.mark("inject", one.words, one.number, at)
            patience = max(EFFECT_SECONDS, one.strike.record.get("patience", 0.0))
            seen = one.strike.took_effect(patience)
            if seen is None:
                self.bench.tell(f"{one.words}: its effect was not seen within {patience:g} s")
            else:
                self.mark("took-effect", one.words, one.number, seen)
                self.bench.tell(f"{one.words}: took effect after {seen - at:.2f} s")

    def _recover(self, observer: Observer) -> None:
        records = [one.strike.record for one in self.struck if one.strike]
        watch = Watch(self.bench.hands, list(records))
        effect = time.monotonic()
        self._sleep(self.scenario.hold)
        self._finish()
        kept = [one for one in self.struck if one.fault.options.get("keep-off")]
        off = {node for one in kept for node in one.nodes}
        if self.scenario.undo:
            effect = self._undo([one for one in self.struck if one not in kept])
        observer.leave_out(off)
        if self.scenario.waits:
            self._await_named(observer, off)
            observer.leave_out(())
            effect = self._undo(kept)
        redundant = self._await_well(observer, effect, self.scenario.recover)
        self._note_repair(watch)
        if redundant is None:
            self.mark("timeout", f"not well within {self.scenario.recover:g} s")
            self.bench.tell(f"not all members were back within {self.scenario.recover:g} s")
        else:
            self.mark("redundant", at=redundant)
            self.bench.tell(
                f"every member is back {redundant - effect:.1f} s after "
                + ("the undo" if self.scenario.undo else "the fault")
            )
        left = [one for one in self.struck if one.undone is None]
        if left and (redundant is None or self.scenario.undo):
            observer.leave_out(())
            again = self._undo(left)
            if self._await_well(observer, again, LAST_RESORT_SECONDS) is None:
                raise RolloutError("drill.not-healed", "the cluster is not well, though all faults are undone")

    def _await_named(self, observer: Observer, off: Collection[str]) -> None:
        """Until somebody has said for 3 s in a row that it waits for exactly these nodes; else the drill is broken."""
        begun = named = time.monotonic()
        missing = ", ".join(sorted(off))
        while (now := time.monotonic()) < begun + self.scenario.recover:
            sentence = observer.waiting(off)
            named = named if sentence else now
            if sentence and now - named > STEADY_SECONDS:
                self.mark("waits", sentence)
                self.bench.tell(f"it waits: {sentence}")
                return
            if well_since(observer.health, begun, STEADY_SECONDS, now) is not None:
                self.mark("broken", f"the cluster went on without {missing}")
                return
            time.sleep(POLL)
        self.mark("broken", f"nobody said that the cluster waits for {missing}")

    def _note_repair(self, watch: Watch) -> None:
        repaired = watch.stop()
        if repaired is not None:
            self.mark("repaired", at=repaired)

    def _finish(self) -> None:
        """Faults that take their time (a reboot, a rolling restart) come to their end first."""
        for one in self.struck:
            if one.strike and not one.strike.finish():
                self.bench.tell(f"{one.words}: still going on")

    # --- undo ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _undone_at_last(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._undo([one for one in self.struck if one.strike and one.undone is None])

    def _undo(self, struck: Sequence[Struck]) -> float:
        """Take faults back, last first; the moment when the last of them was."""
        last = time.monotonic()
        for one in reversed([one for one in struck if one.strike and one.undone is None]):
            assert one.strike is not None
            self.mark("undo", one.words, one.number)
            last = one.undone = one.strike.undo()
            self.mark("undone", one.words, one.number, last)
        return last

    # --- waiting -------------------------------------------------------------------------------------------------

    def _await_well(self, observer: Observer, after: float, seconds: float) -> float | None:
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            since = well_since(observer.health, after, STEADY_SECONDS, now)
            if since is not None or now > end:
                return since
            time.sleep(POLL)

    def _sleep(self, seconds: float) -> None:
        self._sleep_until(time.monotonic() + seconds)

    @staticmethod
    def _sleep_until(end: float) -> None:
        # An Event instead of sleep: Ctrl-C ends it at once in every thread that runs a drill.
        threading.Event().wait(max(0.0, end - time.monotonic()))
