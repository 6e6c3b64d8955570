"""What is loaded ahead, for whom, and what must hold for a program to be forked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from outlast.lab.image import forks
from outlast.pipeline.target import Target
from outlast.plan.plan import Plan
from outlast.render.tree import NodeTree
from outlast.services.forkserver.modules import PROJECTS, READ
from outlast.services.forkserver.service import CONFIG, describe, usable
from outlast.services.oslo import FORKS, PROCESS_NAME
from outlast.spec.file import Ini, Scalar, Text
from outlast.spec.program import Program


def forked(tree: NodeTree) -> dict[str, Program]:
    programs = [program for member in tree.members for program in member.spec.programs]
    return {program.name: program for program in programs if program.fork}


def test_nine_programs_of_a_controller_are_forked(lab_trees: Mapping[str, NodeTree]) -> None:
    assert set(forked(lab_trees["c1"])) == {
        "keystone", "glance", "placement", "neutron-api", "neutron-ovn-maintenance",
        "nova-api", "nova-metadata", "nova-scheduler", "nova-conductor",
    }  # fmt: skip
    assert not forked(lab_trees["k1"])


def test_who_is_forked_is_a_script_of_roots_with_a_name_of_its_own(lab_trees: Mapping[str, NodeTree]) -> None:
    programs = forked(lab_trees["c1"])
    for program in programs.values():
        assert program.argv[0].startswith("/opt/openstack/bin/") and program.user == "root"
        assert program.fork in PROJECTS
    # The default, the name of the script, is taken when the library is loaded: then all would share reply queues.
    names = [dict(program.env)[PROCESS_NAME] for program in programs.values()]
    assert len(set(names)) == len(names)


def test_nobody_sets_what_is_read_while_loading(lab_trees: Mapping[str, NodeTree]) -> None:
    for member in lab_trees["c1"].members:
        for file in member.spec.files:
            for section, keys in READ.get(member.spec.service, {}).items():
                given = file.content.sections.get(section, {}) if isinstance(file.content, Ini) else {}
                told = {key: value for key, value in given.items() if not keys or key in keys}
                told.pop("concurrency_backend", None)  # "threading", which these programs choose by themselves
                assert not told, file.path


@pytest.mark.parametrize(
    ("sections", "good"),
    [
        ({"DEFAULT": {"debug": True}}, True),
        ({"profiler": {"hmac_keys": "x"}}, True),
        ({"profiler": {"enabled": True}}, False),
        ({"DEFAULT": {"concurrency_backend": "eventlet"}}, False),
    ],
)
def test_an_override_of_such_an_option_leaves_the_project_out(
    lab: Target, sections: dict[str, dict[str, Scalar]], good: bool
) -> None:
    plan = replace(lab.plan, overrides={"nova": {"nova.conf": sections}})
    assert usable(plan, "nova") is good
    assert usable(plan, "neutron")
    assert ("nova" in projects(plan)) is good
    assert "neutron" in projects(plan)


def test_the_plugin_in_the_image_and_the_code_mean_the_same_folder() -> None:
    assert forks.FOLDER == FORKS


def test_a_whole_section_counts(lab: Target) -> None:
    plan = replace(lab.plan, overrides={"neutron": {"neutron.conf": {"cache": {"enabled": True}}}})
    assert not usable(plan, "neutron")


def projects(plan: Plan) -> list[str]:
    member = next(one for one in plan.members_of("forkserver") if one.node == "c1")
    file = next(file for file in describe(plan, member).files if file.path == CONFIG)
    assert isinstance(file.content, Text)
    return [row[0] for row in json.loads(file.content.text)["projects"]]
