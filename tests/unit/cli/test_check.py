"""`outlast check`: predictions beside measurements, and budgets that settings break, refused with the right line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from example_clusters import EXAMPLES

from outlast.cli import main as cli
from outlast.errors import ClusterFileError
from outlast.pipeline import target
from outlast.pipeline.progress import Silent
from outlast.pipeline.target import open_target
from outlast.pipeline.up import up
from outlast.record import run as runs
from outlast.record.run import RunFolder, RunRecord
from outlast.record.verdict import Verdict

LAB = (EXAMPLES / "lab.yaml").read_text()


@pytest.fixture(autouse=True)
def no_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "LABS", tmp_path / "labs")
    monkeypatch.setattr(runs, "HOME", tmp_path / "drills")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")


def written(folder: Path, more: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"{LAB}{more}")
    return path


def outlast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["outlast", *words])
    status: object = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = stop.code
    told = capsys.readouterr()
    return int(str(status or 0)), told.out, told.err


def test_the_table_shows_range_formula_and_the_last_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "drills" / "lab" / "1")
    record = RunRecord(
        id="1", scenario="hang-keystone", text="", profile="kolla", cluster="lab", commit="", inputs="", started=1.0
    )
    folder.write("run.json", record)
    folder.write(
        "verdict.json", Verdict(scenario="hang-keystone", profile="kolla", result="pass", levels=(), mask=58.3)
    )
    path = written(tmp_path, "profile: kolla\n")
    status, out, err = outlast(monkeypatch, capsys, "check", "-f", str(path))
    assert (status, err) == (0, "")
    (row,) = (line.split("  ") for line in out.splitlines() if line.startswith(" api hung"))
    assert [cell.strip() for cell in row if cell.strip()] == ["api hung", "58 – 60 s", "5 × (2 + 10) s", "58.3 s"]
    told = json.loads(outlast(monkeypatch, capsys, "check", "--json", "-f", str(path))[1])
    (hung,) = (item for item in told["predictions"] if item["fault"] == "api hung")
    assert (hung["best"], hung["worst"], hung["last_measured"]) == (58.0, 60.0, 58.3)
    (worker,) = (item for item in told["predictions"] if item["fault"] == "RPC worker hung")
    assert worker["worst"] is None, "never is no number"


@pytest.mark.parametrize("verb", ["check", "plan", "up"])
def test_settings_that_break_a_budget_are_refused(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = "profile: kolla\nbudgets:\n  api-hung: 2\n  broker: 60\n  vip: 0.5\n"
    path = written(tmp_path, more)
    first = len(LAB.splitlines()) + 3
    status, out, err = outlast(monkeypatch, capsys, verb, "-f", str(path))
    assert (status, out) == (2, "")
    hung, vip = err.splitlines()
    assert hung.startswith(f"{path}:{first}: budget.broken: budgets.api-hung is 2 s, but api hung takes up to 60 s")
    assert "5 × (2 + 10) s" in hung and "lower the check's interval" in hung
    assert vip.startswith(f"{path}:{first + 2}: budget.broken: budgets.vip is 0.5 s")
    assert "3 × 1 + (256 − 2) / 256 s" in vip
    assert not (tmp_path / "labs").exists(), "refused before anything is changed"


def test_a_fault_that_nothing_notices_breaks_every_budget(tmp_path: Path) -> None:
    opened = open_target(written(tmp_path, "profile: classic\nbudgets: {api-hung: 3600}\n"))
    with pytest.raises(ClusterFileError) as caught:
        asyncio.run(up(opened, Silent()))
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("budget.broken", len(LAB.splitlines()) + 2)
    assert "api hung: never noticed" in problem.sentence and "infinity" not in str(problem)


def test_a_raw_setting_can_keep_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets = "budgets: {api-hung: 1.8, api-killed: 0.5, vip: 0.5, database: 2.5, tcp: 5}\n"
    assert outlast(monkeypatch, capsys, "check", "-f", str(written(tmp_path, budgets)))[0] == 2
    raw = "overrides: {haproxy: {haproxy.cfg: {defaults: {timeout check: 300ms}}}}\n"
    assert outlast(monkeypatch, capsys, "check", "-f", str(written(tmp_path, budgets + raw)))[0] == 0
