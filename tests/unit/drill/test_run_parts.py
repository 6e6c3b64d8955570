"""The pure parts of a run: when the cluster is well for good, and one meter of several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.load import pooled
from outlast.drill.observer import Health, well_since
from outlast.drill.run import Bench, Drill
from outlast.drill.scenario import Scenario
from outlast.errors import RolloutError
from outlast.observe.status import ClusterStatus
from outlast.record.history import Packet
from outlast.record.run import RunFolder


def health(*words: tuple[float, str]) -> tuple[Health, ...]:
    return tuple(Health(at=at, code=code, sentence="") for at, code in words)


def test_well_since_the_first_ok_that_nothing_else_follows() -> None:
    seen = health((0, "ok"), (1, "degraded"), (2, "ok"), (3, "down"), (4, "ok"), (5, "ok"))
    assert well_since(seen, 0.5, 1.0, 5.5) == 4


def test_what_was_before_the_moment_does_not_count() -> None:
    """An "ok" from before the fault says nothing about after it."""
    assert well_since(health((0, "ok"), (1, "ok")), 1.5, 0.0, 2.0) is None


def test_an_ok_must_last() -> None:
    """Agents judge by answers a few seconds old: the first "ok" may be about the time before."""
    seen = health((10, "ok"), (11, "ok"))
    assert well_since(seen, 9.0, 3.0, 12.9) is None
    assert well_since(seen, 9.0, 3.0, 13.0) == 10


def test_never_heard_is_not_well() -> None:
    assert well_since((), 0.0, 0.0, 99.0) is None


@given(st.lists(st.sampled_from(["ok", "degraded", "down", "unknown"]), max_size=20), st.integers(0, 20))
def test_nothing_but_ok_between_the_moment_and_now(words: list[str], after: int) -> None:
    seen = health(*((float(at), word) for at, word in enumerate(words)))
    since = well_since(seen, float(after), 0.0, 99.0)
    if since is not None:
        assert since >= after and all(one.code == "ok" for one in seen if one.at >= since)


def test_meters_add_what_adds_up_and_keep_the_worst_of_the_rest() -> None:
    one = {"requests": 10.0, "cpu_seconds": 1.0, "lateness_p99": 0.002, "seconds": 20.0}
    two = {"requests": 5.0, "cpu_seconds": 0.5, "lateness_p99": 0.009, "seconds": 19.0}
    assert pooled([one, {}, two]) == {"requests": 15, "cpu_seconds": 1.5, "lateness_p99": 0.009, "seconds": 20}
    assert pooled([{}, {}]) == {}


class _Told:
    """Loads, or a stream: notes what it was told."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def start(self, note: Callable[[Sequence[Packet]], None] | None = None) -> None:
        self.said.append("start")
        if note:
            note([Packet(stream="between", seq=0, sent=1.0)])

    def stop(self, seconds: float = 0.0, patient: bool = True) -> dict[str, float]:
        self.said.append("stop" if patient else "stop at once")
        return {}

    def kill(self) -> None:
        self.said.append("kill")


def drill_with(folder: RunFolder, **more: Any) -> Drill:
    bench: Any = Bench(
        hands=None,  # type: ignore[arg-type]
        loads=_Told([]),  # type: ignore[arg-type]
        folder=folder,
        journal=folder.path,
        look=lambda: ClusterStatus("ok", "", {}, {}, {}),
        works_again=lambda: None,
        tell=lambda sentence: None,
        **more,
    )
    return Drill(None, bench, 0, "s-01")  # type: ignore[arg-type]


def test_the_stream_between_servers_runs_with_the_load(tmp_path: Path) -> None:
    said: list[str] = []
    folder = RunFolder(tmp_path)
    with drill_with(folder, between=_Told(said))._load():
        assert said == ["start"]
    assert said == ["start", "stop"]
    assert [packet.stream for packet in folder.packets()] == ["between"]
    assert [mark.what for mark in folder.marks()] == ["load-started", "load-stopped"]


def test_an_interrupted_drill_waits_for_no_stream(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), drill_with(RunFolder(tmp_path), between=_Told(said))._load():
        raise KeyboardInterrupt
    assert said == ["start", "stop at once"]


def test_a_stream_that_could_not_be_is_marked(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with drill_with(folder, missing="no stream: one compute node")._load():
        pass
    assert ("left-out", "no stream: one compute node") in [(mark.what, mark.detail) for mark in folder.marks()]


@pytest.mark.parametrize("why", ["", "10.23.0.100 does not answer ping"])
def test_whether_something_new_works_is_marked_with_the_reason(tmp_path: Path, why: str) -> None:
    folder = RunFolder(tmp_path)

    def works_again() -> None:
        if why:
            raise RolloutError("demo.failed", why)

    drill = drill_with(folder)
    drill.bench = replace(drill.bench, works_again=works_again)
    drill.try_it()
    assert [(mark.what, mark.detail) for mark in folder.marks()] == [("broken" if why else "works-again", why)]


class _Seen:
    """What an observer knows: who waits, and since when the others are well."""

    def __init__(self, waits: str = "", well: bool = False) -> None:
        self.said, self.well = waits, well

    def waiting(self, nodes: object) -> str:
        return self.said

    @property
    def health(self) -> tuple[Health, ...]:
        return health((time.monotonic() + 0.01, "ok")) if self.well else ()


@pytest.mark.parametrize(
    ("seen", "mark"),
    [
        (_Seen("galera on c1: c3 must first report"), ("waits", "galera on c1: c3 must first report")),
        (_Seen(), ("broken", "nobody said that the cluster waits for c3")),
        (_Seen(well=True), ("broken", "the cluster went on without c3")),
    ],
)
def test_a_cluster_that_must_wait_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: _Seen, mark: tuple[str, str]
) -> None:
    monkeypatch.setattr("outlast.drill.run.STEADY_SECONDS", -0.1)
    monkeypatch.setattr("outlast.drill.run.POLL", 0.001)
    folder = RunFolder(tmp_path)
    drill = drill_with(folder)
    drill.scenario = Scenario(name="x", title="x", fault_class="all-power", faults=(), recover=0.05)
    drill._await_named(seen, {"c3"})  # type: ignore[arg-type]
    assert [(found.what, found.detail) for found in folder.marks()] == [mark]
