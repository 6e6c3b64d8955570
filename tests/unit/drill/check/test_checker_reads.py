"""What reads and lists during the drill prove, and what they do not."""

from __future__ import annotations

import pytest
from drill_histories import ROWS, classes, op, view

from outlast.drill.check.check import check

CREATED = op("create", "a", (1, 2), value="1")
DELETED = op("delete", "a", (3, 4))
OTHER = op("create", "d2-b", (1, 2))


@pytest.mark.parametrize("read", [op("read", "a", (3.5, 4)), op("list", "", (3.5, 4), value="b")])
def test_stale_is_not_to_show_what_was_acknowledged_before(read):
    (found,) = check((CREATED, read), (view("c1", "a"),))
    assert (found.what, found.key, found.safe) == ("stale", "a", False)
    assert found.sentence == (
        f"galera sql-rows: a missing in one read, request {read.id} sent 1.500 s after its acknowledgement."
    )


def test_stale_says_its_greatest_age_once_a_key():
    reads = [op("read", "a", (3, 4)), op("list", "", (7.25, 8), value=""), op("read", "a", (5, 6))]
    (found,) = check((CREATED, *reads), ())
    assert f"a missing in 3 reads, request {reads[1].id} sent 5.250 s after" in found.sentence


def test_an_old_value_is_stale():
    history = [CREATED, DELETED, op("create", "a", (5, 6), value="2"), op("read", "a", (7, 8), value="1")]
    (found,) = check(tuple(history), ())
    assert found.what == "stale"
    assert "old value '1' of a in one read" in found.sentence
    assert "sent 1.000 s after" in found.sentence


def test_what_is_lost_is_not_stale_too():
    assert classes([CREATED, op("read", "a", (3, 4)), op("list", "", (5, 6), value="")], [view("c1")]) == [
        ("lost", "a")
    ]


def test_a_missing_second_create_is_stale():
    history = [CREATED, DELETED, op("create", "a", (5, 6), value="2"), op("list", "", (7, 8), value="")]
    assert classes(history, []) == [("stale", "a")]


@pytest.mark.parametrize(
    "history",
    [
        [CREATED, op("read", "a", (1.5, 5))],
        [CREATED, op("read", "a", (2, 5))],
        [CREATED, op("read", "a", (2.5, 3.5)), DELETED],
        [CREATED, op("read", "a", (2.5, 3)), DELETED],
        [CREATED, op("read", "a", (5, 6)), DELETED],
        [CREATED, op("delete", "a", (3, 8), "unknown"), op("read", "a", (9, 10))],
        [CREATED, op("delete", "a", (None, None), "unknown", scheduled=3.0), op("read", "a", (9, 10))],
        [CREATED, op("delete", "a", (3, 4), "failed", detail="500"), op("read", "a", (9, 10))],
        [CREATED, op("delete", "a", (3, 4), "failed", detail="500"), op("list", "", (9, 10))],
        [CREATED, op("read", "a", (5, 6), "failed")],
        [CREATED, op("read", "a", (5, 6), "unknown")],
        [op("create", "a", (1, 3), "unknown"), op("read", "a", (5, 6))],
        [op("create", "a", (1, 3), "failed"), op("read", "a", (5, 6))],
        [CREATED, op("read", "", (5, 6))],
        [CREATED, op("list", "", (5, 6), value="b c ...")],
        [CREATED, op("list", "", (1.5, 6), value="")],
        [CREATED, op("list", "", (2.5, 3.5), value=""), DELETED],
        [CREATED, op("list", "", (5, 6), value="", workload="other")],
        [OTHER, op("list", "d1-", (5, 6), value="")],
        [OTHER, op("list", "d1", (5, 6), value="")],
    ],
    ids=[
        "create beside the read",
        "acknowledged in the moment of sending",
        "delete beside the read",
        "delete sent in the moment of the answer",
        "deleted",
        "delete unknown",
        "delete without an end",
        "delete refused",
        "delete refused, then a list",
        "read refused",
        "read unknown",
        "create unknown",
        "create refused",
        "read of no key",
        "list cut",
        "create beside the list",
        "delete beside the list",
        "another collection",
        "another prefix",
        "another prefix without a hyphen",
    ],
)
def test_silent_about_staleness(history):
    assert classes(history, []) == []


@pytest.mark.parametrize("asked", ["", "d2", "d2-"])
def test_a_filtered_list_must_show_its_own_prefix(asked):
    assert classes([OTHER, CREATED, op("list", asked, (5, 6), value="a")], []) == [("stale", "d2-b")]


@pytest.mark.parametrize("read", [op("read", "a", (5, 6), value="1"), op("list", "", (5, 6), value="a ...")])
def test_resurrected_is_to_show_what_was_deleted(read):
    (found,) = check((CREATED, DELETED, read), ())
    assert (found.what, found.safe) == ("resurrected", False)
    assert f"a shown by one read, request {read.id} sent 1.000 s after its deletion was acknowledged" in found.sentence


def test_what_was_shown_after_its_deletion_and_is_gone_in_the_end_was_only_stale():
    history = [CREATED, DELETED, op("list", "", (5, 6), value="a")]
    (found,) = check(tuple(history), (view("c1"),))
    assert found.what == "stale"
    assert "sent 1.000 s after its deletion was acknowledged" in found.sentence
    assert classes(history, [view("c1", complete=False)]) == [("resurrected", "a")]


def test_an_old_list_of_a_service_whose_lists_follow_later_is_safe():
    swift = {"service": "swift", "workload": "swift-objects"}
    made = op("create", "a", (1, 2), **swift)
    (found,) = check((made, op("list", "", (3, 4), **swift)), (view("vip", "a", of=swift),))
    assert (found.what, found.safe) == ("stale", True)


def test_a_delete_that_found_nothing_does_not_excuse_a_stale_read():
    refused = op("delete", "a", (3, 4), "failed", detail="404")
    assert classes([CREATED, refused, op("list", "", (5, 6))], []) == [("stale", "a")]


def test_resurrected_in_reads_and_views_is_one_finding():
    assert classes([CREATED, DELETED, op("list", "", (5, 6), value="a")], [view("c1", "a")]) == [("resurrected", "a")]


@pytest.mark.parametrize(
    "history",
    [
        [CREATED, DELETED, op("list", "", (3.5, 6), value="a")],
        [CREATED, DELETED, op("list", "", (4, 6), value="a")],
        [CREATED, DELETED, op("create", "a", (5, 9), "unknown"), op("list", "", (6, 7), value="a")],
        [CREATED, DELETED, op("create", "a", (6.5, 9)), op("list", "", (6, 7), value="a")],
        [op("create", "a", (0, 1), "unknown"), DELETED, op("list", "", (6, 7), value="a")],
        [CREATED, op("delete", "a", (3, 4), "unknown"), op("list", "", (6, 7), value="a")],
        [CREATED, op("delete", "a", (3, 4), "failed"), op("list", "", (6, 7), value="a")],
        [op("create", "a", (8, 9)), op("list", "", (6, 7), value="a")],
    ],
    ids=[
        "delete beside the list",
        "deleted in the moment of sending",
        "perhaps created again",
        "created again beside the list",
        "create unknown before the delete",
        "delete unknown",
        "delete refused",
        "there before the drill",
    ],
)
def test_silent_about_resurrection(history):
    assert classes(history, []) == []


@pytest.mark.parametrize("read", [op("read", "a", (5, 6), value="1"), op("list", "", (5, 6), value="a")])
def test_refused_and_seen(read):
    (found,) = check((op("create", "a", (1, 2), "failed"), read), ())
    assert (found.what, found.safe) == ("failed-but-applied", True)


def test_a_read_with_a_value_that_nobody_wrote_is_wrong():
    read = op("read", "a", (5, 6), value="9")
    (found,) = check((CREATED, read), ())
    assert (found.what, found.safe) == ("wrong", False)
    assert f"a has the value '9', which nobody wrote, in one read, request {read.id}" in found.sentence


@pytest.mark.parametrize(
    "history",
    [
        [CREATED, op("read", "a", (5, 6), value="a")],
        [op("create", "a", (1, 2)), op("read", "a", (5, 6), value="9")],
        [CREATED, op("create", "a", (3, 8), "unknown"), op("read", "a", (5, 6), value="9")],
        [CREATED, DELETED, op("create", "a", (5, 6), value="2"), op("read", "a", (3.5, 4.5), value="1")],
    ],
    ids=["presence only", "the create noted none", "perhaps an unknown create's", "before the delete was acknowledged"],
)
def test_silent_about_values(history):
    assert classes(history, []) == []


def test_order_of_operations_in_the_input_does_not_matter():
    history = [CREATED, DELETED, op("create", "a", (5, 6), value="2"), op("list", "", (7, 8), value="")]
    assert check(tuple(reversed(history)), ()) == check(tuple(history), ())


def test_a_collection_of_its_own_for_each_service():
    elsewhere = {**ROWS, "service": "nova"}
    assert classes([CREATED, op("list", "", (5, 6), value="", **elsewhere)], []) == []
