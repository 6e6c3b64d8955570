"""What views after the drill prove, and what they do not."""

from __future__ import annotations

import pytest
from drill_histories import CONSUMED, NOTICES, PROJECTS, ROWS, classes, op, view

from outlast.drill.check.check import check, count, unproven

CREATED = op("create", "a", (1, 2), value="1")


def on_all(*entries, of=ROWS):
    return [view(node, *entries, of=of) for node in ("c1", "c2", "c3")]


def test_nothing_to_say_about_a_history_without_faults():
    history = [
        CREATED,
        op("create", "b", (2, 3), value="2"),
        op("delete", "b", (4, 5)),
        op("create", "c", (5, 6), "failed"),
        op("read", "a", (5, 6), value="1"),
        op("list", "", (6, 7), value="a"),
    ]
    assert classes(history, on_all(("a", "1"))) == []


# Lost


def test_lost_is_acknowledged_and_on_no_node():
    (found,) = check((CREATED,), tuple(on_all()))
    assert (found.what, found.key, found.safe) == ("lost", "a", False)
    assert found.sentence == (
        f"galera sql-rows: a was acknowledged (request {CREATED.id}), and it is not on c1, c2, c3."
    )


def test_lost_from_an_api_needs_one_complete_view_that_lacks_it():
    made = op("create", "p", (1, 2), **PROJECTS)
    assert classes([made], [view("vip", of=PROJECTS)]) == [("lost", "p")]
    assert classes([made], [view("vip", of=PROJECTS), view("c1", "p", of=PROJECTS)]) == []


def test_a_delete_that_found_nothing_does_not_excuse_a_loss():
    assert classes([CREATED, op("delete", "a", (3, 4), "failed", detail="404")], on_all()) == [("lost", "a")]


def test_a_delete_that_ended_before_the_create_does_not_excuse_a_loss():
    assert classes([op("delete", "a", (0, 0.5)), CREATED], on_all()) == [("lost", "a")]


def test_a_second_create_can_be_lost_after_the_first_was_deleted():
    history = [CREATED, op("delete", "a", (3, 4)), op("create", "a", (5, 6), value="2")]
    assert classes(history, on_all()) == [("lost", "a")]


@pytest.mark.parametrize(
    ("history", "views"),
    [
        ([CREATED], []),
        ([CREATED], [view("c1", complete=False)]),
        ([CREATED], [view("c1", of=PROJECTS)]),
        ([CREATED], [view("c1", of={"service": "galera", "workload": "other"})]),
        ([CREATED, op("delete", "a", (3, 4))], on_all()),
        ([CREATED, op("delete", "a", (3, 8), "unknown")], on_all()),
        ([CREATED, op("delete", "a", (None, None), "unknown", scheduled=3.0)], on_all()),
        ([CREATED, op("delete", "a", (1.5, 1.7))], on_all()),
        ([CREATED, op("delete", "a", (0, 0.5), "unknown")], on_all()),
        ([op("create", "a", (1, 6), "unknown")], on_all()),
        ([op("create", "a", (1, 2), "failed")], on_all()),
        ([op("create", "a", (None, None), "unknown")], on_all()),
        ([op("create", "a", (None, 2), "unknown")], on_all()),
    ],
    ids=[
        "no view",
        "incomplete view",
        "view of another service",
        "view of another collection",
        "deleted",
        "delete unknown",
        "delete without an end",
        "delete beside the create",
        "delete unknown and late",
        "create unknown",
        "create refused",
        "create without an end",
        "create never sent",
    ],
)
def test_silent_about_loss(history, views):
    assert classes(history, views) == []


def test_a_delete_that_was_never_sent_does_not_excuse_a_loss():
    assert classes([CREATED, op("delete", "a", (None, 3), "unknown")], on_all()) == [("lost", "a")]


# Diverged


def test_diverged_is_on_some_members_only():
    (found,) = check((CREATED,), (view("c1", "a"), view("c2"), view("c3", "a")))
    assert (found.what, found.key, found.safe) == ("diverged", "a", False)
    assert found.sentence == "galera sql-rows: a is on c1, c3 and not on c2."


def test_members_must_agree_after_an_unknown_write_too():
    assert classes([op("create", "a", (1, 6), "unknown")], [view("c1", "a"), view("c2")]) == [("diverged", "a")]


def test_diverged_rather_than_lost_when_an_incomplete_view_has_it():
    assert classes([CREATED], [view("c1", "a", complete=False), view("c2")]) == [("diverged", "a")]


def test_diverged_values_when_nothing_says_which_is_right():
    views = [view("c1", ("a", "1")), view("c2", ("a", "2"))]
    (found,) = check((op("create", "a", (1, 2)),), tuple(views))
    assert found.sentence == "galera sql-rows: a has different values: c1 '1', c2 '2'."


@pytest.mark.parametrize(
    "views",
    [
        [view("c1", "a"), view("c2", complete=False)],
        [view("c1", ("a", "1")), view("c2", "a"), view("c3", ("a", "a"))],
        [view("c1", "a", "foreign"), view("c2", "a")],
    ],
    ids=["incomplete view lacks it", "value not known", "a key that the drill did not write"],
)
def test_silent_about_divergence(views):
    assert classes([CREATED], views) == []


def test_copies_of_an_api_are_not_compared():
    made = op("create", "p", (1, 2), **PROJECTS)
    assert classes([made], [view("c1", "p", of=PROJECTS), view("c2", of=PROJECTS)]) == []


# Duplicated


def test_duplicated_is_one_create_and_two_entries():
    (found,) = check((CREATED,), tuple(on_all("a", "a")))
    assert (found.what, found.safe) == ("duplicated", False)
    assert found.sentence == "galera sql-rows: a is there 2 times and was created once."


def test_a_duplicate_with_another_id_is_a_duplicate_and_not_a_wrong_value():
    made = op("create", "p", (1, 2), value="id-1", **PROJECTS)
    assert classes([made], [view("vip", ("p", "id-1"), ("p", "id-2"), of=PROJECTS)]) == [("duplicated", "p")]


def test_an_unknown_create_that_happened_twice_is_duplicated():
    made = op("create", "p", (1, 6), "unknown", **PROJECTS)
    assert classes([made], [view("vip", "p", "p", of=PROJECTS)]) == [("duplicated", "p")]


@pytest.mark.parametrize("second", ["ok", "unknown"])
def test_two_creates_under_one_name_explain_two_entries(second):
    history = [op("create", "p", (1, 2), **PROJECTS), op("create", "p", (3, 4), second, **PROJECTS)]
    assert classes(history, [view("vip", "p", "p", of=PROJECTS)]) == []
    assert classes(history, [view("vip", "p", "p", "p", of=PROJECTS)]) == [("duplicated", "p")]


def test_one_entry_in_each_of_several_views_is_no_duplicate():
    assert classes([CREATED], on_all("a")) == []


# Failed but applied


def test_refused_and_there():
    (found,) = check((op("create", "a", (1, 2), "failed"),), tuple(on_all("a")))
    assert (found.what, found.safe) == ("failed-but-applied", True)


@pytest.mark.parametrize("detail", ["500", "409", ""])
def test_refused_to_delete_and_gone(detail):
    refused = op("delete", "a", (3, 4), "failed", detail=detail)
    (found,) = check((CREATED, refused), tuple(on_all()))
    assert (found.what, found.safe) == ("failed-but-applied", True)
    assert found.sentence == f"galera sql-rows: a is gone, though its deletion was refused (request {refused.id})."
    assert classes([CREATED, refused], on_all("a")) == []
    assert classes([CREATED, refused], []) == []


def test_a_delete_refused_before_the_create_explains_nothing():
    assert classes([op("delete", "a", (0, 0.5), "failed", detail="500"), CREATED], on_all()) == [("lost", "a")]


def test_a_refused_create_explains_the_second_entry():
    history = [op("create", "p", (1, 2), **PROJECTS), op("create", "p", (3, 4), "failed", **PROJECTS)]
    assert classes(history, [view("vip", "p", "p", of=PROJECTS)]) == [("failed-but-applied", "p")]


@pytest.mark.parametrize("other", ["ok", "unknown"])
def test_a_refused_create_beside_one_that_may_stand_says_nothing(other):
    assert classes([op("create", "a", (1, 2), "failed"), op("create", "a", (3, 4), other)], on_all("a")) == []


def test_refused_twice_over():
    assert classes([op("create", "a", (1, 2), "failed")], on_all("a", "a")) == [
        ("duplicated", "a"),
        ("failed-but-applied", "a"),
    ]


# Resurrected


def test_resurrected_is_deleted_and_there():
    history = [CREATED, op("delete", "a", (3, 4))]
    (found,) = check(tuple(history), tuple(on_all("a")))
    assert (found.what, found.safe) == ("resurrected", False)
    assert f"(request {history[1].id})" in found.sentence


def test_resurrected_on_one_member_is_not_diverged_too():
    assert classes([CREATED, op("delete", "a", (3, 4))], [view("c1", "a"), view("c2")]) == [("resurrected", "a")]


def test_what_an_incomplete_view_shows_is_there():
    assert classes([CREATED, op("delete", "a", (3, 4))], [view("c1", "a", complete=False)]) == [("resurrected", "a")]


def test_a_create_refused_before_the_delete_explains_nothing():
    history = [CREATED, op("create", "a", (2.2, 2.5), "failed"), op("delete", "a", (3, 4))]
    assert classes(history, on_all("a")) == [("resurrected", "a")]


@pytest.mark.parametrize(
    "writes",
    [
        [CREATED, op("delete", "a", (3, 8), "unknown")],
        [CREATED, op("delete", "a", (3, 4), "failed")],
        [CREATED, op("delete", "a", (3, 4)), op("create", "a", (5, 6))],
        [CREATED, op("delete", "a", (3, 4)), op("create", "a", (5, 10), "unknown")],
        [op("create", "a", (1, 6), "unknown"), op("delete", "a", (7, 8))],
        [op("create", "a", (1, 3.5)), op("delete", "a", (3, 4))],
        [op("create", "a", (1, 3)), op("delete", "a", (3, 4))],
    ],
    ids=[
        "delete unknown",
        "delete refused",
        "created again",
        "perhaps created again",
        "create unknown before the delete",
        "delete beside the create",
        "intervals that touch",
    ],
)
def test_silent_about_resurrection(writes):
    assert classes(writes, on_all("a")) == []


# Wrong


def test_wrong_is_another_value_than_the_acknowledged_one():
    (found,) = check((CREATED,), tuple(on_all(("a", "9"))))
    assert (found.what, found.safe) == ("wrong", False)
    assert found.sentence == "galera sql-rows: a is '9' on c1, c2, c3 and was acknowledged as '1'."


def test_wrong_on_one_member_is_not_diverged_too():
    assert classes([CREATED], [view("c1", ("a", "1")), view("c2", ("a", "9"))]) == [("wrong", "a")]


def test_the_value_of_a_deleted_create_is_wrong_in_the_end():
    history = [CREATED, op("delete", "a", (3, 4)), op("create", "a", (5, 6), value="2")]
    assert classes(history, on_all(("a", "1"))) == [("wrong", "a")]
    assert classes(history, on_all(("a", "2"))) == []


@pytest.mark.parametrize(
    ("writes", "shown"),
    [
        ([CREATED], "a"),
        ([CREATED], ("a", "a")),
        ([op("create", "a", (1, 2))], ("a", "9")),
        ([CREATED, op("create", "a", (3, 8), "unknown")], ("a", "9")),
        ([CREATED, op("create", "a", (3, 8), "unknown", value="9")], ("a", "9")),
        ([op("create", "a", (0, 5), "unknown", value="8"), op("create", "a", (6, 7), "failed", value="9")], ("a", "9")),
    ],
    ids=[
        "the view has none",
        "presence only",
        "the create noted none",
        "an unknown create may have had it",
        "an unknown create had it",
        "a refused create had it and none was acknowledged",
    ],
)
def test_silent_about_values(writes, shown):
    assert classes(writes, on_all(shown)) == []


# Messages


PUBLISHED = op("create", "m1", (1, 2), **NOTICES)


def taken(*messages, outcome="ok"):
    return [op("read", "", (5, 6), outcome, value=message, **CONSUMED) for message in messages]


def test_a_message_that_nobody_has_is_lost():
    (found,) = check((PUBLISHED,), (view("reader", of=NOTICES),))
    assert found.what == "lost"
    assert found.sentence.endswith("and no consumer has it.")


def test_a_message_that_was_taken_is_not_lost():
    assert classes([PUBLISHED, *taken("m1")], [view("reader", of=NOTICES)]) == []
    assert classes([PUBLISHED, *taken("m1", outcome="unknown")], [view("reader", of=NOTICES)]) == []
    assert classes([PUBLISHED], [view("one", of=NOTICES), view("other", "m1", of=NOTICES)]) == []


def test_messages_are_in_one_place_so_all_places_must_be_known():
    assert classes([PUBLISHED], [view("one", of=NOTICES), view("other", of=NOTICES, complete=False)]) == []
    assert classes([PUBLISHED, *taken("m2")], []) == []


@pytest.mark.parametrize(
    ("history", "views"),
    [
        ([PUBLISHED], [view("reader", "m1", "m1", of=NOTICES)]),
        ([PUBLISHED, *taken("m1", "m1")], []),
        ([PUBLISHED, *taken("m1 m2 m1")], []),
        ([PUBLISHED, *taken("m1", "m1")], [view("reader", of=NOTICES)]),
    ],
)
def test_a_message_that_came_twice_is_counted_and_safe(history, views):
    (found,) = check(tuple(history), tuple(views))
    assert (found.what, found.key, found.safe) == ("duplicated", "m1", True)


def test_a_message_whose_taking_was_not_acknowledged_may_come_again():
    assert classes([PUBLISHED, *taken("m1", outcome="unknown"), *taken("m1")], []) == []


def test_a_message_published_twice_may_come_twice():
    again = op("create", "m1", (3, 4), "unknown", **NOTICES)
    assert classes([PUBLISHED, again, *taken("m1", "m1")], []) == []


def test_a_refused_message_that_came():
    refused = op("create", "m1", (1, 2), "failed", **NOTICES)
    assert classes([refused, *taken("m1")], []) == [("failed-but-applied", "m1")]
    assert classes([refused], [view("reader", "m1", of=NOTICES)]) == [("failed-but-applied", "m1")]


# The rest


def test_keys_that_the_drill_did_not_write_are_left_alone():
    assert classes([CREATED], on_all("a", "old", "old")) == []
    assert classes([op("read", "", (1, 2)), op("read", "old", (1, 2), value="7")], on_all("old")) == []
    assert classes([op("delete", "old", (1, 2), "failed")], on_all("old", "old")) == []


def test_same_key_in_two_collections():
    history = [CREATED, op("create", "a", (1, 2), **PROJECTS)]
    found = check(tuple(history), (view("c1", "a"), view("vip", of=PROJECTS)))
    assert [finding.sentence.split(":")[0] for finding in found] == ["keystone keystone-projects"]


def test_count_has_every_class():
    found = check((CREATED, op("create", "b", (1, 2)), op("create", "c", (1, 2), "failed")), tuple(on_all("c")))
    assert count(found) == {
        "lost": 2,
        "diverged": 0,
        "duplicated": 0,
        "resurrected": 0,
        "wrong": 0,
        "stale": 0,
        "failed-but-applied": 1,
    }


def test_unproven_names_collections_without_a_view_that_could_show_a_loss():
    history = (CREATED, PUBLISHED, op("create", "p", (1, 2), **PROJECTS))
    views = (
        view("c1", "a"),
        view("c2", complete=False),
        view("one", of=NOTICES),
        view("other", complete=False, of=NOTICES),
    )
    assert unproven(history, views) == (("rabbitmq", "mq-notices"), ("keystone", "keystone-projects"))
    assert unproven((op("create", "a", (1, 2), "unknown"),), ()) == ()
