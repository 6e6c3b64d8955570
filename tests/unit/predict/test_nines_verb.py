"""`outlast nines` from run folders to the screen: which runs count, the rates file, what is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from example_clusters import EXAMPLES, opened

from outlast.cli import main as cli
from outlast.errors import InputError
from outlast.pipeline import nines as verb
from outlast.pipeline.nines import Wish, collect, nines, read_rates, shape_of
from outlast.predict.failure_rates import DEFAULT_RATES
from outlast.predict.nines import MEETING
from outlast.record.run import RunFolder, RunRecord
from outlast.record.verdict import Level, ServiceLoss, StreamLoss, Verdict

PLAN = opened("lab").plan
RECORD = RunRecord(
    id="r1",
    scenario="power-vip-holder",
    text="",
    profile="outlast",
    cluster="lab",
    commit="c",
    inputs="i1",
    started=100.0,
    fault_class="node-power",
)
VERDICT = Verdict(
    scenario="power-vip-holder",
    profile="outlast",
    result="pass",
    levels=(Level(name="L1", held=True, n=100, failed=0, bound=0.03),),
    detect=0.8,
    redundancy=40.0,
    services=(
        ServiceLoss(service="keystone", n=900, failed=3, unknown=0, out=1.2, resolution=0.05, stall=1.1, p99=0.2),
    ),
    streams=(StreamLoss(stream="floating", sent=4000, lost=40, gap=0.4),),
)

Put = Callable[..., None]


@pytest.fixture
def drills(tmp_path: Path) -> Path:
    return tmp_path / "drills"


@pytest.fixture
def put(drills: Path) -> Put:
    """Writes a run folder of the lab."""

    def write(record: RunRecord = RECORD, verdict: Verdict | None = VERDICT) -> None:
        folder = RunFolder(drills / "lab" / record.id)
        folder.write("run.json", record)
        if verdict is not None:
            folder.write("verdict.json", verdict)

    return write


def test_a_run_is_the_sample_of_its_class(drills: Path, put: Put) -> None:
    put()
    found = collect(drills / "lab", "outlast", 3600)
    (sample,) = found.samples["node-power"]
    assert (sample.outages["api"].seconds, sample.outages["tenant"].seconds) == (1.2, 0.4)
    assert (sample.detect, sample.redundancy) == (0.8, 40.0)
    assert found.left_out == {}


def test_runs_that_do_not_count_are_named_with_the_reason(drills: Path, put: Put) -> None:
    put()
    put(replace(RECORD, id="old", inputs="i0", started=50.0))
    put(replace(RECORD, id="unclear", started=200.0), replace(VERDICT, result="unknown"))
    put(replace(RECORD, id="open", started=300.0), None)
    put(replace(RECORD, id="other", profile="kolla"))
    (drills / "lab" / "torn").mkdir()
    (drills / "lab" / "torn" / "run.json").write_text("{")
    found = collect(drills / "lab", "outlast", 3600)
    assert len(found.samples["node-power"]) == 1
    assert found.left_out == {
        "old": "what it depends on has changed since",
        "unclear": "its verdict is unknown",
        "open": "it was not judged",
        "torn": "it cannot be read",
    }


def test_a_failed_drill_counts(drills: Path, put: Put) -> None:
    put(RECORD, replace(VERDICT, result="fail"))
    assert len(collect(drills / "lab", "outlast", 3600).samples["node-power"]) == 1


def test_nothing_measured_says_what_to_run(drills: Path, put: Put) -> None:
    put(RECORD, replace(VERDICT, result="unknown"))
    with pytest.raises(InputError, match="outlast drill run --suite quick") as caught:
        nines(PLAN, Wish(drills=drills))
    assert caught.value.code == "nines.nothing-measured"
    assert "1 runs do not count" in str(caught.value)


def test_only_classes_without_a_rate_are_not_enough(drills: Path, put: Put) -> None:
    put(replace(RECORD, fault_class="meteor"))
    with pytest.raises(InputError, match=r"without a rate \(meteor\)"):
        nines(PLAN, Wish(drills=drills))


def test_the_prediction_names_what_costs_and_what_is_missing(drills: Path, put: Put) -> None:
    put()
    put(replace(RECORD, id="r2", scenario="kill-x", fault_class="api-kill"), replace(VERDICT, scenario="kill-x"))
    put(replace(RECORD, id="r3", scenario="odd", fault_class="meteor"))
    found = nines(PLAN, Wish(drills=drills, years=2000, worst=600.0))
    api, tenant = found.predictions
    assert (found.runs, found.without_rate) == (3, ("meteor",))
    assert (api.target, tenant.target) == ("api", "tenant")
    assert {share.name for share in api.shares} == {"node-power", "api-kill", MEETING}
    assert {share.name for share in tenant.shares} == {"node-power", "api-kill"}
    assert sum(share.part for share in api.shares) == pytest.approx(1.0)
    assert api.shares[0].name == api.worst
    assert api.bad < api.figure.availability < 1
    assert api.bad < api.good
    # nodes-power needs five controllers; controllers-down is a matter of tenants.
    left = set(DEFAULT_RATES) - {"node-power", "api-kill", "nodes-power"}
    assert set(api.unmeasured) == left - {"controllers-down"}
    assert set(tenant.unmeasured) == left
    assert api.upper is not None
    lost = sum(api.unmeasured.values()) * 600 / 60
    assert api.upper.minutes == pytest.approx(api.figure.minutes + lost)


def test_one_more_pair_of_controllers_and_a_faster_check(drills: Path, put: Put) -> None:
    put()
    api = nines(PLAN, Wish(drills=drills, years=200)).predictions[0]
    more, faster = api.changes
    double = next(share.seconds for share in api.shares if share.name == MEETING)
    single = next(share.seconds for share in api.shares if share.name == "node-power")
    assert more.what == "5 controllers instead of 3"
    # Three at once are so rare that nearly all of the double failures are gone.
    assert 0.9 * double < more.saves * 60 < double
    assert faster.what == "node-power noticed in half the time"
    assert 0 < faster.saves * 60 < single / 2


def test_the_same_seed_predicts_the_same(drills: Path, put: Put) -> None:
    put()
    wish = Wish(drills=drills, years=200)
    assert nines(PLAN, wish) == nines(PLAN, wish)
    other = nines(PLAN, replace(wish, seed=2))
    assert other.predictions[0].bad != nines(PLAN, wish).predictions[0].bad


def test_members_are_counted_where_a_majority_matters() -> None:
    assert (shape_of(PLAN).controllers, shape_of(PLAN).computes) == (3, len(PLAN.members_of("nova-compute")))
    galera = opened("galera").plan
    assert (shape_of(galera).controllers, shape_of(galera).computes) == (3, 0)


def test_the_rates_file_goes_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(
        "rates:\n  node-power: 0.25\n  disk: {per-year: 2, weight: 3, source: our tickets}\nrepair-hours: 8\n"
    )
    given = read_rates(path)
    power, disk = given.rates["node-power"], given.rates["disk"]
    assert (power.per_year, power.weight, power.members) == (0.25, 16.0, "controller")
    assert (disk.per_year, disk.weight, disk.source, disk.takes) == (2.0, 3.0, "our tickets", "node")
    assert (given.repair_hours, given.operator_hours) == (8.0, 1.0)
    assert given.rates["vrrp"] == DEFAULT_RATES["vrrp"]
    assert read_rates(None).rates == DEFAULT_RATES


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("rates:\n  node-pwer: 1\n", 2, "did you mean 'node-power'?"),
        ("rates:\n  disk: 1\n  vrrp: often\n", 3, "rates.vrrp.per-year is 'often'"),
        ("rates:\n  vrrp: -1\n", 2, "a number, 0 or more"),
        ("rates:\n  vrrp: {weight: 2}\n", 2, "per-year is missing"),
        ("rates:\n  vrrp: {per-year: 1, weight: 0}\n", 2, "a number above 0"),
        ("rates: 4\n", 1, "rates is 4"),
        ("- 4\n", 1, "the file is a list"),
        ("rate:\n  vrrp: 1\n", 1, "did you mean 'rates'?"),
        ("repair-hours: 0\n", 1, "a number above 0"),
        ("rates:\n  vrrp: true\n", 2, "is true"),
        ("", 1, "the file holds no value"),
        ("rates: [\n", 2, "not valid YAML"),
    ],
)
def test_what_is_wrong_with_a_rates_file_is_said_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_rates(path)
    assert caught.value.code == "nines.rates-file"
    assert f"{path}:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_a_rates_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_rates(tmp_path / "none.yaml")


@pytest.fixture
def outlast(
    monkeypatch: pytest.MonkeyPatch, drills: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """outlast nines WORDS… on the lab's example → exit status, standard output, standard error."""
    monkeypatch.setattr(verb, "HOME", drills)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["outlast", "nines", "-f", str(EXAMPLES / "lab.yaml"), *words])
        status: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code
        told = capsys.readouterr()
        return int(str(status or 0)), told.out, told.err

    return run


def test_the_screen_says_all_of_it(outlast: Callable[..., tuple[int, str, str]], put: Put) -> None:
    put()
    status, out, err = outlast("--years", "500", "--worst", "60", "--sources")
    assert (status, err) == (0, "")
    for words in (
        "API: 99.99",
        "tenant traffic: 99.99",
        "90 % of years between",
        "costs most",
        "5 controllers instead of 3",
        "node-power noticed in half the time",
        "not measured, and not in the figures: api-kill",
        "with these as bad as you say",
        "A broken part is replaced in 24 h",
        "1,000 machine failures",
    ):
        assert words in out


def test_a_target_that_no_drill_measured_is_said(outlast: Callable[..., tuple[int, str, str]], put: Put) -> None:
    put(RECORD, replace(VERDICT, streams=()))
    _, out, _ = outlast("--years", "200", "--worst", "60")
    assert "tenant traffic: no drill measured it" in out


def test_json_is_whole(outlast: Callable[..., tuple[int, str, str]], put: Put) -> None:
    put()
    status, out, _ = outlast("--years", "200", "--json")
    value = json.loads(out)
    assert status == 0
    assert [item["target"] for item in value["predictions"]] == ["api", "tenant"]
    assert value["predictions"][0]["shares"][0]["source"]


def test_without_drills_the_exit_is_that_of_wrong_input(outlast: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = outlast()
    assert status == 2
    assert "nines.nothing-measured" in err
