"""Hand-made runs for tests of the report: the figures are invented, only how they are shown is tested."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from outlast.record.events import Event
from outlast.record.history import Done, Intent, Packet, Stall
from outlast.record.run import Mark, RunFolder, RunRecord, Sample
from outlast.record.verdict import (
    Budget,
    Finding,
    Instrument,
    Level,
    Result,
    ServiceLoss,
    StreamLoss,
    Verdict,
)
from outlast.report.row import Row

STARTED = 1_790_000_000.0
MACHINE = {"cpu": "2 cores", "memory": "8 GiB", "kernel": "6.12"}


def record(scenario: str = "power-vip-holder", profile: str = "outlast", number: int = 1, **more: object) -> RunRecord:
    session = more.pop("session", "s1")
    known = RunRecord(
        id=f"{session}-{number:02d}-{scenario}-{profile}",
        scenario=scenario,
        text="drill: …",
        profile=profile,
        cluster="lab",
        commit="abc1234",
        inputs="i1",
        started=STARTED + 100 * number,
        machine=MACHINE,
        versions={"galera": "26.4", "haproxy": "3.0"},
        title="Power loss of the VIP holder",
        fault_class="node-power",
        covers=("D5", "TC054"),
        targets={"vip-holder": "c1"},
    )
    return replace(known, **more)  # type: ignore[arg-type]


def levels(n: int = 1200, failed: int = 0, held: bool | None = True) -> tuple[Level, ...]:
    first = Level(name="L1", held=True, n=400, failed=0, bound=3 / 400)
    return (first, *(Level(name=name, held=held, n=n, failed=failed, bound=1.0) for name in ("L2", "L3")))


def service(name: str = "nova", out: float = 0.0, failed: int = 0, resolution: float = 0.05) -> ServiceLoss:
    return ServiceLoss(
        service=name, n=500, failed=failed, unknown=0, out=out, resolution=resolution, stall=0.4, p99=0.2
    )


def verdict(result: Result = "pass", **more: object) -> Verdict:
    known = Verdict(
        scenario="power-vip-holder",
        profile="outlast",
        result=result,
        levels=levels(),
        detect=0.31,
        mask=0.42,
        repair=18.2,
        redundancy=31.0,
        stall=0.9,
        counts={"ok": 1200, "failed": 0, "unknown": 0, "lost": 0, "duplicated": 0},
        services=(service(),),
        streams=(StreamLoss(stream="floating", sent=6000, lost=12, gap=0.12),),
        budgets=(Budget(name="stall", limit=1.5, found=0.9, held=True),),
        instrument=Instrument(
            requests=1200, rate=40, lateness_p50=0.0004, lateness_p99=0.004, cpu=0.2, stalls=0, worst_stall=0.0
        ),
    )
    return replace(known, **more)  # type: ignore[arg-type]


def row(
    scenario: str = "power-vip-holder",
    profile: str = "outlast",
    number: int = 1,
    found: Verdict | None = None,
    **more: object,
) -> Row:
    made = found or verdict()
    said = replace(made, scenario=scenario, profile=profile)
    return Row(record=record(scenario, profile, number, **more), verdict=said, held=15.0, watched=60.0)


UNKNOWN = verdict(
    "unknown", levels=levels(held=None), reasons=("the machine stood still for 80 ms at +0.3 s",), detect=None
)
FAILED = verdict(
    "fail",
    levels=levels(failed=37, held=False),
    counts={"ok": 1100, "failed": 37, "unknown": 4, "lost": 1, "duplicated": 0},
    findings=(Finding(what="lost", sentence="project p-17 was acknowledged and is nowhere", key="p-17"),),
    reasons=("budget lost: 1 > 0",),
)


def everything() -> tuple[Row, ...]:
    """A run of every kind: passed three times, failed, unknown, stale, made again, other profiles, another session."""
    slow = verdict("fail", mask=8.2, services=(service(out=8.1, failed=310),), levels=levels(failed=310, held=False))
    return (
        row(number=1),
        row(number=2, found=verdict(mask=0.5, stall=1.1)),
        row(number=3, found=verdict(mask=0.4)),
        row(profile="kolla", number=4, found=slow),
        row(profile="classic", number=5, found=slow, session="s0"),
        row("kill-nova-api", number=6, found=FAILED, title="nova-api is killed", fault_class="api-kill"),
        row("hang-nova-api", number=7, found=UNKNOWN, title="nova-api hangs", fault_class="api-hang"),
        row("pause-glance-api", number=8, found=UNKNOWN, title="glance-api hangs", fault_class="api-hang"),
        row("pause-glance-api", number=9, title="glance-api hangs", fault_class="api-hang"),
        row("disk-full", number=10, inputs="old", title="Disk full on the writer", fault_class="disk"),
    )


NOW = {
    f"{name}@{profile}": "i1"
    for name in ("power-vip-holder", "kill-nova-api", "hang-nova-api", "pause-glance-api", "disk-full")
    for profile in ("outlast", "kolla", "classic")
}


@dataclass(frozen=True)
class Shape:
    """How a synthetic run goes: seconds of outage, services that are hit, share of requests that fail for ever."""

    outage: float = 0.4
    hit: Sequence[str] = ("keystone", "nova")
    requests: int = 2000
    noise: float = 0.0
    stalls: bool = False


SERVICES = ("galera", "glance", "keystone", "neutron", "nova", "placement", "rabbitmq")


def write_folder(root: Path, short: Row, shape: Shape | None = None, seed: int = 1) -> RunFolder:
    """A run folder as a drill leaves it: 10 s of load, the fault, undo after 15 s, redundancy after 30 s."""
    shape, chance = shape or Shape(), random.Random(seed)
    folder, zero = RunFolder(root / short.record.id), 5000.0
    folder.write("run.json", short.record)
    folder.append("marks.jsonl", _marks(zero))
    folder.append("history.jsonl", _history(shape, zero, chance))
    folder.append("streams.jsonl", _packets(shape, zero))
    folder.append("samples.jsonl", _samples(shape, zero))
    folder.append("events.jsonl", _events(zero, chance))
    if shape.stalls:
        folder.append("stalls.jsonl", [Stall(at=zero + 0.3, seconds=0.08)])
    folder.write("verdict.json", short.verdict)
    return folder


def _marks(zero: float) -> Iterator[Mark]:
    before = {"begun": -14, "healthy": -11, "load-started": -10, "inject": -0.05, "took-effect": 0}
    after = {"undo": 15, "undone": 15.4, "works-again": 19, "redundant": 30, "load-stopped": 35}
    for what, at in {**before, **after}.items():
        yield Mark(at=zero + at, what=what, detail="poweroff vip-holder (c1)" if what == "inject" else "", fault=0)


def _history(shape: Shape, zero: float, chance: random.Random) -> Iterator[dict[str, object]]:
    for number in range(shape.requests):
        at = zero - 10 + 45 * number / shape.requests
        name = SERVICES[number % len(SERVICES)]
        yield {"intent": Intent(id=number, workload=f"{name}-read", service=name, kind="read", scheduled=at)}
        late = name in shape.hit and zero <= at < zero + shape.outage
        bad = late or chance.random() < shape.noise
        took = min(5.0, zero + shape.outage - at + 0.05) if late else 0.01 + chance.expovariate(30)
        if bad and chance.random() < 0.3:
            continue
        outcome = chance.choice(("failed", "unknown")) if bad else "ok"
        detail = {"failed": "503", "unknown": "time-out", "ok": "200"}[outcome]
        done = Done(id=number, sent=at, ended=at + took, outcome=outcome, detail=detail)  # type: ignore[arg-type]
        yield {"done": done}


def _packets(shape: Shape, zero: float) -> Iterator[Packet]:
    for number in range(4500):
        at = zero - 10 + number / 100
        lost = zero <= at < zero + shape.outage / 4
        yield Packet(stream="floating", seq=number, sent=at, received=None if lost else at + 0.001)


def _samples(shape: Shape, zero: float) -> Iterator[Sample]:
    for number in range(900):
        at = zero - 10 + number / 20
        gone, back = zero <= at < zero + shape.outage, at >= zero + shape.outage
        internal = () if gone else ("c2",) if back else ("c1",)
        external = ("c3", "c1") if gone else ("c3",)
        off = ("c1",) if zero <= at < zero + 15 else ()
        yield Sample(at=at, holders={"internal": internal, "external": external}, off=off)


def _events(zero: float, chance: random.Random) -> Iterator[Event]:
    for number in range(120):
        node = f"c{2 + number % 2}"
        at = zero + 0.2 + chance.random() * 30
        yield Event(number, at, node, "galera", "galera.peer-gone", 'c1 does not answer: "quoted" & <b>bold</b>')
