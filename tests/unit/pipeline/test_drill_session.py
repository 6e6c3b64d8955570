"""What a session of drills comes to."""

from __future__ import annotations

import pytest

from outlast.pipeline.drill_session import last_words
from outlast.record.verdict import Result, Verdict


def verdict(result: Result, scenario: str = "kill-keystone", profile: str = "outlast") -> Verdict:
    return Verdict(scenario=scenario, profile=profile, result=result, levels=())


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (["pass"], ["pass"]),
        (["unknown", "pass"], ["pass"]),
        (["unknown", "unknown"], ["unknown"]),
        (["fail", "pass", "pass"], ["fail", "pass", "pass"]),  # three times: no later run excuses the first
        (["pass", "unknown", "pass", "pass"], ["pass", "pass", "pass"]),
    ],
)
def test_a_run_that_could_say_nothing_is_replaced_and_no_other(said: list[Result], counts: list[Result]) -> None:
    assert last_words(map(verdict, said)) == counts


def test_scenarios_and_profiles_speak_for_themselves_only() -> None:
    runs = [verdict("unknown"), verdict("pass", "hang-keystone"), verdict("pass", profile="kolla")]
    assert last_words(runs) == ["unknown", "pass", "pass"]
