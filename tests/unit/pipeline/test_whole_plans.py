"""Every example loads, plans and renders, and holds together as a whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from example_clusters import NAMES, opened, rendered
from places import places

from outlast.errors import PlanError
from outlast.model import listeners
from outlast.pipeline.bundles import bundles
from outlast.pipeline.target import Target
from outlast.render.bundle import Code, bundle, secrets_in
from outlast.render.tree import NodeTree, render_node
from outlast.services.oslo_check import known_options, unknown_options
from outlast.services.registry import DESCRIBE, SPECS
from outlast.spec.bundle import decode, encode
from outlast.spec.file import Ini
from outlast.spec.secret import PLACEHOLDER

CODE = Code("0123456789abcdef", b"")


def filled(target: Target, trees: Mapping[str, NodeTree]) -> dict[str, str]:
    return {ref.name: f"value-of-{ref.name}" for ref in secrets_in(trees.values())}


def test_every_oslo_key_is_known(example: Target, example_trees: Mapping[str, NodeTree]) -> None:
    """oslo.config ignores what it does not know, without a word."""
    unknown = {
        sentence
        for tree in example_trees.values()
        for member in tree.members
        for rendered_file in member.files
        if isinstance(rendered_file.file.content, Ini) and rendered_file.file.content.oslo
        for sentence in unknown_options(
            rendered_file.file.content.oslo, rendered_file.file.content.sections, known_options()
        )
    }
    assert unknown == set()


def test_every_oslo_family_can_be_checked() -> None:
    families = {
        rendered_file.file.content.oslo
        for name in NAMES
        for tree in rendered(name).values()
        for member in tree.members
        for rendered_file in member.files
        if isinstance(rendered_file.file.content, Ini) and rendered_file.file.content.oslo
    }
    assert families == {"keystone", "glance", "placement", "nova", "neutron"}
    assert families <= set(known_options())


@pytest.mark.parametrize(
    ("service", "file", "settings", "words"),
    [
        (
            "nova",
            "nova.conf",
            {"DEFAULT": {"debugg": True}},
            ("nova.conf", "[DEFAULT]", "debugg", "did you mean debug?"),
        ),
        ("nova", "nova.conf", {"schedulerr": {"workers": 2}}, ("[schedulerr]", "did you mean scheduler?")),
        ("glance", "glance-api.conf", {"swift": {"swift_store_regio": "x"}}, ("did you mean swift_store_region?",)),
        ("neutron", "ml2.ini", {"ovn": {"ovn_nb_conection": "x"}}, ("did you mean ovn_nb_connection?",)),
        ("nova-compute", "nova-compute.conf", {"libvirt": {"virt_typ": "kvm"}}, ("did you mean virt_type?",)),
        ("keystone", "keystone.cnf", {"DEFAULT": {"debug": True}}, ("keystone.cnf", "keystone.conf")),
    ],
)
def test_an_unknown_setting_is_refused(
    lab: Target, service: str, file: str, settings: dict[str, dict[str, str | bool | int]], words: tuple[str, ...]
) -> None:
    plan = replace(lab.plan, overrides={service: {file: settings}})
    node = plan.members_of(service)[0].node
    with pytest.raises(PlanError) as caught:
        render_node(plan, node, DESCRIBE)
    for word in (service, *words):
        assert word in caught.value.message
    assert caught.value.message.count("\n") == 0


def test_a_known_setting_is_taken(lab: Target) -> None:
    overrides = {"nova": {"nova.conf": {"DEFAULT": {"debug": True}, "scheduler": {"workers": 3}}}}
    plan = replace(lab.plan, overrides=overrides)
    text = render_node(plan, "c1", DESCRIBE).files["/etc/nova/nova.conf"].text
    assert re.search(r"^debug = true$", text, re.MULTILINE)
    assert re.search(r"^workers = 3$", text, re.MULTILINE)
    assert text.count("[scheduler]") == 1


def test_no_two_listeners_on_one_place(example: Target) -> None:
    for node, found in listeners.listeners(example.cluster, SPECS).items():
        doubles = [place for place, n in Counter((item.address, item.port) for item in found).items() if n > 1]
        assert doubles == [], node


def test_vrrp_ids_and_priorities_are_unique(example: Target) -> None:
    by_network: dict[str, list[int]] = {}
    for vip in example.plan.vips.values():
        by_network.setdefault(example.plan.networks[vip.network].cidr, []).append(vip.router_id)
        ranks = list(vip.priorities.values())
        assert len(set(ranks)) == len(ranks)
        assert ranks == sorted(ranks, reverse=True)
        assert all(1 <= rank <= 254 for rank in ranks), "255 would mean the owner of the address"
        assert set(vip.priorities) <= {member.node for member in example.plan.members_of("keepalived")}
    for ids in by_network.values():
        assert len(set(ids)) == len(ids)
        assert all(1 <= number <= 255 for number in ids)


def test_quorums_are_odd_and_survive_one_loss(example: Target) -> None:
    for name, spec in example.plan.specs.items():
        if spec.quorum:
            count = len(example.plan.members_of(name))
            assert count >= 3, name
            assert count % 2 == 1, name


def test_vips_of_a_group_prefer_different_nodes() -> None:
    """B7: each VIP has another first holder, and what it lists is reached through it."""
    plan = opened("vip-groups").plan
    first = {name: next(iter(vip.priorities)) for name, vip in plan.vips.items()}
    assert {first["internal"], first["database"], first["storage"]} == {"c1", "c2", "c3"}
    assert first["external"] != first["external-storage"]
    assert plan.vip("galera")[0] == plan.vips["database"].address
    assert plan.vip("swift", "external")[0] == plan.vips["external-storage"].address
    assert plan.vip("glance")[0] == plan.vips["storage"].address
    assert plan.vip("keystone")[0] == plan.vips["internal"].address
    text = rendered("vip-groups")["c1"].files["/etc/keystone/keystone.conf"].text
    assert f"@{plan.vips['database'].address}:3306" in text


def test_roles_on_nodes_of_their_own() -> None:
    plan = opened("separated").plan
    placed = {node.name: {member.service for member in plan.members_on(node.name)} for node in plan.nodes}
    assert placed["lb1"] == {"haproxy", "keepalived"}
    assert placed["n1"] == {"ovn"}
    assert placed["o1"] == {"swift"}
    assert placed["g1"] == {"openvswitch"}
    assert placed["k1"] == {"openvswitch", "nova-compute", "ovn-agent"}
    assert "galera" in placed["s1"]
    assert placed["s1"].isdisjoint({"haproxy", "keepalived", "ovn", "swift", "openvswitch", "nova-compute"})


def test_one_founder_per_service(example: Target) -> None:
    for name in example.plan.specs:
        members = example.plan.members_of(name)
        assert [member.index for member in members] == list(range(len(members)))


def test_start_order_follows_after(example: Target) -> None:
    for node in example.plan.nodes:
        order = [member.service for member in example.plan.members_on(node.name)]
        for position, name in enumerate(order):
            for earlier in example.plan.specs[name].after:
                assert earlier not in order[position + 1 :], f"{name} before {earlier}"


def test_programs_and_paths_are_unique_on_a_node(example_trees: Mapping[str, NodeTree]) -> None:
    """supervisord knows programs by name alone, and a file has one writer, or equal ones."""
    for tree in example_trees.values():
        programs = [program.name for member in tree.members for program in member.spec.programs]
        assert len(set(programs)) == len(programs)
        steps = Counter(
            (member.spec.service, step.name)
            for member in tree.members
            for step in (*member.spec.prepare, *member.spec.setup)
        )
        assert all(count == 1 for count in steps.values())


def test_secrets_are_placeholders_that_can_be_filled(example_trees: Mapping[str, NodeTree]) -> None:
    """Escaped (json.dumps without ensure_ascii=False), a placeholder is none: it would reach the node as it is."""
    for tree in example_trees.values():
        for place in places(tree):
            assert "\\u27e6" not in place.text, place
            opened_marks = place.text.count("⟦")
            assert opened_marks == len(PLACEHOLDER.findall(place.text)), place


def test_no_secret_in_any_argv(example_trees: Mapping[str, NodeTree]) -> None:
    """Every process of a node sees every other one's arguments."""
    for tree in example_trees.values():
        for place in places(tree):
            if place.where == "argv":
                assert not PLACEHOLDER.search(place.text), place


def test_files_with_secrets_are_private(example_trees: Mapping[str, NodeTree]) -> None:
    readable = {
        path
        for tree in example_trees.values()
        for path, item in tree.files.items()
        if PLACEHOLDER.search(item.text) and item.file.mode & 0o007
    }
    assert readable == set()


def test_bundles_hold_values_and_no_placeholder(example: Target, example_trees: Mapping[str, NodeTree]) -> None:
    values = filled(example, example_trees)
    for tree in example_trees.values():
        if not tree.members:
            continue
        made = bundle(example.plan, tree, values, CODE)
        raw = encode(made)
        assert "⟦".encode() not in raw
        assert b"\\u27e6" not in raw
        assert decode(raw) == made
        services = [member.service for member in made.members]
        assert services == [member.service for member in example.plan.members_on(tree.node)]


def test_bundles_are_the_same_every_time(lab: Target) -> None:
    """A second `up` without a change must find nothing to do."""
    first, code = bundles(lab, dry=True)
    values = filled(lab, rendered("lab"))
    again = {
        node.name: bundle(lab.plan, render_node(lab.plan, node.name, DESCRIBE), values, code)
        for node in lab.plan.nodes
        if lab.plan.members_on(node.name)
    }
    once_more = {
        node.name: bundle(lab.plan, render_node(lab.plan, node.name, DESCRIBE), values, code)
        for node in lab.plan.nodes
        if lab.plan.members_on(node.name)
    }
    assert again == once_more
    assert set(first) == set(again)


def test_rings_and_catalogue_are_the_same_json_everywhere(lab_trees: Mapping[str, NodeTree]) -> None:
    rings = {
        place.text
        for tree in lab_trees.values()
        for place in places(tree)
        if (place.where, place.key) == ("stdin", "rings")
    }
    assert len(rings) == 1
    assert isinstance(json.loads(rings.pop()), dict)
