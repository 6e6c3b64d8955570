"""A drill's run folder: everything that was seen, saved before anything is concluded from it.

run.json        RunRecord: what was done, on what
history.jsonl   Intent and Done lines, tagged, as they happened
streams.jsonl   Packet lines
stalls.jsonl    Stall lines
marks.jsonl     Mark lines: the fault's own clock
samples.jsonl   Sample lines: who held what, seen from outside the agents
events.jsonl    the agents' and guards' events (record.events.Event), on the run's clock
views.json      View list: what every node said after the drill
meter.json      the instrument's own CPU seconds and run time
verdict.json    Verdict; can be made again from the files above
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from outlast.record.event import Event
from outlast.record.history import Done, Intent, Operation, Packet, Stall, merge
from outlast.record.verdict import Verdict

T = TypeVar("T")

HOME = Path("/var/lib/outlast/drills")
"""Run folders of all drills on this machine: a folder for each cluster, in it one for each run."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One moment of the drill.

    what: begun, load-started, inject, took-effect, repaired, undo, undone, redundant, timeout, load-stopped,
    works-again, broken; taken-out, put-back (a server, by the balancer that holds the VIPs); left-out (what was not
    measured, and why). detail: the fault and its target, or the server, in words. fault: its number in the scenario, -1
    for none.
    """

    at: float
    what: str
    detail: str = ""
    fault: int = -1
    wall: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Who had what at one moment, asked of the nodes' kernels and not of their agents.

    holders: VIP name -> nodes that carry its address; off: nodes without power.
    """

    at: float
    holders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    off: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class View:
    """What one node (or "vip") listed after the drill, key -> value, one entry per appearance (a key seen twice is a
    duplicate). service and collection say of what: ("keystone", "keystone-projects"), ("galera", "sql-rows").

    complete: False where it could not be read whole; nothing is concluded from what is not in it.
    """

    node: str
    service: str
    collection: str
    entries: tuple[tuple[str, str], ...]
    complete: bool = True


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What was run. inputs: digest of all that the row depends on (code, cluster file, scenario, profile)."""

    id: str
    scenario: str
    text: str
    profile: str
    cluster: str
    commit: str
    inputs: str
    started: float
    seed: int = 0
    targets: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    fault_class: str = ""
    covers: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()


class RunFolder:
    """Reads and writes the files of one run. Lines cut short by a crash are left out when reading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, value: object) -> None:
        """A whole JSON file, old or new, never half."""
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / f"{name}.new"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
        draft.replace(self.path / name)

    def append(self, name: str, values: Iterable[object]) -> None:
        """Lines at the end of a JSONL file."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / name).open("ab") as file:
            file.writelines(msgspec.json.encode(value) + b"\n" for value in values)

    def lines(self, name: str, kind: type[T]) -> tuple[T, ...]:
        return tuple(msgspec.json.decode(line, type=kind) for line in self._raw(name))

    def history(self) -> tuple[Operation, ...]:
        """Tagged lines `{"intent": {...}}` and `{"done": {...}}`, merged."""
        intents, ends = [], []
        for line in self._raw("history.jsonl"):
            entry: dict[str, Any] = json.loads(line)
            if "intent" in entry:
                intents.append(msgspec.convert(entry["intent"], Intent))
            else:
                ends.append(msgspec.convert(entry["done"], Done))
        return merge(intents, ends)

    def packets(self) -> tuple[Packet, ...]:
        return self.lines("streams.jsonl", Packet)

    def stalls(self) -> tuple[Stall, ...]:
        return self.lines("stalls.jsonl", Stall)

    def marks(self) -> tuple[Mark, ...]:
        return self.lines("marks.jsonl", Mark)

    def samples(self) -> tuple[Sample, ...]:
        return self.lines("samples.jsonl", Sample)

    def events(self) -> tuple[Event, ...]:
        return self.lines("events.jsonl", Event)

    def views(self) -> tuple[View, ...]:
        return self._value("views.json", tuple[View, ...])

    def record(self) -> RunRecord:
        return self._value("run.json", RunRecord)

    def verdict(self) -> Verdict | None:
        return self._value("verdict.json", Verdict) if (self.path / "verdict.json").exists() else None

    def meter(self) -> Mapping[str, float]:
        return self._value("meter.json", dict[str, float]) if (self.path / "meter.json").exists() else {}

    def _value(self, name: str, kind: type[T]) -> T:
        return msgspec.json.decode((self.path / name).read_bytes(), type=kind)

    def _raw(self, name: str) -> list[bytes]:
        path = self.path / name
        if not path.exists():
            return []
        whole, _, _torn = path.read_bytes().rpartition(b"\n")
        return [line for line in whole.split(b"\n") if line]
