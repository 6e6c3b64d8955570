"""One verdict on one screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sample_runs import FAILED, UNKNOWN, service, verdict

from outlast.record.verdict import Budget, Finding, Instrument, Verdict
from outlast.report.screen import screen


def text(found: Verdict) -> str:
    return "\n".join(screen(found))


def test_everything_that_a_reader_asks_for_is_there() -> None:
    shown = text(verdict())
    for part in (
        "power-vip-holder under outlast: PASSED",
        "✓ L2  no new request fails   0 of 1,200, ≤ 0.25 %",
        "detect 0.31 s · mask 0.42 s · repair 18.2 s · redundancy 31.0 s · stall 0.90 s",
        "1,200 ok · 0 failed · 0 unknown · 0 lost · 0 duplicated",
        "floating: 12 of 6,000 packets lost, longest gap 0.12 s",
        "✓ stall 0.90 s (≤ 1.50 s)",
        "1,200 requests at 40/s; late p50 0 s, p99 4 ms; 20 % of a core; no machine stall",
    ):
        assert part in shown


def test_a_failure_names_findings_reasons_and_services() -> None:
    shown = text(
        verdict("fail", services=(service(out=2.5, failed=37),), findings=FAILED.findings, reasons=FAILED.reasons)
    )
    assert "FAILED" in shown
    assert "lost: project p-17 was acknowledged and is nowhere" in shown
    assert "budget lost: 1 > 0" in shown
    assert "nova: 37 failed, 0 unknown of 500; out 2.50 s ± 50 ms, stall 0.40 s" in shown


def test_unknown_has_a_question_mark_and_a_reason() -> None:
    shown = text(UNKNOWN)
    assert "? L2" in shown and "✓ L2" not in shown
    assert UNKNOWN.reasons[0] in shown
    assert "the drill gave no reason" in text(verdict("unknown"))


def test_what_is_missing_is_said_and_not_left_out() -> None:
    empty = Verdict(scenario="x", profile="outlast", result="unknown", levels=())
    shown = text(empty)
    assert shown.count("nothing was measured") == 3
    assert "? ok · ? failed · ? unknown · ? lost · ? duplicated" in shown
    assert "no stream was measured" in shown
    assert "nothing is known of its quality" in shown


def test_budgets_have_a_sign_and_the_unit_of_their_figure() -> None:
    budgets = (
        Budget(name="lost", limit=0, found=1, held=False),
        Budget(name="p99-ratio", limit=5, found=None, held=None),
        Budget(name="mask", limit=1, found=0.034, held=True),
    )
    shown = text(verdict(budgets=budgets))
    for part in ("✗ lost 1 (≤ 0)", "? p99-ratio ? (≤ 5 ×)", "✓ mask 34 ms (≤ 1.00 s)"):
        assert part in shown


def test_many_findings_are_cut_and_counted() -> None:
    many = tuple(Finding(what="lost", sentence=f"row {n}") for n in range(50))
    lines = screen(verdict("fail", findings=many))
    assert sum("lost: row" in line for line in lines) == 8
    assert any(line.strip() == "and 42 more" for line in lines)
    assert len(lines) < 40


def test_a_measuring_machine_that_stood_still_is_named() -> None:
    bad = Instrument(requests=9, rate=40, lateness_p50=0.1, lateness_p99=2, cpu=0.9, stalls=3, worst_stall=0.4)
    assert "3 machine stalls, worst 0.40 s" in " ".join(text(verdict(instrument=bad)).split())


@given(st.text(max_size=400), st.integers(60, 100))
def test_lines_are_never_longer_than_the_screen(said: str, width: int) -> None:
    found = verdict("fail", reasons=(said,), findings=(Finding(what="lost", sentence=said, key=said[:20]),))
    lines = screen(found, title=said, width=width)
    assert max(map(len, lines)) <= width
    assert all(letter.isprintable() for line in lines for letter in line)


def test_a_figure_and_its_unit_stay_on_one_line() -> None:
    for width in range(60, 101):
        lines = screen(verdict(detect=123.4, mask=12.3, repair=45.6, redundancy=67.8, stall=11.1), width=width)
        assert not [line for line in lines if line.split()[:1] in (["s"], ["ms"], ["%"])]
