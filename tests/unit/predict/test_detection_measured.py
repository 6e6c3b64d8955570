"""What drills measured, beside what was predicted; names of budgets and scenarios fit those of the others."""

from __future__ import annotations

from pathlib import Path

from example_clusters import opened

from outlast.drill.catalogue import everything
from outlast.model.cluster import Budgets
from outlast.predict.detection import FIELDS, last_measured, measured, predict
from outlast.predict.prediction import Prediction
from outlast.record.run import RunFolder, RunRecord
from outlast.record.verdict import Verdict


def ran(home: Path, name: str, started: float, profile: str = "outlast", **times: float) -> RunFolder:
    folder = RunFolder(home / f"{name}-{profile}-{started:g}")
    record = RunRecord(
        id=folder.path.name,
        scenario=name,
        text="",
        profile=profile,
        cluster="lab",
        commit="",
        inputs="",
        started=started,
    )
    folder.write("run.json", record)
    folder.write("verdict.json", Verdict(scenario=name, profile=profile, result="pass", levels=(), **times))
    return folder


def test_the_newest_run_of_the_profile_counts(tmp_path: Path) -> None:
    ran(tmp_path, "kill-keystone", 900, detect=0.9, mask=0.4)
    ran(tmp_path, "kill-keystone", 1000, detect=0.2)
    ran(tmp_path, "kill-keystone", 2000, profile="kolla", detect=8.2)
    ran(tmp_path, "power-vip-holder", 500, stall=1.03)
    found = measured(tmp_path, "outlast")
    assert found == {"kill-keystone.detect": 0.2, "kill-keystone.mask": 0.4, "power-vip-holder.stall": 1.03}
    assert measured(tmp_path)["kill-keystone.detect"] == 8.2


def test_damaged_and_unfinished_runs_are_left_out(tmp_path: Path) -> None:
    assert measured(tmp_path / "none") == {}
    (ran(tmp_path, "a", 1, detect=1).path / "run.json").unlink()
    (ran(tmp_path, "b", 1, detect=1).path / "verdict.json").write_text('{"scenario": "b"')
    (ran(tmp_path, "c", 1, detect=1).path / "verdict.json").unlink()
    ran(tmp_path, "d", 1, repair=3)
    assert measured(tmp_path) == {"d.repair": 3.0}


def test_a_prediction_takes_the_first_field_that_was_measured() -> None:
    item = Prediction(
        fault="x", best=0, worst=1, formula="1 s", source="-", scenario="power-writer", measures=("stall", "mask")
    )
    assert last_measured(item, {"power-writer.mask": 3.0, "power-writer.stall": 2.0}) == 2.0
    assert last_measured(item, {"power-writer.mask": 3.0, "power-writer.detect": 2.0}) == 3.0
    assert last_measured(item, {"power-other.mask": 3.0}) is None


def test_every_budget_has_a_prediction_and_every_prediction_a_known_budget() -> None:
    found = predict(opened("lab").plan)
    names = {field.alias or name for name, field in Budgets.model_fields.items()}
    assert {item.budget for item in found} - {""} == names
    assert all(item.change for item in found if item.budget)
    assert {field for item in found for field in item.measures} <= set(FIELDS)


def test_the_drills_that_measure_a_prediction_exist() -> None:
    plan = opened("lab").plan
    names = {scenario.name for scenario in everything(plan)}
    assert {item.scenario for item in predict(plan)} - {""} <= names
