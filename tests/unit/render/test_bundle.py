"""Descriptions and secrets → bundles: where values go, and what makes a member restart or reload."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from outlast.pipeline.target import Target
from outlast.plan.plan import Plan
from outlast.render.bundle import Code, bundle, fill, secrets_in
from outlast.render.tree import NodeTree, RenderedFile, RenderedMember, render_node
from outlast.rollout.waves import changes
from outlast.services.registry import DESCRIBE
from outlast.spec.bundle import Bundle, BundleMember, encode
from outlast.spec.file import Directory, File, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.secret import SecretRef
from outlast.spec.service import MemberSpec

CODE = Code("code-1", b"")
AWKWARD = 'a"b\\c\n\t/é⟦'
REFS = {
    where: SecretRef(f"in/{where}")
    for where in ("file", "env", "stdin", "step-env", "setup", "needs", "probes", "step-needs")
}


def spec(**more: Any) -> MemberSpec:
    """A member of keystone with a secret in every place that may hold one."""
    told = {name: f"<{ref}>" for name, ref in REFS.items()}
    made = MemberSpec(
        "keystone",
        "c1",
        directories=(Directory("/run/x"),),
        programs=(Program("x", ("x",), env=(("PASSWORD", told["env"]),)),),
        prepare=(
            Step("prepare", ("p",), env=(("A", told["step-env"]),), stdin=told["stdin"]),
            Step("asks", ("p",), needs=(Probe("sql", secret=told["step-needs"]),)),
        ),
        setup=(Step("setup", ("s",), stdin=json.dumps({"password": told["setup"]}, ensure_ascii=False)),),
        needs=(Probe("sql", secret=told["needs"]),),
        probes=(Probe("amqp", secret=told["probes"]),),
    )
    return replace(made, **more)


def file(path: str = "/etc/x", on_change: str = "restart", text: str = "", **more: Any) -> RenderedFile:
    return RenderedFile(File(path, Text(text), on_change=on_change, **more), text)


def tree(member: MemberSpec | None = None, *files: RenderedFile) -> NodeTree:
    return NodeTree("c1", (RenderedMember(member or spec(), files or (file(text=f"p = <{REFS['file']}>"),)),))


def values(value: str = "v") -> dict[str, str]:
    return {ref.name: value for ref in REFS.values()}


def made(plan: Plan, given: NodeTree, value: str = "v") -> Bundle:
    return bundle(plan, given, values(value), CODE)


def only(plan: Plan, member: MemberSpec, *files: RenderedFile, value: str = "v") -> BundleMember:
    return made(plan, tree(member, *files), value).members[0]


def test_secrets_are_found_in_every_place() -> None:
    assert secrets_in([tree()]) == frozenset(REFS.values())


def test_kinds_are_found_too() -> None:
    key = SecretRef("keystone/fernet-0", "fernet")
    assert secrets_in([tree(MemberSpec("keystone", "c1"), file(text=f"{key}{key}"))]) == {key}


def test_secrets_are_filled_in_every_place_and_no_sign_hurts(lab: Target) -> None:
    found = made(lab.plan, tree(), AWKWARD).members[0]
    told = f"<{AWKWARD}>"
    assert found.files[0].text == f"p = {told}"
    assert found.programs[0].env == (("PASSWORD", told),)
    assert (found.prepare[0].stdin, found.prepare[0].env) == (told, (("A", told),))
    assert found.prepare[1].needs[0].secret == told
    assert found.setup[0].stdin.count(AWKWARD) == 1
    assert (found.needs[0].secret, found.probes[0].secret) == (told, told)


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again(lab: Target) -> None:
    assert fill("<⟦secret:a:password⟧>", {"a": "⟦secret:b:password⟧"}) == "<⟦secret:b:password⟧>"


def test_a_missing_secret_is_named(lab: Target) -> None:
    with pytest.raises(KeyError, match="in/"):
        bundle(lab.plan, tree(), {}, CODE)


def test_a_once_file_never_restarts(lab: Target) -> None:
    """Rotated keys: what the file would hold at first is no reason for anything."""
    kept = [
        only(lab.plan, spec(), file(text=text, once=True, on_change=on_change))
        for text in ("first", "rotated")
        for on_change in ("restart",)
    ]
    assert kept[0].restart_digest == kept[1].restart_digest
    assert kept[0].files[0].digest == kept[1].files[0].digest
    moved = only(lab.plan, spec(), file("/etc/y", text="first", once=True))
    assert moved.restart_digest != kept[0].restart_digest


@pytest.mark.parametrize(
    ("changed", "restarts", "reloads"),
    [
        (file(text="new"), True, False),
        (file(mode=0o600), True, False),
        (file(owner="nova"), True, False),
        (file(group="nova"), True, False),
        (file("/etc/y"), True, False),
    ],
)
def test_a_changed_file_restarts(lab: Target, changed: RenderedFile, restarts: bool, reloads: bool) -> None:
    before, after = only(lab.plan, spec(), file()), only(lab.plan, spec(), changed)
    assert (before.restart_digest != after.restart_digest) is restarts
    assert (before.reload_digest != after.reload_digest) is reloads


@pytest.mark.parametrize(("on_change", "restarts", "reloads"), [("reload", False, True), ("none", False, False)])
def test_a_file_says_what_its_change_does(lab: Target, on_change: str, restarts: bool, reloads: bool) -> None:
    before, after = (only(lab.plan, spec(), file(on_change=on_change, text=text)) for text in ("old", "new"))
    assert (before.restart_digest != after.restart_digest) is restarts
    assert (before.reload_digest != after.reload_digest) is reloads


STEP = (Step("other", ("o",)),)
PROBE = (Probe("tcp", "10.0.0.1", 1),)


@pytest.mark.parametrize(
    ("more", "restarts"),
    [
        ({"programs": (Program("x", ("x", "--more")),)}, True),
        ({"prepare": STEP}, False),
        ({"setup": STEP}, False),
        ({"needs": PROBE}, False),
        ({"probes": PROBE}, False),
        ({"facts": (("a", "b"),)}, False),
        ({"directories": (Directory("/run/y"),)}, False),
    ],
)
def test_only_programs_and_their_files_restart(lab: Target, more: dict[str, Any], restarts: bool) -> None:
    before, after = only(lab.plan, spec()), only(lab.plan, spec(**more))
    assert (before.restart_digest != after.restart_digest) is restarts
    assert before.reload_digest == after.reload_digest
    assert made(lab.plan, tree(spec())).digest != made(lab.plan, tree(spec(**more))).digest


def test_a_changed_secret_restarts_what_reads_it(lab: Target) -> None:
    before, after = (only(lab.plan, spec(), file(text=f"{REFS['file']}"), value=value) for value in ("old", "new"))
    assert before.restart_digest != after.restart_digest


def test_only_the_founder_has_setup_steps(lab: Target) -> None:
    member = spec(node="c2")
    other = bundle(lab.plan, NodeTree("c2", (RenderedMember(member, ()),)), values(), CODE).members[0]
    assert (other.index, other.setup) == (1, ())
    assert only(lab.plan, spec()).setup


def lab_bundle(plan: Plan, node: str, code: Code = CODE) -> Bundle:
    rendered = render_node(plan, node, DESCRIBE)
    return bundle(plan, rendered, {ref.name: "v" for ref in secrets_in([rendered])}, code)


@pytest.mark.parametrize(
    ("service", "option", "value", "kinds"),
    [
        ("haproxy", "maxconn", 5000, {"haproxy": "reload"}),
        ("keepalived", "garp_refresh", 7, {"keepalived": "reload"}),
        ("keystone", "token_seconds", 7200, {"keystone": "restart"}),
        ("galera", "max_connections", 2000, {"galera": "restart"}),
        ("swift", "replicas", 2, {"swift": "adjust"}),
    ],
)
def test_an_option_touches_only_what_depends_on_it(
    lab: Target, service: str, option: str, value: int, kinds: dict[str, str]
) -> None:
    options = {**lab.plan.options, service: {**lab.plan.options[service], option: value}}
    found = changes(lab_bundle(lab.plan, "c1"), lab_bundle(replace(lab.plan, options=options), "c1"))
    assert {change.service: change.kind for change in found} == kinds


def test_peers_share_a_clustered_service(lab: Target) -> None:
    controller, compute = lab_bundle(lab.plan, "c1"), lab_bundle(lab.plan, "k1")
    assert [peer.node for peer in controller.peers] == ["c2", "c3"]
    assert compute.peers == ()
    assert compute.vips == ()
    assert controller.vips == ("10.20.0.250", "10.21.0.250")
    assert controller.zookeeper == ("10.21.0.11:2181", "10.21.0.12:2181", "10.21.0.13:2181")


def test_new_code_reaches_the_guards_by_a_reload(lab: Target) -> None:
    told = changes(lab_bundle(lab.plan, "c1"), lab_bundle(lab.plan, "c1", Code("code-2", b"")))
    found = {change.service: (change.kind, change.reason) for change in told}
    assert found == dict.fromkeys(("haproxy", "keepalived"), ("reload", "new code of its guard"))


def test_members_and_computes_watch_the_members(lab: Target) -> None:
    controller, compute = lab_bundle(lab.plan, "c1").watch, lab_bundle(lab.plan, "k1").watch
    assert controller
    assert compute
    assert controller.peers == (("c2", "10.21.0.12"), ("c3", "10.21.0.13"))
    assert {5672, 4369, 25672, 11211} <= set(controller.ports)
    # Only who has a member of it can be cut off from the others.
    assert (controller.voters, controller.shared) == (("c2", "c3"), (5672,))
    assert (compute.voters, compute.shared) == ((), ())
    assert (controller.group, controller.grouped, compute.group) == (4567, ("c2", "c3"), 0)
    timing = replace(lab.plan.timing, repair_after=0.0)
    assert lab_bundle(replace(lab.plan, timing=timing), "c1").watch is None


def test_the_digest_is_over_everything(lab: Target) -> None:
    first = made(lab.plan, tree())
    assert first == made(lab.plan, tree())
    assert len(first.digest) == 16
    others = [
        made(lab.plan, tree(), "w"),
        bundle(lab.plan, tree(), values(), Code("code-2", b"")),
        made(replace(lab.plan, recovery="majority"), tree()),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 4
    assert len({encode(first), *(encode(other) for other in others)}) == 4
