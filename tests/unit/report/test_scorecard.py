"""The scorecard's rows: what is pooled, stale, replaced, left out, beside."""

from __future__ import annotations

import json

from sample_runs import FAILED, MACHINE, NOW, UNKNOWN, everything, row, verdict

from outlast.record.verdict import Finding
from outlast.report.as_json import as_json
from outlast.report.scorecard import Line, Scorecard, scorecard
from outlast.report.table import COLUMNS, cells, notes


def line(card: Scorecard, scenario: str) -> Line:
    return next(line for line in card.lines if line.scenario == scenario)


def cell(card: Scorecard, scenario: str, label: str) -> str:
    return next(cell.flat for cell in cells(line(card, scenario).main) if cell.label == label)


def test_states_add_up_to_the_number_of_scenarios() -> None:
    summary = dict(scorecard(everything(), NOW).summary)
    assert summary == {"scenarios": 5, "pass": 2, "fail": 1, "unknown": 1, "stale": 1}


def test_groups_come_in_the_order_of_the_classes_with_their_words() -> None:
    card = scorecard(everything(), NOW, classes={"disk": "A disk is full", "api-hang": "An API hangs"})
    assert [(group.fault_class, group.title) for group in card.groups] == [
        ("disk", "A disk is full"),
        ("api-hang", "An API hangs"),
        ("api-kill", "api-kill"),
        ("node-power", "node-power"),
    ]


def test_runs_of_the_present_inputs_are_pooled_and_older_ones_left_out() -> None:
    rows = [row(number=1, inputs="old", found=FAILED), row(number=2), row(number=3)]
    one = line(scorecard(rows, NOW), "power-vip-holder")
    assert [origin.id for origin in one.main.pool.origins] == [row.record.id for row in rows[1:]]
    assert (one.state, one.main.older) == ("pass", 1)
    assert "1 run of other inputs left out" in notes(one.main)


def test_without_a_run_of_the_present_inputs_the_newest_inputs_are_shown_as_stale() -> None:
    rows = [row(number=1, inputs="older"), row(number=2, inputs="old", found=FAILED)]
    one = line(scorecard(rows, NOW), "power-vip-holder")
    assert (one.state, one.main.pool.result, len(one.main.pool.origins)) == ("stale", "fail", 1)


def test_a_scenario_that_is_no_longer_there_is_stale() -> None:
    card = scorecard([row("gone")], NOW)
    assert line(card, "gone").main.stale == "no such scenario and profile today"


def test_without_present_inputs_nothing_is_stale_and_the_head_says_so() -> None:
    card = scorecard(everything(), {})
    assert card.summary["stale"] == 0
    assert not card.head.checked


def test_unknown_is_shown_with_its_reason_and_never_as_a_pass() -> None:
    card = scorecard([row(number=1), row(number=2, found=UNKNOWN)], NOW)
    assert line(card, "power-vip-holder").state == "unknown"
    assert cell(card, "power-vip-holder", "result") == "unknown (2 runs)"
    assert UNKNOWN.reasons[0] in notes(line(card, "power-vip-holder").main)


def test_unknown_without_a_reason_says_that_there_is_none() -> None:
    card = scorecard([row(found=verdict("unknown"))], NOW)
    assert notes(line(card, "power-vip-holder").main) == ("the drill gave no reason",)


def test_an_unknown_run_is_replaced_by_a_later_one_but_stays_in_the_notes() -> None:
    one = line(scorecard([row(number=1, found=UNKNOWN), row(number=2)], NOW), "power-vip-holder")
    assert (one.state, len(one.main.replaced)) == ("pass", 1)
    assert "made again: the machine stood still" in notes(one.main)[0]


def test_an_unknown_run_that_saw_what_may_never_happen_is_not_replaced() -> None:
    twice = verdict("unknown", findings=(Finding(what="two-owners", sentence="VIP on c1 and c2"),))
    one = line(scorecard([row(number=1, found=twice), row(number=2)], NOW), "power-vip-holder")
    assert one.state == "unknown"
    assert "two-owners: VIP on c1 and c2" in notes(one.main)


def test_other_profiles_stand_beside_and_those_of_another_session_say_so() -> None:
    one = line(scorecard(everything(), NOW), "power-vip-holder")
    assert [(entry.pool.profile, entry.beside) for entry in one.others] == [("classic", False), ("kolla", True)]
    assert "measured in another session" in notes(one.others[0])


def test_a_service_that_only_the_undo_brought_back_is_not_called_masked() -> None:
    rows = [row(number=1), row(number=2, found=verdict(mask=15.2))]
    said = "mask: back only after the drill had undone the fault in 1 of 2 runs"
    assert said in notes(line(scorecard(rows, NOW), "power-vip-holder").main)
    assert notes(line(scorecard(rows[:1], NOW), "power-vip-holder").main) == ()


def test_a_scenario_run_only_under_another_profile_is_shown_all_the_same() -> None:
    assert line(scorecard([row(profile="kolla")], NOW), "power-vip-holder").main.pool.profile == "kolla"


def test_cells_are_those_of_the_columns_and_zero_has_its_bound() -> None:
    card = scorecard(everything(), NOW)
    shown = cells(line(card, "power-vip-holder").main)
    assert tuple(cell.label for cell in shown) == COLUMNS
    assert shown[1].flat == "✓ 0 of 3,600 (≤ 0.083 %)"
    assert cell(card, "power-vip-holder", "mask") == "0.42 s (worst 0.50 s)"
    assert cell(card, "hang-nova-api", "detect") == "–"
    assert cell(card, "kill-nova-api", "lost") == "1"
    assert cell(card, "disk-full", "result") == "stale, was passed"


def test_what_nobody_counted_is_not_zero() -> None:
    card = scorecard([row(found=verdict(counts={"failed": 0}, streams=()))], NOW)
    assert [cell(card, "power-vip-holder", name) for name in ("failed", "lost", "tenant lost")] == ["0", "?", "–"]


def test_the_head_describes_what_the_figures_were_measured_on() -> None:
    head = scorecard(everything(), NOW).head
    assert head.machines == (tuple(sorted(MACHINE.items())),)
    assert (head.runs, head.left_out, head.commits, head.clusters) == (9, 1, ("abc1234",), ("lab",))
    assert head.first is not None and head.last is not None and head.first < head.last


def test_no_run_at_all_is_an_empty_scorecard() -> None:
    card = scorecard([], NOW)
    assert card.groups == ()
    assert card.summary["scenarios"] == 0
    assert json.loads(as_json(card))["head"]["first"] is None


def test_json_has_stable_keys_and_does_not_depend_on_the_order_of_runs() -> None:
    text = as_json(scorecard(everything(), NOW))
    assert text == as_json(scorecard(everything()[::-1], NOW))
    value = json.loads(text)
    assert list(value) == ["form", "head", "summary", "classes"]
    entry = value["classes"][-1]["scenarios"][0]["profiles"][0]
    assert " ".join(sorted(entry)) == (
        "budgets counts findings levels masked_only_by_undo notes older_runs profile reasons replaced_runs result runs "
        "same_session stale tenants times"
    )
    assert entry["levels"]["L2"] == {"held": True, "n": 3600, "failed": 0, "bound": 3 / 3600}
    assert entry["times"]["mask"]["all"] == [0.4, 0.42, 0.5]
