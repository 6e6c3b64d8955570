"""`budgets:` in the cluster file: what may stand there, and what each is about."""

from __future__ import annotations

import pytest
from model_samples import SPECS, damaged

from outlast.model.budget_rules import SUBJECTS
from outlast.model.cluster import Budgets
from outlast.model.loader import examine, parse
from outlast.services.registry import SPECS as REAL

NAMES = [field.alias or name for name, field in Budgets.model_fields.items()]


def with_budgets(text: str) -> str:
    return damaged("nodes:", f"budgets: {text}\nnodes:")


def test_what_is_given_comes_back_by_its_name_in_the_file() -> None:
    cluster = parse(with_budgets("{api-killed: 0.5, vip: 1, database: 2.5}"), "lab.yaml", SPECS)
    assert cluster.budgets.given() == {"api-killed": 0.5, "vip": 1.0, "database": 2.5}
    assert parse(damaged("nodes:", "nodes:"), "lab.yaml", SPECS).budgets.given() == {}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{api-kiled: 1}", "key.unknown", "did you mean 'api-killed'?"),
        ("{api_killed: 1}", "key.unknown", "did you mean 'api-killed'?"),
        ("{vip: fast}", "value.type", "budgets.vip is 'fast'; expected a number of at least 0"),
        ("{vip: true}", "value.type", "budgets.vip is true"),
        ("{vip: '1'}", "value.type", "budgets.vip is '1'"),
        ("{vip: -1}", "value.range", "budgets.vip is -1; expected a number of at least 0"),
        ("{broker: 5}", "budget.absent", "budgets.broker has no effect: rabbitmq is not in this cluster"),
    ],
)
def test_what_is_wrong_is_said(text: str, code: str, words: str) -> None:
    (problem,) = examine(with_budgets(text), "lab.yaml", SPECS).problems
    assert (problem.code, problem.line) == (code, 10)
    assert words in str(problem)
    assert problem.severity == ("warning" if code == "budget.absent" else "error")


def test_every_budget_is_about_a_service_that_there_is() -> None:
    assert set(NAMES) - set(SUBJECTS) == {"tcp-others"}
    assert set(SUBJECTS) <= set(NAMES)
    assert set(SUBJECTS.values()) <= set(REAL)
