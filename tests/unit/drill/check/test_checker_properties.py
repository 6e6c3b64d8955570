"""Whatever a correct store does and its clients hear of it, nothing unsafe is found; a break is found as itself.

The model is a store of rows in which every operation takes effect at one moment between its sending and its answer. An
unknown one takes effect later, or never; a failed one never.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import inf
from random import Random

from drill_histories import PROJECTS, ROWS, op, view
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.check.check import check
from outlast.drill.check.order import Timeline
from outlast.record.history import Operation
from outlast.record.run import View
from outlast.record.verdict import Finding

NODES = ("c1", "c2", "c3")
LATE = 4.0


@dataclass
class Story:
    """A history, what is there at its end, and what may be broken without an excuse: keys with one acknowledged create
    and no delete (kept), and keys with one acknowledged create and one acknowledged delete after it (removed)."""

    history: tuple[Operation, ...] = ()
    rows: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def views(self, **changed: str) -> tuple[View, ...]:
        return tuple(view(node, *{**self.rows, **changed}.items()) for node in NODES)


@dataclass
class Plan:
    """An operation and the moment at which it takes effect; None: never."""

    kind: str
    key: str
    sent: float
    ended: float
    outcome: str
    effect: float | None
    value: str = ""


def _plans(random: Random, size: int) -> list[Plan]:
    plans = []
    for number in range(size):
        kind = random.choice(("create", "create", "delete", "read", "list"))
        key = f"r-{random.randrange(max(2, size // 4))}"
        sent = random.uniform(0, size / 4)
        ended = sent + random.uniform(0.01, 2)
        outcome = random.choice(("ok", "ok", "ok", "unknown", "failed"))
        effect: float | None = random.uniform(sent, ended)
        if outcome == "failed":
            effect = None
        elif outcome == "unknown":
            effect = random.choice((None, effect, ended + random.uniform(0, LATE)))
        plans.append(Plan(kind, key, sent, ended, outcome, effect, f"v{number}" if kind == "create" else ""))
    return [*plans, *_certain(random, size)]


def _certain(random: Random, size: int) -> list[Plan]:
    """A row that is made, and one that is made and removed: every story has something that can be broken."""
    made, again, removed = (random.uniform(at, at + size / 8) for at in (0, 0, size / 8 + 2))
    return [
        Plan("create", "r-kept", made, made + 1, "ok", made + random.random(), "kept"),
        Plan("create", "r-gone", again, again + 1, "ok", again + random.random(), "gone"),
        Plan("delete", "r-gone", removed, removed + 1, "ok", removed + random.random()),
    ]


def _happen(plans: list[Plan]) -> dict[str, str]:
    """Runs the store. What it cannot do (create what is there) it refuses; what is there in the end comes back."""
    rows: dict[str, str] = {}
    for plan in sorted((plan for plan in plans if plan.effect is not None), key=lambda plan: plan.effect or 0):
        if plan.kind == "create" and plan.key in rows:
            plan.outcome = "failed" if plan.outcome == "ok" else plan.outcome
        elif plan.kind == "create":
            rows[plan.key] = plan.value
        elif plan.kind == "delete" and plan.key in rows:
            del rows[plan.key]
        elif plan.kind == "read":
            plan.value = rows.get(plan.key, "")
        elif plan.kind == "list":
            plan.value = " ".join(rows)
    return rows


def _story(seed: int, size: int) -> Story:
    plans = _plans(Random(seed), size)
    rows = _happen(plans)
    history = tuple(
        op(
            plan.kind,
            "" if plan.kind == "list" else plan.key,
            (plan.sent, plan.ended),
            plan.outcome,
            value=plan.value if plan.outcome != "failed" else "",
        )
        for plan in plans
    )
    return Story(history, rows, *_breakable(plans))


def _breakable(plans: list[Plan]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kept, removed = [], []
    for key in sorted({plan.key for plan in plans if plan.kind == "create"}):
        writes = sorted((plan for plan in plans if plan.key == key and plan.kind in ("create", "delete")), key=_sending)
        shape = [(write.kind, write.outcome) for write in writes]
        if shape == [("create", "ok")]:
            kept.append(key)
        elif shape == [("create", "ok"), ("delete", "ok")] and writes[0].ended < writes[1].sent:
            removed.append(key)
    return tuple(kept), tuple(removed)


def _sending(plan: Plan) -> float:
    return plan.sent


stories = st.builds(_story, st.integers(0, 2**32), st.integers(5, 80))


def _unsafe(history: tuple[Operation, ...], views: tuple[View, ...]) -> list[tuple[str, str]]:
    return [(finding.what, finding.key) for finding in check(history, views) if not finding.safe]


@given(stories)
def test_a_correct_store_is_never_accused(story):
    assert [(finding.what, finding.key) for finding in check(story.history, story.views())] == []
    assert check(story.history, ()) == ()


@given(stories, st.randoms(use_true_random=False))
def test_answers_that_never_came_accuse_nobody(story, random):
    """Any write may turn out unknown, with its answer noted or not: what is not known excuses everything."""
    history = tuple(
        operation
        if operation.kind not in ("create", "delete") or operation.outcome == "failed" or random.random() < 0.5
        else op(operation.kind, operation.key, (operation.sent, random.choice((None, operation.ended))), "unknown")
        for operation in story.history
    )
    assert _unsafe(history, story.views()) == []


@given(stories)
def test_refusals_that_were_applied_are_never_unsafe(story):
    """Whoever answers "failed" to a write that was done makes a finding, and nothing worse."""
    writes = [entry for entry in story.history if entry.kind == "create" and entry.outcome == "ok"]
    alone = {entry.key for entry in writes if sum(other.key == entry.key for other in story.history) == 1}
    history = tuple(
        op("create", entry.key, (entry.sent, entry.ended), "failed") if entry.key in alone else entry
        for entry in story.history
    )
    there = sorted(alone & story.rows.keys())
    found = check(history, story.views())
    assert sorted(finding.key for finding in found) == there
    assert {(finding.what, finding.safe) for finding in found} <= {("failed-but-applied", True)}


@given(stories, st.data())
def test_a_row_that_vanishes_everywhere_is_lost(story, data):
    key = data.draw(st.sampled_from(story.kept))
    del story.rows[key]
    assert _unsafe(story.history, story.views()) == [("lost", key)]


@given(stories, st.data())
def test_a_row_that_vanishes_on_some_members_makes_them_diverge(story, data):
    key = data.draw(st.sampled_from(sorted(story.rows)))
    without = data.draw(st.sets(st.sampled_from(range(3)), min_size=1, max_size=2))
    views = [
        view(node, *((row, value) for row, value in story.rows.items() if row != key or place not in without))
        for place, node in enumerate(NODES)
    ]
    assert _unsafe(story.history, tuple(views)) == [("diverged", key)]


@given(stories, st.data())
def test_an_entry_too_many_is_duplicated(story, data):
    key = data.draw(st.sampled_from(story.kept))
    place = data.draw(st.sampled_from(range(3)))
    entries = tuple(story.rows.items())
    views = [
        view(node, *entries, *([(key, story.rows[key])] if place == number else []))
        for number, node in enumerate(NODES)
    ]
    assert _unsafe(story.history, tuple(views)) == [("duplicated", key)]


@given(stories, st.data())
def test_a_deleted_row_that_is_back_is_resurrected(story, data):
    key = data.draw(st.sampled_from(story.removed))
    value = next(entry.value for entry in story.history if entry.key == key and entry.kind == "create")
    assert _unsafe(story.history, story.views(**{key: value})) == [("resurrected", key)]


@given(stories, st.data())
def test_another_value_is_wrong(story, data):
    key = data.draw(st.sampled_from(story.kept))
    assert _unsafe(story.history, story.views(**{key: "nobody's"})) == [("wrong", key)]


@given(stories, st.data())
def test_a_read_that_forgets_is_stale(story, data):
    key = data.draw(st.sampled_from(story.kept))
    acknowledged = next(entry.ended for entry in story.history if entry.key == key and entry.kind == "create")
    age = data.draw(st.integers(1, 100)) / 10
    seen = " ".join(row for row in story.rows if row != key)
    kind = data.draw(st.sampled_from(("read", "list")))
    when = (acknowledged + age, acknowledged + age + 1)
    forgetful = op(kind, key, when) if kind == "read" else op("list", "", when, value=f"{seen} ...")
    whole = forgetful if kind == "read" else op("list", "r-", when, value=_everything(story, but=key))
    missing = _missing((*story.history, whole), story.views())
    assert [finding.key for finding in missing] == [key]
    assert f"{age:.3f} s after its acknowledgement" in missing[0].sentence
    if kind == "list":
        assert _missing((*story.history, forgetful), story.views()) == []


def _missing(history: tuple[Operation, ...], views: tuple[View, ...]) -> list[Finding]:
    return [found for found in check(history, views) if found.what == "stale" and " missing in " in found.sentence]


def _everything(story: Story, but: str) -> str:
    """A list that shows all keys there ever were, so that only one is missing."""
    return " ".join(sorted({entry.key for entry in story.history if entry.key} - {but}))


# What intervals prove, against all orders that they allow


_times = st.tuples(st.integers(0, 12), st.integers(1, 5)).map(lambda pair: (pair[0] + 0.0, float(sum(pair))))
_writes = st.lists(
    st.tuples(st.sampled_from(("create", "delete")), _times, st.sampled_from(("ok", "ok", "unknown", "failed"))),
    max_size=3,
)


def _moments(sent: float, ended: float, outcome: str) -> list[float | None]:
    """Moments to try: a grid in the interval that is finer than the distance of two ends."""
    until = 18.0 if outcome == "unknown" else ended
    grid: list[float | None] = [sent + step / 4 for step in range(int((until - sent) * 4) + 1)]
    return [*grid, None] if outcome == "unknown" else grid


@given(_writes, _times)
def test_must_show_is_what_all_orders_agree_on(writes, reader):
    """A key must be there exactly when no choice of moments, one for each operation, leaves it out."""
    line = Timeline("k", [op(kind, "k", times, outcome) for kind, times, outcome in writes])
    told = [entry for entry in writes if entry[2] != "failed"]
    choices = [_moments(*times, outcome) for _, times, outcome in told]
    seen = set()
    for moment in _moments(*reader, "ok"):
        for chosen in product(*choices) if len(told) < 3 else _sampled(choices):
            seen.add(_there(told, chosen, moment or 0.0))
    proven = line.must_show(*reader, refusals_hold=True)
    if proven:
        assert seen == {True}
    if seen == {True} and len(told) < 3:
        assert proven
    if line.why_there(*reader) in ("deleted", "refused", "elsewhere"):
        assert seen == {False}


def _there(told, chosen, moment) -> bool:
    """Whether the key is there at the moment. Of two things at the same moment the one written later comes later."""
    done = [(at, kind) for (kind, _, _), at in zip(told, chosen, strict=True) if at is not None and at < moment]
    return bool(done) and max(done, key=lambda entry: entry[0])[1] == "create"


def _sampled(choices):
    random = Random(7)
    return [tuple(random.choice(choice) for choice in choices) for _ in range(40)]


def test_a_reader_after_the_end_is_later_than_everything():
    line = Timeline("k", [op("create", "k", (1, 2))])
    assert line.must_show(inf, inf)
    assert line.why_there(inf, inf) == "created"


@given(stories)
def test_collections_do_not_mix(story):
    """The same keys in another collection change nothing."""
    others = tuple(
        op(entry.kind, entry.key, (entry.sent, entry.ended), entry.outcome, value=entry.value, **PROJECTS)
        for entry in story.history
    )
    assert check((*story.history, *others), (*story.views(), view("vip", *story.rows.items(), of=PROJECTS))) == ()
    assert all(found.sentence.startswith(ROWS["service"]) for found in check((*story.history, *others), (view("c1"),)))
