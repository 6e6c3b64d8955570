"""Ratios between profiles: only within a session, with bounds where something never ended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sample_runs import row, service, verdict

from outlast.record.verdict import Verdict
from outlast.report.compare import METRICS, Comparison, Measured, Ratio, compare, ratio
from outlast.report.markdown import comparison_markdown
from outlast.report.row import Row


def pair(ours: Verdict, theirs: Verdict, held: float | None = 15.0) -> dict[str, Ratio]:
    rows = [
        replace(row(number=1, found=ours), held=held),
        replace(row(profile="kolla", number=2, found=theirs), held=held),
    ]
    (versus,) = compare(rows).rows
    return dict(zip(METRICS, versus.ratios, strict=True))


def hit(out: float, **more: object) -> Verdict:
    return verdict(services=(service("glance"), service(out=out)), **more)


def test_ratios_are_theirs_to_ours_with_both_values() -> None:
    found = pair(
        hit(0.4, mask=0.4, detect=0.2, counts={"failed": 2}), hit(8.0, mask=8.0, detect=3.0, counts={"failed": 300})
    )
    assert found["out"].text == "20.0 × (8.00 s / 0.40 s)"
    assert found["failed"].text == "150 × (300 / 2)"
    assert found["detect"].text == "15.0 × (3.00 s / 0.20 s)"
    assert found["gap"].text == "1.0 × (0.12 s / 0.12 s)"


def test_what_ended_only_with_the_undo_is_a_lower_bound() -> None:
    found = pair(hit(0.5, mask=0.5), hit(15.5, mask=15.5, detect=None))
    assert found["out"].text == "≥ 30.0 × (≥ 15.0 s / 0.50 s)"
    assert found["mask"].text == "≥ 30.0 × (≥ 15.0 s / 0.50 s)"
    assert found["detect"].text == "≥ 48.4 × (≥ 15.0 s / 0.31 s)"


def test_what_never_ended_is_a_lower_bound_too() -> None:
    found = pair(hit(0.5, mask=0.5), hit(60.0, mask=None, counts={"failed": 600}), held=None)
    assert found["out"].text == "≥ 120 × (≥ 60.0 s / 0.50 s)"
    assert found["mask"].text == "≥ 120 × (≥ 60.0 s / 0.50 s)"


def test_when_the_undo_ended_both_they_are_compared_as_measured() -> None:
    found = pair(hit(20.0, mask=20.0), hit(40.0, mask=40.0))
    assert (found["out"].value, found["mask"].value, found["out"].sign) == (2.0, 2.0, "")


def test_ours_that_never_ended_is_not_hidden() -> None:
    assert pair(hit(60.0, mask=None), hit(6.0, mask=6.0))["out"].text == "≤ 0.1 × (6.00 s / ≥ 60.0 s)"


def test_an_outage_too_short_to_be_seen_gives_a_bound_by_the_resolution() -> None:
    assert pair(hit(0.0), hit(8.0, mask=8.0))["out"].text == "≥ 160 × (8.00 s / 0 s ± 50 ms)"


def test_what_nobody_measured_and_zero_have_no_ratio() -> None:
    found = pair(verdict(services=(), streams=(), stall=None), hit(1.0, mask=1.0, counts={"failed": 7}))
    assert found["out"].text == "– (1.00 s / –)"
    assert found["stall"].text == "– (0.90 s / –)"
    assert found["gap"].text == "– (0.12 s / –)"
    assert found["failed"].text == "– (7 / 0)"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Measured(value=2.0), Measured(value=4.0), (2.0, "")),
        (Measured(value=2.0), Measured(value=4.0, least=True), (2.0, "≥")),
        (Measured(value=2.0, least=True), Measured(value=4.0), (2.0, "≤")),
        (Measured(value=2.0, least=True), Measured(value=4.0, least=True), (None, "")),
        (Measured(value=0.0, resolution=0.1), Measured(value=0.0, resolution=0.1), (None, "")),
        (Measured(value=1.0), Measured(value=0.0, resolution=0.1), (0.1, "≤")),
        (Measured(value=1.0), Measured(value=0.0), (0.0, "")),
        (Measured(value=0.0), Measured(value=3.0), (None, "")),
        (Measured(value=None), Measured(value=3.0), (None, "")),
    ],
)
def test_every_pair_of_limits(ours: Measured, theirs: Measured, expected: tuple[float | None, str]) -> None:
    found = ratio("out", ours, theirs)
    assert (found.value, found.sign) == expected


def test_only_runs_of_one_session_are_compared() -> None:
    rows: list[Row] = [row(number=1, session="a"), row(profile="kolla", number=2, session="b")]
    assert compare(rows).rows == ()
    both = compare([*rows, row(profile="classic", number=3, session="a"), row(number=4, session="b")])
    assert [(one.session, one.profile) for one in both.rows] == [("a", "classic"), ("b", "kolla")]


def test_several_runs_count_by_their_median() -> None:
    ours = [row(number=n, found=hit(out, mask=out)) for n, out in enumerate((0.1, 0.2, 5.0))]
    theirs = row(profile="kolla", number=9, found=hit(4.0, mask=4.0))
    (versus,) = compare([*ours, theirs]).rows
    assert versus.runs == (1, 3)
    assert versus.ratios[0].value == pytest.approx(20.0)


def test_rows_and_markdown_have_the_header_s_columns() -> None:
    found: Comparison = compare([row(number=1), row(profile="kolla", number=2), row(profile="classic", number=3)])
    assert {len(line) for line in (found.header, *found.table())} == {9}
    lines = [line for line in comparison_markdown(found).splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in lines} == {8}
    assert len(lines) == 4
