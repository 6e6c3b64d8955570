"""Evidence to bins: nothing is hidden by it, and its size does not grow with the load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import Shape, row, verdict, write_folder

from outlast.record.events import Event
from outlast.record.history import Operation, Outcome, Packet, Stall
from outlast.record.run import Mark, Sample
from outlast.report.drawing import draw
from outlast.report.folders import seen as read_seen
from outlast.report.timeline import BINS, Lane, Seen, timeline

MARKS = (
    Mark(at=90.0, what="load-started"),
    Mark(at=99.9, what="inject", detail="kill nova-api on c1"),
    Mark(at=100.0, what="took-effect"),
    Mark(at=115.0, what="undo"),
    Mark(at=130.0, what="redundant"),
    Mark(at=140.0, what="load-stopped"),
)


def asked(at: float, outcome: Outcome = "ok", took: float | None = 0.02, service: str = "nova") -> Operation:
    ended = None if took is None else at + took
    detail = "" if outcome == "ok" else "503"
    return Operation(
        id=1, workload="w", service=service, kind="read", scheduled=at, ended=ended, outcome=outcome, detail=detail
    )


def lane(operations: Sequence[Operation]) -> Lane:
    (one,) = timeline(Seen(row=row(), marks=MARKS, operations=operations)).lanes
    return one


def test_zero_is_the_last_fault_that_took_effect() -> None:
    twice = (*MARKS, Mark(at=105.0, what="took-effect", fault=1))
    seen = timeline(Seen(row=row(), marks=twice))
    assert (seen.zero, seen.begin, seen.end) == ("the fault took effect", -15.0, 35.0)


@pytest.mark.parametrize(("left", "zero"), [(3, "the injection"), (1, "the load began"), (0, "the beginning")])
def test_without_a_proof_of_effect_the_axis_says_what_it_counts_from(left: int, zero: str) -> None:
    marks = [mark for mark in MARKS if mark.what != "took-effect"][:left]
    assert timeline(Seen(row=row(), marks=marks, operations=[asked(91.0)])).zero == zero


def test_a_run_of_which_nothing_was_seen_can_still_be_drawn() -> None:
    assert draw(timeline(Seen(row=row()))).height > 0


# Half-milliseconds never lie on the edge of a bin (50 s / 432), where rounding would decide.
moment = st.integers(0, 49_999).map(lambda number: 90.0005 + number / 1000)


@given(st.lists(st.tuples(moment, st.sampled_from(("ok", "failed", "unknown"))), min_size=1, max_size=300))
def test_no_bad_request_is_hidden_by_binning(found: list[tuple[float, Outcome]]) -> None:
    seen = lane([asked(at, outcome) for at, outcome in found])
    for outcome in ("ok", "failed", "unknown"):
        times = [at for at, what in found if what == outcome]
        assert seen.totals[outcome] == len(times)
        assert set(seen.bins[outcome]) == {min(BINS - 1, int((at - 90) / 50 * BINS)) for at in times}
    bad = [at - 100 for at, what in found if what != "ok"]
    assert all(any(span.begin <= at <= span.end for span in seen.bad) for at in bad)
    assert len(seen.bad) <= 25


def test_a_span_of_bad_requests_says_what_they_said() -> None:
    (span,) = lane([asked(101.0, "failed"), asked(101.1, "failed"), asked(101.2, "unknown", took=None)]).bad
    assert (span.begin, span.end) == (pytest.approx(1.0), pytest.approx(1.2))
    assert span.text == "2 × failed: 503, 1 × unknown: 503"


def test_the_latency_line_is_the_slowest_of_its_moment_and_leaves_out_what_never_ended() -> None:
    seen = lane([asked(101.0, took=0.1), asked(101.001, took=3.0), asked(110.0, "unknown", took=None)])
    assert [value for _, value in seen.latency] == [pytest.approx(3.0)]


def test_owners_hold_until_the_next_sample_and_nobody_is_a_part_of_its_own() -> None:
    owners: tuple[tuple[float, tuple[str, ...]], ...] = (
        (90.0, ("c1",)),
        (95.0, ("c1",)),
        (100.0, ()),
        (100.4, ("c2", "c3")),
        (101.0, ("c2",)),
    )
    samples = [Sample(at=at, holders={"internal": names}, off=("c1",) if at == 100 else ()) for at, names in owners]
    bar, off = timeline(Seen(row=row(), marks=MARKS, samples=samples)).bars
    assert bar.label == "VIP internal"
    assert [(part.begin, part.end, part.names) for part in bar.parts] == [
        (-10.0, 0.0, ("c1",)),
        (0.0, pytest.approx(0.4), ()),
        (pytest.approx(0.4), 1.0, ("c2", "c3")),
        (1.0, 40.0, ("c2",)),
    ]
    assert [(part.names) for part in off.parts] == [(), ("c1",), ()]


def test_lost_packets_are_a_share_of_their_moment() -> None:
    packets = [Packet(stream="s", seq=n, sent=100.001 + n / 1000, received=None if n < 3 else 101) for n in range(6)]
    (stream,) = timeline(Seen(row=row(), marks=MARKS, packets=packets)).streams
    assert (stream.sent, stream.lost) == (6, 3)
    assert stream.losses[0][1] == pytest.approx(0.5)


def test_events_are_kept_node_by_node_and_those_outside_left_out() -> None:
    seen_by = ((101.0, "c2"), (100.5, "c1"), (500.0, "c1"))
    events = [Event(n, at, node, "nova", "down", "is down") for n, (at, node) in enumerate(seen_by)]
    stalls = [Stall(at=100.2, seconds=0.08)]
    seen = timeline(Seen(row=row(), marks=MARKS, events=events, stalls=stalls))
    assert {node: len(moments) for node, moments in seen.events.items()} == {"c1": 1, "c2": 1}
    assert (seen.events["c1"][0].at, seen.events["c1"][0].text) == (0.5, "nova down: is down")
    assert seen.stalls[0].text == "80 ms"


def test_the_close_view_shows_only_who_was_hit_in_the_first_moments() -> None:
    operations = [asked(90 + n / 10, service="glance") for n in range(500)] + [asked(100.2, "failed"), asked(120.0)]
    close = timeline(Seen(row=row(), marks=MARKS, operations=operations)).close
    assert close is not None
    assert [one.service for one in close.lanes] == ["nova"]
    assert (close.begin, close.end) == (-0.5, 2.0)
    assert sum(close.lanes[0].totals.values()) == 1


def test_there_is_no_close_view_where_it_would_show_nothing_more() -> None:
    quiet = [asked(90 + n / 10) for n in range(500)]
    assert timeline(Seen(row=row(), marks=MARKS, operations=quiet)).close is None
    late = row(found=verdict(mask=30.0))
    assert timeline(Seen(row=late, marks=MARKS, operations=[*quiet, asked(100.2, "failed")])).close is None


def test_labels_of_marks_do_not_lie_on_each_other() -> None:
    close = [Mark(at=100 + n / 100, what=what) for n, what in enumerate(("inject", "took-effect", "undo", "undone"))]
    labels = [one for one in draw(timeline(Seen(row=row(), marks=[*MARKS, *close]))).shapes if one.style == "label"]
    for one in labels:
        for other in labels:
            if one is not other and one.y == other.y and one.anchor == other.anchor:
                assert abs(one.x - other.x) > 6 * min(len(one.text), len(other.text))


def test_everything_drawn_lies_inside_the_picture() -> None:
    drawing = draw(timeline(Seen(row=row(), marks=MARKS, operations=[asked(90.0), asked(140.0, "failed")])))
    assert all(0 <= shape.x <= drawing.width and 0 <= shape.y <= drawing.height for shape in drawing.shapes)


def test_a_picture_of_many_requests_stays_small(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, row(), Shape(requests=5000, outage=8.0, noise=0.05))
    seen = timeline(read_seen(folder))
    shapes = [shape for view in (seen, seen.close) if view for shape in draw(view).shapes]
    assert sum(len(shape.d) + len(shape.text) + len(shape.title) for shape in shapes) < 90_000
