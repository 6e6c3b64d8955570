"""The load as a whole: intents on disk before requests arrive, punctual whatever others do, an end in every case."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wrong_cloud import WrongCloud

from outlast.drill.instrument import load as loads
from outlast.drill.instrument.ledger import Ledger
from outlast.drill.instrument.load import Load
from outlast.drill.instrument.order import Order
from outlast.drill.instrument.task import Reply, Task, Trace
from outlast.record.history import Operation
from outlast.record.run import RunFolder


def no_problem(sentence: str) -> None:
    raise AssertionError(sentence)


async def _started(order: Order) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "outlast.drill.instrument",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(msgspec.json.encode(order) + b"\n")
    await process.stdin.drain()
    return process


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    return dict(json.loads(await asyncio.wait_for(process.stdout.readline(), 20)))


def test_every_write_is_on_disk_before_it_arrives(tmp_path: Path) -> None:
    async def run() -> tuple[WrongCloud, list[dict[str, Any]]]:
        async with WrongCloud().running() as cloud:
            cloud.history = tmp_path / "history.jsonl"
            process = await _started(cloud.order(tmp_path, first=1, step=2))
            lines = [await _line(process), await _line(process)]
            assert await process.wait() == 0
            return cloud, lines

    cloud, lines = asyncio.run(run())
    assert lines[0] == {"ready": True}
    assert lines[1]["requests"] == pytest.approx(50, abs=2) and lines[1]["cpu_seconds"] > 0
    found = RunFolder(tmp_path).history()
    assert len(found) == lines[1]["requests"] == len(cloud.seen)
    assert {operation.outcome for operation in found} == {"ok"}
    assert all(operation.id % 2 == 1 for operation in found)
    assert len(cloud.in_history) >= 25 and all(cloud.in_history)


def test_end_of_standard_input_ends_the_load(tmp_path: Path) -> None:
    async def run() -> float:
        async with WrongCloud().running() as cloud:
            process = await _started(cloud.order(tmp_path, seconds=600.0))
            assert await _line(process) == {"ready": True}
            begun = time.monotonic()
            assert process.stdin is not None
            process.stdin.close()
            assert "requests" in await _line(process)
            assert await process.wait() == 0
            return time.monotonic() - begun

    assert asyncio.run(run()) < 5.0


def test_terminated_while_requests_hang(tmp_path: Path) -> None:
    """What was planned still leaves, what hangs has its deadline, and every intent has its end."""

    async def run() -> list[str]:
        async with WrongCloud().running() as cloud:
            process = await _started(cloud.order(tmp_path, seconds=600.0, deadline=0.5))
            assert await _line(process) == {"ready": True}
            cloud.way = "silent"
            async with asyncio.timeout(10):
                while len(cloud.seen) < 20:
                    await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert "requests" in await _line(process)
            assert await process.wait() == 0
            return cloud.seen

    seen = asyncio.run(run())
    found = RunFolder(tmp_path).history()
    assert len(found) == len(seen) > 10
    assert all(operation.ended is not None for operation in found)
    hung = [operation for operation in found if operation.outcome == "unknown"]
    assert {operation.detail for operation in hung} == {"time-out"}
    for operation in hung:
        assert operation.latency == pytest.approx(0.5, abs=0.2)


def test_no_load_on_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    async def run() -> tuple[dict[str, Any], int]:
        order = Order(folder=str(tmp_path / "run"), workloads=("sql-rows",), prefix="d1")
        process = await _started(order)
        return await _line(process), await process.wait()

    line, status = asyncio.run(run())
    assert line == {"problem": "instrument.order: sql-rows needs `sql`"} and status == 2


async def _driven(order: Order, send: object, seconds: float = 30.0) -> tuple[Operation, ...]:
    """The load alone, with a sender of the test's own."""
    ledger = Ledger(Path(order.folder), no_problem)
    load = Load(order, dict.fromkeys(order.workloads, send), ledger, lambda _: None)  # type: ignore[arg-type]
    await asyncio.wait_for(load.run(asyncio.Event()), seconds)
    await asyncio.get_running_loop().run_in_executor(None, ledger.close)
    return RunFolder(Path(order.folder)).history()


def _order(folder: Path, **more: Any) -> Order:
    return Order(
        folder=str(folder), workloads=("keystone-read", "keystone-projects"), prefix="d1", **{"seconds": 1.0, **more}
    )


def test_open_loop(tmp_path: Path) -> None:
    """Nobody is answered, and yet all leave at their time."""

    async def hang(_task: Task, trace: Trace) -> Reply:
        trace.begun, trace.left = time.monotonic(), True
        await asyncio.sleep(60)
        raise AssertionError

    found = asyncio.run(_driven(_order(tmp_path, rate=200.0, deadline=1.5), hang))
    assert len(found) == pytest.approx(200, abs=5)
    late = sorted(operation.sent - operation.scheduled for operation in found if operation.sent is not None)
    assert len(late) == len(found) and late[0] >= 0
    assert late[len(late) // 2] < 0.1
    assert {operation.outcome for operation in found} == {"unknown"}


def test_what_is_too_much_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "MOST", 20)

    async def hang(_task: Task, _trace: Trace) -> Reply:
        await asyncio.sleep(60)
        raise AssertionError

    found = asyncio.run(_driven(_order(tmp_path, rate=100.0, deadline=2.0), hang))
    full = [operation for operation in found if operation.detail == "instrument full"]
    assert len(full) == len(found) - 20 > 50
    assert all(operation.outcome == "failed" and operation.sent is None for operation in full)


def test_own_mistakes_are_no_answers(tmp_path: Path) -> None:
    async def mistaken(_task: Task, _trace: Trace) -> Reply:
        raise ValueError("ours")

    found = asyncio.run(_driven(_order(tmp_path, rate=20.0), mistaken))
    assert {(operation.outcome, operation.detail) for operation in found} == {("failed", "own error: ValueError")}


def test_only_what_was_acknowledged_is_deleted(tmp_path: Path) -> None:
    async def sometimes(task: Task, trace: Trace) -> Reply:
        trace.begun, trace.left = time.monotonic(), True
        if task.kind == "delete":
            return Reply("ok", "", task.ref)
        return Reply("ok", "", f"ref-{task.key}") if task.id % 2 else Reply("unknown", "reset")

    order = Order(folder=str(tmp_path), workloads=("keystone-projects",), prefix="d1", rate=100.0, seconds=1.0)
    found = asyncio.run(_driven(order, sometimes))
    made = {operation.key for operation in found if operation.kind == "create" and operation.outcome == "ok"}
    deletes = [operation for operation in found if operation.kind == "delete"]
    assert len(deletes) > 10
    assert {operation.key for operation in deletes} <= made
    assert len({operation.key for operation in deletes}) == len(deletes)
    assert all(operation.value == f"ref-{operation.key}" for operation in deletes)
