"""Scenario files: what is read, what is refused with which line, and that written ones are read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from outlast.drill.scenario import Fault, Scenario
from outlast.drill.scenario_file import ScenarioFileError, load_scenario, read, write
from outlast.drill.vocabulary import BUDGETS, CLASSES, NEEDS, TARGETS, VERBS, Option, Verb
from outlast.errors import InputError

GOOD = """\
drill: power-vip-holder
title: Power loss of the VIP holder
class: node-power
covers: [D5, TC054]
suites: [conformance, quick]
faults:
  - {verb: poweroff, target: vip-holder}
hold: 15
budgets: {new-failed: 0, stall: 1.5, lost: 0}
"""

BAD = """\
drill: Power VIP
titel: Power loss
class: node-powr
covers: D5
faults:
  - {verb: poweroff, target: vip-holdr}
  - verb: kil
    target: one
  - verb: kill
    target: one
    after: 5
    proggram: nova-api
  - {verb: lose, target: one, after: 2, percent: 500, network: managment}
  - {verb: partition, target: one, groups: [[one]], after: 6}
hold: soon
rate: 0
undo: maybe
budgets:
  stal: 1.5
  lost: none
needs: {controllers: -1}
"""

EXPECTED = """\
bad.yaml:1: drill.file.name
bad.yaml:1: drill.file.key-missing
bad.yaml:2: drill.file.key-unknown
bad.yaml:3: drill.file.choice
bad.yaml:4: drill.file.type
bad.yaml:6: drill.file.target
bad.yaml:7: drill.file.verb
bad.yaml:9: drill.file.option-missing
bad.yaml:12: drill.file.option
bad.yaml:13: drill.file.range
bad.yaml:13: drill.file.choice
bad.yaml:13: drill.file.order
bad.yaml:14: drill.file.groups
bad.yaml:14: drill.file.groups
bad.yaml:15: drill.file.type
bad.yaml:16: drill.file.range
bad.yaml:17: drill.file.type
bad.yaml:19: drill.file.key-unknown
bad.yaml:20: drill.file.type
bad.yaml:21: drill.file.range
"""


def _refusal(text: str) -> str:
    with pytest.raises(ScenarioFileError) as refused:
        read(text, "bad.yaml")
    return str(refused.value)


def test_a_file_becomes_values() -> None:
    assert read(GOOD) == Scenario(
        name="power-vip-holder",
        title="Power loss of the VIP holder",
        fault_class="node-power",
        covers=("D5", "TC054"),
        suites=("conformance", "quick"),
        faults=(Fault(verb="poweroff", target="vip-holder"),),
        hold=15.0,
        budgets={"new-failed": 0.0, "stall": 1.5, "lost": 0.0},
        text=GOOD,
    )


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    with pytest.raises(ScenarioFileError) as refused:
        read(BAD, "bad.yaml")
    found = [f"{item.file}:{item.line}: {item.code}" for item in refused.value.problems]
    assert sorted(found) == sorted(EXPECTED.splitlines())
    assert [item.line for item in refused.value.problems] == sorted(item.line for item in refused.value.problems)
    assert refused.value.exit_status == 2 and isinstance(refused.value, InputError)


def test_what_was_meant() -> None:
    said = _refusal(BAD)
    for word in ("title", "node-power", "vip-holder", "kill", "program", "management", "stall"):
        assert f"did you mean {word!r}?" in said
    assert "write it as a list: [D5]" in said
    assert "faults[4].percent" not in said and "faults[3].percent is 500; expected a number from 0.1 to 100" in said


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("", 1, "drill.file.empty"),
        ("# nothing\n", 1, "drill.file.empty"),
        ("- drill\n", 1, "drill.file.not-mapping"),
        ("drill: [\n", 2, "drill.file.yaml"),
        ("drill: &a x\n", 1, "drill.file.anchor"),
        (GOOD + "hold: 3\n", 10, "drill.file.key-duplicate"),
        (GOOD + "waits: true\n", 10, "drill.file.waits"),
        (GOOD.replace("{verb: poweroff, target: vip-holder}", "poweroff"), 7, "drill.file.type"),
        (GOOD.replace("\n  - {verb: poweroff, target: vip-holder}", " []"), 6, "drill.file.type"),
        (GOOD.replace("target: vip-holder}", "target: leader-of:nova}"), 7, "drill.file.target"),
        (GOOD.replace("target: vip-holder}", "target: rest}"), 7, "drill.file.target"),
        (GOOD.replace("target: vip-holder}", "target: one, stagger: yes}"), 7, "drill.file.type"),
        (GOOD.replace("target: vip-holder}", "target: one, keep-off: 1}"), 7, "drill.file.type"),
        (GOOD.replace("target: vip-holder}", "target: one, after: 4}"), 7, "drill.file.order"),
        (
            GOOD.replace("poweroff, target: vip-holder}", "overload-cpu, target: one, workers: 1.5}"),
            7,
            "drill.file.type",
        ),
        (GOOD.replace("poweroff, target: vip-holder}", "partition}"), 7, "drill.file.groups"),
        (GOOD.replace("title: Power loss of the VIP holder", "title: [a]"), 2, "drill.file.type"),
    ],
)
def test_one_problem(text: str, line: int, code: str) -> None:
    with pytest.raises(ScenarioFileError) as refused:
        read(text, "f.yaml")
    assert [(item.line, item.code) for item in refused.value.problems] == [(line, code)]


def test_of_a_verb_without_options_the_hint_says_so() -> None:
    said = _refusal(GOOD.replace("poweroff, target: vip-holder}", "stop-disk-writes, target: one, free-mib: 4}"))
    assert "stop-disk-writes takes no 'free-mib' (it takes nothing but a target and `after`)" in said


def test_groups_name_targets() -> None:
    text = GOOD.replace("poweroff, target: vip-holder}", "partition, groups: [[minority], [rest]], way: out}")
    assert read(text).faults == (
        Fault(verb="partition", target="all", options={"groups": (("minority",), ("rest",)), "way": "out"}),
    )


def test_several_programs_and_networks() -> None:
    text = GOOD.replace(
        "{verb: poweroff, target: vip-holder}",
        '{verb: pause, target: all, program: "galera, rabbitmq"}\n'
        '  - {verb: drop, target: one, network: "tunnel,external"}',
    )
    assert [dict(fault.options) for fault in read(text).faults] == [
        {"program": "galera, rabbitmq"},
        {"network": "tunnel,external"},
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioFileError, match=r"drill\.file\.missing"):
        load_scenario(tmp_path / "mine.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"drill: a\ntitle: \xe9\n")
    with pytest.raises(ScenarioFileError, match=r"latin\.yaml:2: drill\.file\.encoding"):
        load_scenario(tmp_path / "latin.yaml")
    (tmp_path / "good.yaml").write_text(GOOD)
    assert load_scenario(tmp_path / "good.yaml").text == GOOD


def _value(option: Option) -> some.SearchStrategy[object]:
    match option.kind:
        case "yes-no":
            return some.booleans()
        case "number":
            return some.floats(option.low, option.high)
        case "count":
            return some.integers(int(option.low), int(option.high))
        case "choice":
            return some.sampled_from(option.choices)
        case "groups":
            return some.sampled_from([(("minority",), ("rest",)), (("one", "writer"), ("other",), ("node:c1",))])
        case "name":
            return some.sampled_from(["nova-api", "galera"])


@some.composite
def _faults(draw: some.DrawFn, after: float) -> Fault:
    verb = draw(some.sampled_from(sorted(VERBS)))
    form: Verb = VERBS[verb]
    chosen = {key: option for key, option in form.optional.items() if draw(some.booleans())}
    options = {key: draw(_value(option)) for key, option in {**form.required, **chosen}.items()}
    plain = [name for name in TARGETS if ":" not in name and name != "rest"]
    target = "all" if "groups" in options else draw(some.sampled_from([*plain, "leader-of:rabbitmq", "node:c1"]))
    return Fault(verb=verb, target=target, after=after, options=options)  # type: ignore[arg-type]


@some.composite
def _scenarios(draw: some.DrawFn) -> Scenario:
    later = sorted(draw(some.lists(some.floats(0, 3600), max_size=3)))
    letters = some.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs", "Zl", "Zp"))
    names = some.lists(some.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), max_size=3).map(tuple)
    return Scenario(
        name=draw(some.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)),
        title=draw(some.text(letters, min_size=1, max_size=60).filter(lambda text: bool(text.strip()))),
        fault_class=draw(some.sampled_from(sorted(CLASSES))),
        faults=tuple(draw(_faults(after)) for after in (0.0, *later)),
        suites=draw(names),
        workloads=draw(names),
        rate=draw(some.floats(0.1, 1000)),
        warmup=draw(some.floats(0, 600)),
        undo=draw(some.booleans()),
        budgets=draw(some.dictionaries(some.sampled_from(sorted(BUDGETS)), some.floats(0, 1e9))),
        needs=draw(some.dictionaries(some.sampled_from(sorted(NEEDS)), some.integers(0, 999))),
    )


@given(_scenarios())
def test_what_is_written_is_read_back(scenario: Scenario) -> None:
    text = write(scenario)
    assert read(text) == replace(scenario, text=text)


@given(some.text(max_size=200))
def test_no_text_is_too_much(text: str) -> None:
    with pytest.raises(ScenarioFileError):
        read(text, "any.yaml")
