"""Every program of every member answers for itself, soon enough, and the page about it is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from outlast.node import probes
from outlast.pipeline.questions import WORDS, noticed, page
from outlast.render.tree import NodeTree
from outlast.spec.probe import Probe
from outlast.spec.program import Program

PULSE_ONLY = {
    "keepalived": "its guard has no ears; the guard itself watches keepalived",
    "neutron-ovn-maintenance": "it listens nowhere and consumes no messages",
    "swift-upkeep": "it works for long and rests for long; on a busy node its own socket was not answered for 30 s",
}
"""Programs of which only a sign of life can be had, and why."""

APIS = {"keystone", "glance", "placement", "nova-api", "nova-metadata", "neutron-api", "swift-proxy"}


def programs(trees: Mapping[str, NodeTree]) -> Iterator[tuple[Program, list[Probe]]]:
    """With the probes that ask the program itself."""
    for tree in trees.values():
        for member in tree.members:
            for program in member.spec.programs:
                asked = [one for one in member.spec.probes if one.program == program.name and one.kind != "process"]
                yield program, asked


def test_every_program_is_asked_itself(example_trees: Mapping[str, NodeTree]) -> None:
    dumb = set()
    for program, asked in programs(example_trees):
        assert asked, f"nobody asks {program.name}"
        if all(probe.kind == "pulse" for probe in asked):
            dumb.add(program.name)
    assert dumb <= set(PULSE_ONLY)


def test_the_exceptions_are_still_needed(lab_trees: Mapping[str, NodeTree]) -> None:
    only = {program.name for program, asked in programs(lab_trees) if all(probe.kind == "pulse" for probe in asked)}
    assert only == set(PULSE_ONLY)


def test_every_answer_speaks_of_a_program_that_is_there(example_trees: Mapping[str, NodeTree]) -> None:
    for tree in example_trees.values():
        for member in tree.members:
            names = {program.name for program in member.spec.programs}
            for probe in member.spec.probes:
                if probe.kind in ("guard", "carrier"):
                    continue  # they speak of networks
                said = probe.path if probe.kind == "process" else probe.program
                assert said in names, f"{member.spec.service}: {probe}"


def test_hangs_are_noticed_in_time(lab_trees: Mapping[str, NodeTree]) -> None:
    """Ten seconds at most; the APIs, which the balancer watches too, in a good four; no client waits for upkeep."""
    limits = {**dict.fromkeys(APIS, 4.5), "swift-upkeep": 150.0}
    for program, asked in programs(lab_trees):
        soonest = min(noticed(probe) for probe in asked)
        assert soonest <= limits.get(program.name, 10.0), program.name


def test_questions_are_less_than_one_a_second(lab_trees: Mapping[str, NodeTree]) -> None:
    for program, asked in programs(lab_trees):
        rate = sum(1 / probe.interval for probe in asked if probe.kind != "pulse")
        # An interval counts from the answer: one a second is never reached.
        assert rate <= 1.0, program.name


@pytest.mark.parametrize("program", sorted(APIS))
def test_apis_are_known_by_their_words(lab_trees: Mapping[str, NodeTree], program: str) -> None:
    for found, asked in programs(lab_trees):
        if found.name == program:
            assert any(probe.kind == "http" and probe.contains for probe in asked)


def test_every_kind_can_be_asked_and_is_told_of() -> None:
    assert set(WORDS) - {"process", "pulse", "loaded"} == set(probes._KINDS) - {"sql"}


def test_the_page_is_not_stale(lab_trees: Mapping[str, NodeTree]) -> None:
    told = (Path(__file__).parents[3] / "docs/reference/probes.md").read_text(encoding="utf-8")
    assert told == page(lab_trees), "run scripts/reference.py"
