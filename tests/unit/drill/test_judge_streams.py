"""Tenant streams and the owners of VIPs."""

from __future__ import annotations

import pytest
from judge_histories import EFFECT, END, REDUNDANT, UNDO, samples, stream

from outlast.drill.judge_streams import Owners, Stream, owner_findings, owners, streams
from outlast.drill.measure import Clock
from outlast.record.history import Packet
from outlast.record.run import Sample
from outlast.record.verdict import StreamLoss

TIMES = Clock(first=EFFECT, last=EFFECT, end=END, undo=UNDO, redundant=REDUNDANT)
INSIDE = 240
"""Packets between the effect and redundancy: 30 s, eight a second."""


def one(packets: tuple[Packet, ...]) -> Stream:
    (found,) = streams(packets, TIMES)
    return found


@pytest.mark.parametrize(
    ("lost", "count", "gap"),
    [
        ((), 0, 0.0),
        ((50,), 1, 1 / 8),
        ((50, 51, 52, 53), 4, 0.5),
        ((50, 60, 61), 3, 0.25),
        ((40,), 1, 1 / 8),  # sent exactly when the fault took effect
        ((39,), 0, 0.0),  # before it
        ((38, 39, 40), 1, 3 / 8),  # one gap, of which a part is of this fault
        ((280,), 0, 0.0),  # sent exactly at redundancy
    ],
)
def test_loss(lost: tuple[int, ...], count: int, gap: float) -> None:
    found = one(stream(lost))
    assert found.loss == StreamLoss(stream="floating", sent=INSIDE, lost=count, gap=gap)
    assert not found.blind


def test_a_stream_that_never_comes_back() -> None:
    found = one(stream(tuple(range(160, 400))))
    assert found.loss.lost == 120
    assert found.loss.gap == (400 - 160) / 8


def test_a_stream_that_never_began() -> None:
    assert one(stream(tuple(range(400)))).loss.gap == 400 / 8


def test_a_late_sender_is_no_gap() -> None:
    packets = tuple(packet for packet in stream() if not 100 <= packet.seq < 104)
    assert one(packets).loss == StreamLoss(stream="floating", sent=INSIDE - 4, lost=0, gap=0.0)


def test_a_silent_sender_is_told() -> None:
    packets = tuple(packet for packet in stream() if not 100 <= packet.seq < 120)
    assert one(packets).blind
    assert one(stream(count=30)).blind


def test_two_answers_to_one_packet_count_once() -> None:
    packets = stream((50,))
    answered = Packet(stream="floating", seq=50, sent=packets[50].sent, received=12.0)
    assert one((*packets, answered)).loss.lost == 0
    assert one((answered, *packets)).loss.sent == INSIDE


A, B, BOTH, NONE = ("c1",), ("c2",), ("c1", "c2"), ()


def owner(*holders: tuple[str, ...], first: float = EFFECT, step: float = 1 / 8) -> Owners:
    (found,) = owners(samples(*holders, step=step), first, EFFECT)
    return found


def test_one_owner_all_the_time() -> None:
    found = owner(A, A, B)
    assert (found.doubled, found.without) == (0.0, 0.0)
    assert owner_findings([found]) == ()


def test_two_owners_until_the_next_sample_with_one() -> None:
    assert owner(A, BOTH, B).doubled == 0.125
    assert owner(A, BOTH, BOTH, BOTH, B, BOTH, A).doubled == 0.375
    assert owner(A, B, BOTH).doubled == 0.0


def test_two_owners_beyond_the_slack_are_unsafe() -> None:
    assert owner_findings([owner(A, BOTH, BOTH, B)]) == ()
    (found,) = owner_findings([owner(A, ("c2", "c1"), BOTH, BOTH, B)])
    assert (found.what, found.key, found.safe) == ("two-owners", "external", False)
    assert found.sentence == "VIP external was on c1 and c2 at once for 0.38 s"


def test_two_owners_within_what_is_allowed_are_a_figure() -> None:
    found = owner(BOTH, BOTH, BOTH, B)
    assert [each.safe for each in owner_findings([found], 0.375)] == [True]
    assert [each.safe for each in owner_findings([found], 0.25)] == [False]


def test_two_owners_in_turns_are_two_owners() -> None:
    found = owner(("c1", "c2"), ("c2", "c3"), ("c1", "c3"), A)
    assert (found.doubled, found.nodes) == (0.375, ("c1", "c2", "c3"))


def test_a_node_without_power_owns_nothing() -> None:
    off = tuple(Sample(at=10.0 + index, holders={"external": BOTH}, off=("c1",)) for index in range(3))
    assert owners(off, EFFECT, END)[0].doubled == 0.0


def test_no_owner_until_the_next_sample_with_one() -> None:
    found = owner(A, NONE, NONE, B, NONE, A)
    assert (found.without, found.empty) == (0.375, ((10.125, 10.375), (10.5, 10.625)))
    (finding,) = owner_findings([found])
    assert (finding.what, finding.safe) == ("no-owner", True)
    assert finding.sentence == "VIP external was on no node for 0.38 s"


def test_no_owner_before_the_fault_does_not_count() -> None:
    assert owner(NONE, NONE, A, first=EFFECT + 0.0625).without == 0.1875


def test_a_vip_that_a_sample_does_not_name_is_nowhere() -> None:
    mixed = (Sample(at=10.0, holders={"external": A}), Sample(at=11.0), Sample(at=12.0, holders={"external": A}))
    assert owners(mixed, EFFECT, END)[0].without == 1.0


def test_between_samples_far_apart_nothing_is_known() -> None:
    found = owner(BOTH, NONE, B, step=2.5)
    assert (found.doubled, found.without) == (0.0, 0.0)
    assert owner(BOTH, NONE, B, step=2.0).doubled == 2.0


@pytest.mark.parametrize(("until", "blind"), [(EFFECT - 1, False), (EFFECT + 5, False), (EFFECT + 7, True)])
def test_blind_where_nobody_looked(until: float, blind: bool) -> None:
    assert owners(samples(A, A, A, A, step=1.0), EFFECT + 1, until)[0].blind is blind
    assert owners(samples(A, A, A, A, step=1.0, begin=EFFECT + 3), EFFECT, until)[0].blind is (until > EFFECT)
