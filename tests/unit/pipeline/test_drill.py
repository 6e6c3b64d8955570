"""What a drill is told about a cluster: places, workloads, inputs, profiles."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from outlast.drill.catalogue import find
from outlast.errors import InputError
from outlast.pipeline.drill import Afterwards, fitting_workloads, hands_of, inner_node, unused_id
from outlast.pipeline.drill_record import inputs, record_of
from outlast.pipeline.profiles import under
from outlast.pipeline.target import Target, open_target

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def lab() -> Target:
    return open_target(EXAMPLES / "lab.yaml")


def test_services_speak_from_a_compute_node(lab: Target) -> None:
    """Never from a controller: a drill may cut its power."""
    assert inner_node(lab) == "k1"


def test_a_cluster_gets_the_workloads_of_its_services(lab: Target) -> None:
    whole = fitting_workloads(lab)
    assert {"nova-servers", "sql-rows", "mq-rpc", "swift-objects", "keystone-tokens"} <= set(whole)
    small = open_target(EXAMPLES / "galera.yaml")
    assert fitting_workloads(small) == ("sql-rows",)


def test_another_profile_changes_the_plan_and_drops_the_budgets(lab: Target) -> None:
    kolla = under(lab, "kolla")
    assert (kolla.plan.timing.name, lab.plan.timing.name) == ("kolla", "outlast")
    assert kolla.cluster.budgets.given() == {}
    assert under(lab, "outlast") is lab
    with pytest.raises(InputError, match="outlast, kolla, classic"):
        under(lab, "kola")


def test_a_row_depends_on_scenario_profile_and_cluster(lab: Target) -> None:
    one, other = find("kill-keystone", lab.plan), find("kill-haproxy", lab.plan)
    digests = {inputs(lab, one), inputs(lab, other), inputs(under(lab, "kolla"), one)}
    assert len(digests) == 3
    assert inputs(lab, one) == inputs(open_target(EXAMPLES / "lab.yaml"), one)
    assert inputs(lab, replace(one, hold=99.0, text="")) != inputs(lab, one)


def test_a_record_says_what_was_run_on_what(lab: Target) -> None:
    record = record_of(lab, find("power-vip-holder", lab.plan), "s-01-power-vip-holder-outlast", 7)
    assert record.machine["cores"] and record.machine["kernel"] and "drill: power-vip-holder" in record.text
    assert (record.profile, record.seed, record.fault_class) == ("outlast", 7, "node-power")


def test_real_hosts_are_not_broken() -> None:
    hosts = open_target(EXAMPLES / "lab.yaml")
    nodes = tuple(replace(node, ssh="root@192.0.2.1") for node in hosts.plan.nodes)
    with pytest.raises(InputError, match="drills break labs only"):
        hands_of(Target(hosts.path, hosts.cluster, replace(hosts.plan, nodes=nodes)))


def test_what_is_left_after_a_drill_is_done_before_the_next_measures() -> None:
    afterwards, begun = Afterwards(), threading.Event()
    done: list[str] = []

    def forget() -> None:
        begun.wait(10)
        done.append("forgotten")

    afterwards.do(forget)
    assert not done
    begun.set()
    afterwards.wait()
    assert done == ["forgotten"]


def test_a_fault_in_what_is_left_is_not_lost() -> None:
    afterwards = Afterwards()

    def forget() -> None:
        raise InputError("drill.test", "no such server")

    afterwards.do(forget)
    with pytest.raises(InputError, match="no such server"):
        afterwards.wait()
    afterwards.wait()


def test_no_run_writes_into_the_evidence_of_another(tmp_path: Path) -> None:
    """The same profile twice in one session: the second run's evidence was once added to the first's."""
    numbers = range(1, 100, 2)
    first = unused_id(tmp_path, "20260101t000000", "kill-keystone-outlast", numbers)
    assert first == "20260101t000000-01-kill-keystone-outlast"
    (tmp_path / first).mkdir()
    assert unused_id(tmp_path, "20260101t000000", "kill-keystone-outlast", numbers).startswith("20260101t000000-03-")
    assert unused_id(tmp_path, "20260101t000000", "kill-keystone-kolla", numbers).startswith("20260101t000000-01-")
