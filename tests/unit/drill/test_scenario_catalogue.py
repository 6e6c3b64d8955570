"""What comes with Outlast, what follows from a plan, suites, and whether a cluster can run a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from example_clusters import opened

import outlast.drill
from outlast.drill.catalogue import describe_rows, everything, find, own, seconds, shipped, suite, suites
from outlast.drill.faults.table import VERBS as FAULTS
from outlast.drill.fitting import fits
from outlast.drill.inventory import inventory
from outlast.drill.judge_budgets import FIGURES
from outlast.drill.rows import generated, kind_of
from outlast.drill.scenario import Fault, Scenario
from outlast.drill.scenario_file import ScenarioFileError, read, write
from outlast.drill.targets import CLUSTERED, DESCRIPTIONS
from outlast.drill.vocabulary import BUDGETS, CLASSES, LEADERS, TARGETS, VERBS
from outlast.errors import InputError
from outlast.pipeline.target import Target

FOLDER = Path(outlast.drill.__file__).parent / "scenarios"
DRILLS_PAGE = Path(__file__).parents[3] / "docs/drills.md"

# Programs of examples/lab.yaml: on its controllers, and on its compute nodes.
CONTROLLERS = """
haproxy haproxy-guard keepalived keepalived-guard zookeeper galera galera-responder rabbitmq memcached ovn-nb ovn-sb
ovn-northd ovsdb ovs-vswitchd ovn-controller forkserver keystone swift-storage swift-rsync swift-upkeep swift-proxy
glance placement neutron-api neutron-ovn-maintenance nova-api nova-metadata nova-scheduler nova-conductor outlast-agent
"""
COMPUTES = """
ovsdb-compute ovs-vswitchd-compute ovn-controller-compute neutron-ovn-agent libvirtd nova-compute outlast-agent-compute
"""

# What the tables of figures and of conformance cases ask for, by case, where the case applies.
CASES = {
    "TC019": "kill-nova-api",
    "TC045": "kill-neutron-api",
    "TC046": "kill-keystone",
    "TC047": "kill-glance",
    "TC049": "kill-swift-proxy",
    "TC088": "kill-nova-scheduler",
    "TC089": "kill-nova-conductor",
    "TC025": "power-other",
    "TC054": "power-vip-holder",
    "TC050": "link-down-management",
    "TC051": "overload-cpu",
    "TC052": "overload-disk",
    "TC053": "kill-haproxy",
    "TC056": "kill-rabbitmq",
    "TC090": "kill-galera",
    "TC057": "kill-zookeeper",
    "TC058": "power-gateway",
    "TC087": "kill-sdn-one",
    "TC092": "kill-sdn-all",
    "TC093": "kill-ovs-vswitchd-compute",
}


@pytest.fixture(params=sorted(path.name for path in FOLDER.iterdir()))
def path(request: pytest.FixtureRequest) -> Path:
    return FOLDER / str(request.param)


def test_a_shipped_file_is_named_like_its_drill_and_survives_writing(path: Path) -> None:
    scenario = shipped()[path.stem]
    assert scenario.text == path.read_text(encoding="utf-8")
    text = write(scenario)
    assert read(text) == replace(scenario, text=text)
    assert scenario.covers and scenario.budgets


def test_a_shipped_scenario_has_its_line_in_the_book() -> None:
    book = DRILLS_PAGE.read_text(encoding="utf-8")
    lines = [line for line in book.splitlines() if line.startswith("| `")]
    for one in shipped().values():
        assert f"| `{one.name}` | {one.fault_class} | {', '.join(one.covers)} | {one.title} |" in lines


def test_words_are_those_of_faults_and_judge() -> None:
    assert set(VERBS) == set(FAULTS) - {"hang"}, "which is the faults' second word for pause"
    for name, verb in VERBS.items():
        assert set(verb.options) == set(FAULTS[name].options), name
    assert set(BUDGETS) == set(FIGURES)
    assert set(LEADERS) == set(CLUSTERED)
    assert {name for name in TARGETS if ":" not in name} - {"rest"} == set(DESCRIPTIONS) & set(TARGETS)


def test_rows_of_the_lab(lab: Target) -> None:
    programs = [*CONTROLLERS.split(), *COMPUTES.split()]
    wanted = {f"{how}-{program}" for program in programs for how in ("kill", "hang")}
    found = [one.name for one in generated(lab.plan)]
    assert set(found) == wanted | {"hang-supervisord", "hang-supervisord-compute"}
    assert len(found) == len(set(found))


def test_every_program_of_every_example_has_its_two_rows(example: Target) -> None:
    rows = {(one.faults[0].verb, str(one.faults[0].options["program"])) for one in generated(example.plan)}
    programs = {name for names in inventory(example.plan).programs.values() for name in names}
    assert rows == {(verb, name) for verb in ("kill", "pause") for name in programs} - {("kill", "supervisord")}


def test_a_row_is_a_file_like_any_other(lab: Target) -> None:
    for one in generated(lab.plan):
        assert read(one.text) == one
        assert fits(one, lab.plan) == ""


@pytest.mark.parametrize(
    ("name", "fault_class", "target"),
    [
        ("kill-nova-api", "api-kill", "one"),
        ("hang-swift-proxy", "api-hang", "one"),
        ("kill-nova-scheduler", "worker-kill", "one"),
        ("hang-nova-compute", "agent-hang", "any-compute"),
        ("hang-haproxy", "balancer", "vip-holder"),
        ("kill-keepalived", "vrrp", "vip-holder"),
        ("kill-galera", "database", "writer"),
        ("kill-rabbitmq", "broker", "leader-of:rabbitmq"),
        ("hang-memcached", "cache", "one"),
        ("kill-zookeeper", "coordination", "leader-of:zookeeper"),
        ("kill-ovn-sb", "sdn", "leader-of:ovn-sb"),
        ("kill-outlast-agent", "watcher", "one"),
    ],
)
def test_class_and_target_of_a_row(lab: Target, name: str, fault_class: str, target: str) -> None:
    row = next(one for one in generated(lab.plan) if one.name == name)
    assert (row.fault_class, row.faults[0].target) == (fault_class, target)


def test_a_program_that_nobody_listed() -> None:
    assert kind_of("cinder-api", "keystone") == "api"
    assert kind_of("cinder-backup", "cinder") == "worker"


def test_shipped_ones_go_before_rows_and_the_operators_before_both(lab: Target, tmp_path: Path) -> None:
    text = shipped()["kill-haproxy"].text.replace("hold: 10", "hold: 77")
    (tmp_path / "mine.yaml").write_text(text + "", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a scenario", encoding="utf-8")
    mine = own(tmp_path)
    assert find("kill-haproxy", lab.plan).text == (FOLDER / "kill-haproxy.yaml").read_text(encoding="utf-8")
    assert find("kill-haproxy", lab.plan, mine).hold == 77
    assert [one.hold for one in everything(lab.plan, mine) if one.name == "kill-haproxy"] == [77]
    assert find(str(tmp_path / "mine.yaml"), lab.plan).hold == 77
    assert find("kill-nova-api", lab.plan).faults[0].options == {"program": "nova-api"}
    assert own(tmp_path / "nowhere") == {}


def test_unknown_names(lab: Target, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"drill\.unknown.*did you mean 'kill-nova-api'"):
        find("kill-nova-app", lab.plan)
    with pytest.raises(InputError, match=r"drill\.suite.*did you mean 'conformance'"):
        suite("conformence", lab.plan)
    with pytest.raises(ScenarioFileError):
        find(str(tmp_path / "none.yaml"), lab.plan)


def test_suites(lab: Target, tmp_path: Path) -> None:
    assert suites(lab.plan)[0] == "all" and {"conformance", "quick", "figures"} <= set(suites(lab.plan))
    for name in suites(lab.plan):
        assert suite(name, lab.plan), name
    assert {one.name for one in suite("all", lab.plan)} >= set(shipped())
    (tmp_path / "a.yaml").write_text(shipped()["drop-tunnel"].text.replace("[figures]", "[mine]"), encoding="utf-8")
    assert [one.name for one in suite("mine", lab.plan, own(tmp_path))] == ["drop-tunnel"]


def test_the_quick_suite_is_quick(lab: Target) -> None:
    quick = suite("quick", lab.plan)
    assert {one.fault_class for one in quick} == {"api-kill", "api-hang", "balancer", "database", "node-power"}
    assert all(not fits(one, lab.plan) for one in quick)
    assert sum(map(seconds, quick)) < 300, "beside about ten seconds of checking for each"


def test_conformance_has_every_case_that_applies(lab: Target) -> None:
    found = {(case, one.name) for one in suite("conformance", lab.plan) for case in one.covers if case.startswith("TC")}
    assert set(CASES.items()) <= found
    assert {one.name for one in suite("conformance", lab.plan)} == {name for _, name in found}


def test_every_failure_of_the_requirements_is_covered(lab: Target) -> None:
    covered = {number for one in everything(lab.plan) for number in one.covers}
    assert {f"D{number}" for number in range(1, 13)} <= covered


def test_every_class_has_a_scenario(lab: Target) -> None:
    assert {one.fault_class for one in everything(lab.plan)} == set(CLASSES)


def _one(**changes: object) -> Scenario:
    plain = Scenario(name="x", title="x", fault_class="sdn", faults=(Fault(verb="poweroff", target="one"),))
    return replace(plain, **changes)  # type: ignore[arg-type]


def _faults() -> Iterator[tuple[str, Fault, str]]:
    yield "galera", Fault(verb="poweroff", target="vip-holder"), "no VIP in this cluster"
    yield "lab", Fault(verb="poweroff", target="vip-holder:sdn"), "no VIP sdn in this cluster"
    yield "galera", Fault(verb="poweroff", target="leader-of:rabbitmq"), "no rabbitmq in this cluster"
    yield "galera", Fault(verb="poweroff", target="leader-of:ovn-nb"), "no ovn in this cluster"
    yield "galera", Fault(verb="poweroff", target="any-compute"), "no nova-compute in this cluster"
    yield "galera", Fault(verb="poweroff", target="writer"), ""
    yield "galera", Fault(verb="poweroff", target="node:c1"), "no node c1 in this cluster"
    yield "galera", Fault(verb="drop", target="one", options={"network": "tunnel"}), "no tunnel network in this cluster"
    yield (
        "galera",
        Fault(verb="drop", target="one", options={"network": "control-data"}),
        "the control-data network has no interface of its own in this cluster",
    )
    yield "galera", Fault(verb="drop", target="one", options={"network": "all"}), ""
    yield (
        "galera",
        Fault(verb="kill", target="one", options={"program": "nova-api"}),
        "no node of this cluster runs nova-api",
    )
    yield "lab", Fault(verb="kill", target="one", options={"program": "galera, glance"}), ""
    yield "lab", Fault(verb="answer-wrong", target="one", options={"program": "nova", "way": "500"}), ""
    yield "galera", Fault(verb="damage", target="one", options={"what": "ovn-nb"}), "no ovn in this cluster"
    yield "galera", Fault(verb="damage", target="one", options={"what": "galera-data"}), ""
    groups = {"groups": (("node:zz",), ("rest",))}
    yield "lab", Fault(verb="partition", target="all", options=groups), "no node zz in this cluster"


@pytest.mark.parametrize(("cluster", "fault", "reason"), list(_faults()))
def test_whether_a_fault_fits(cluster: str, fault: Fault, reason: str) -> None:
    assert fits(_one(faults=(fault,)), opened(cluster).plan) == reason


def test_whether_the_cluster_is_large_enough(lab: Target) -> None:
    assert fits(shipped()["power-two-of-five"], lab.plan) == "it needs 5 controllers; this cluster has 3"
    assert fits(shipped()["power-two-of-five"], opened("five").plan) == ""
    assert fits(_one(needs={"computes": 1}), opened("galera").plan) == "it needs 1 compute; this cluster has none"


def test_rows_of_the_list(lab: Target) -> None:
    rows = {row.name: row for row in describe_rows(lab.plan)}
    assert set(rows) == {one.name for one in everything(lab.plan)}
    row = rows["power-gateway"]
    assert row.needs == "3 controllers, 2 gateways, 1 compute" and row.fits == ""
    assert row.seconds == 8 + 15 + 45 + 5
    assert rows["partition-ring"].fits.startswith("it needs 5 controllers")


def test_the_estimate_counts_what_the_faults_take() -> None:
    late = _one(faults=(Fault(verb="poweroff", target="one"), Fault(verb="poweroff", target="all", after=30)))
    assert seconds(late) - seconds(_one()) == 30
    flap = Fault(verb="flap", target="one", options={"network": "tunnel", "period": 3, "count": 4})
    assert seconds(_one(faults=(flap,))) - seconds(_one()) == 12
