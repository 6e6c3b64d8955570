"""When a node is cut off from most controllers, and when it is joined again: tables of cases, and what always holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from outlast.node.guard.quorum import (
    QuorumLimits,
    Standing,
    advance,
    changed,
    doubtful,
    fresh,
    hold,
    needed,
)

LIMITS = QuorumLimits()
PEERS = ("b", "c")
Answered = Mapping[str, int]


def play(standing: Standing, rounds: Iterable[str], step: float = LIMITS.interval) -> list[Standing]:
    """Standings after each round; a round is the letters of those who answer it in time."""
    found = []
    for who in rounds:
        number = standing.asked + 1
        standing = advance(standing, standing.at + step, dict.fromkeys(who, number), LIMITS)
        found.append(standing)
    return found


def armed(peers: tuple[str, ...] = PEERS) -> Standing:
    return play(fresh(100.0, peers), ["".join(peers)] * 10)[-1]


def cut(standing: Standing | None = None) -> Standing:
    return play(standing or armed(), [""] * 6)[-1]


@pytest.mark.parametrize(
    ("peers", "rounds", "is_cut"),
    [
        ("bc", ["bc"] * 50, False),
        ("bc", ["b"] * 50, False),
        ("bc", ["b", "c"] * 25, False),
        ("bc", [""] * 4, False),
        ("bc", [""] * 5, True),
        ("bc", ["", "", "", "", "c"] * 2, False),
        ("bc", ["", "", "", "c"] * 2, False),
        ("bc", ["", "", "", "c"] * 3, True),  # the third interruption: a flapping link
        ("bc", ["", "", "c"] * 20, False),  # packets get lost
        ("bcde", ["bc"] * 50, False),
        ("bcde", ["b"] * 4, False),
        ("bcde", ["b"] * 5, True),
        ("bcde", ["b", "c"] * 20, False),
        ("bcd", ["bc"] * 20, False),
        ("bcd", ["b"] * 5, True),  # two of four are no majority
        ("b", [""] * 50, False),  # two nodes: neither may judge
        ("", [""] * 50, False),
    ],
)
def test_cut_off(peers: str, rounds: list[str], is_cut: bool) -> None:
    assert play(armed(tuple(peers)), rounds)[-1].cut is is_cut


@pytest.mark.parametrize(
    ("rounds", "put_off"),
    [(["bc"], False), (["b"], False), (["c", ""], True), (["", "c"], False), ([""] * 3, True), ([""] * 6, True)],
)
def test_one_round_without_a_majority_is_a_doubt(rounds: list[str], put_off: bool) -> None:
    assert doubtful(play(armed(), rounds)[-1], LIMITS) is put_off


def test_who_never_heard_a_majority_has_no_doubt() -> None:
    assert not any(doubtful(one, LIMITS) for one in play(fresh(0.0, PEERS), [""] * 20))


def test_seconds_until_a_dead_network_is_noticed() -> None:
    begun = armed()
    first = next(one for one in play(begun, [""] * 10) if one.cut)
    assert first.at - begun.at == pytest.approx(1.0)
    assert first.cuts == 1


def test_nobody_is_cut_off_who_never_heard_a_majority() -> None:
    alone = play(fresh(0.0, ("b", "c", "d", "e")), ["b"] * 500)
    assert not any(one.cut or one.armed for one in alone)
    assert play(alone[-1], ["bc", "b"])[-1].armed


def test_profile_without_a_limit_cuts_nobody_off() -> None:
    off, standing = replace(LIMITS, limit=0.0), armed()
    for _ in range(50):
        standing = advance(standing, standing.at + 0.2, {}, off)
    assert not standing.cut and not standing.armed


def test_a_machine_that_stood_still_blames_nobody() -> None:
    standing = play(armed(), ["", ""])[-1]
    paused = advance(standing, standing.at + 3.0, {}, LIMITS)
    assert paused.late and paused.missed == standing.missed and not paused.cut
    assert not play(paused, ["bc"])[-1].cut


def test_a_machine_that_is_always_late_still_yields() -> None:
    standing = armed()
    for number in range(1, 6):
        standing = advance(standing, standing.at + 0.45, {}, LIMITS)
        assert standing.cut is (number >= 4), "void, then three rounds"


def test_an_answer_that_comes_late_is_news() -> None:
    standing = armed()
    for _ in range(40):
        standing = advance(standing, standing.at + 0.2, dict.fromkeys(PEERS, max(0, standing.asked - 3)), LIMITS)
        assert not standing.cut


def test_an_answer_that_is_known_already_is_no_news() -> None:
    standing = armed()
    old = dict.fromkeys(PEERS, standing.asked)
    for _ in range(6):
        standing = advance(standing, standing.at + 0.2, old, LIMITS)
    assert standing.cut


def test_it_comes_back_after_a_steady_time_that_grows() -> None:
    standing, took = armed(), []
    for _ in range(6):
        standing = cut(standing)
        assert standing.cut
        back = play(standing, ["bc"] * 100)
        number = next(index for index, one in enumerate(back, 1) if not one.cut)
        took.append(number)
        standing = back[number - 1]
    assert took == [10, 20, 40, 80, 80, 80]
    # A minute without trouble, and the first time is short again.
    assert cut(play(standing, ["bc"] * LIMITS.forget)[-1]).cuts == 1


@pytest.mark.parametrize(
    ("rounds", "still"),
    [
        (["b"] * 9, True),
        (["b"] * 10, False),
        (["b"] * 9 + [""] * 3 + ["b"] * 9, True),  # an interruption: from the start
        (["b"] * 5 + [""] * 2 + ["b"] * 3, False),  # the loss of a packet
        ([""] * 100, True),
    ],
)
def test_steady(rounds: list[str], still: bool) -> None:
    assert play(cut(), rounds)[-1].cut is still


def test_a_new_majority_arms_anew() -> None:
    before = armed()
    assert changed(before, 200.0, ("c", "b")) is before
    more = changed(before, 200.0, ("b", "c", "d", "e"))
    assert not more.armed and not play(more, ["b"] * 50)[-1].cut
    kept = changed(cut(), 200.0, ("b", "c", "d", "e"))
    assert kept.cut and not play(kept, ["bc"] * 10)[-1].cut


def test_a_guard_that_starts_again_goes_on() -> None:
    again = fresh(300.0, PEERS, cut=True, cuts=2)
    assert again.armed
    assert play(again, ["bc"] * 19)[-1].cut and not play(again, ["bc"] * 20)[-1].cut
    assert play(fresh(300.0, PEERS, armed=True), [""] * 5)[-1].cut


# --- what always holds ---------------------------------------------------------------------------------------------

steps = some.floats(0.01, 4.0)
anything = some.lists(some.tuples(steps, some.sets(some.sampled_from("bcde"))), max_size=120)


def run(standing: Standing, history: Iterable[tuple[float, Iterable[str]]]) -> list[Standing]:
    found = [standing]
    for step, who in history:
        last = found[-1]
        found.append(advance(last, last.at + step, dict.fromkeys(who, last.asked + 1), LIMITS))
    return found


@given(some.lists(some.tuples(steps, some.sets(some.sampled_from("bcde"), min_size=2)), max_size=120))
def test_never_cut_off_while_a_majority_answers(history: list[tuple[float, set[str]]]) -> None:
    assert not any(one.cut for one in run(armed(tuple("bcde")), history))


@given(some.lists(some.tuples(steps, some.sets(some.sampled_from("bcde"), max_size=1)), max_size=120))
def test_never_cut_off_when_no_majority_was_ever_heard_in_a_round(history: list[tuple[float, set[str]]]) -> None:
    """Answers of single peers in different rounds may arm; what was never armed is never cut off."""
    for before, after in zip(found := run(fresh(0.0, tuple("bcde")), history), found[1:], strict=False):
        assert before.armed or not after.cut


@given(anything)
def test_a_cut_needs_three_unheard_rounds_and_a_return_a_steady_time(history: list[tuple[float, set[str]]]) -> None:
    found = run(armed(tuple("bcde")), history)
    for index, (before, after) in enumerate(zip(found, found[1:], strict=False), 1):
        if after.cut and not before.cut:
            assert all(len(who) < 2 for _, who in history[index - LIMITS.gap : index])
        if before.cut and not after.cut:
            assert len(history[index - 1][1]) > 0
            assert all(one.cut for one in found[index - hold(before.cuts, LIMITS) : index])


@given(some.lists(some.booleans(), max_size=1500), some.integers(1, 12))
def test_a_flapping_link_moves_a_node_seldom(ups: list[bool], length: int) -> None:
    """Whatever the rhythm: after the first few, at most one cut in the longest hold."""
    rounds = ["bc" if up else "" for up in ups for _ in range(length)]
    found = play(armed(), rounds)
    cuts = sum(1 for before, after in zip(found, found[1:], strict=False) if after.cut and not before.cut)
    assert cuts <= 5 + len(rounds) / LIMITS.hold_most


@given(some.integers(3, 9), some.data())
def test_at_most_one_side_of_a_partition_goes_on(count: int, data: some.DataObject) -> None:
    """Echo needs both ways: whom a node hears is also who hears it, so a one-way cut is a cut."""
    names = tuple("abcdefghi"[:count])
    sides = data.draw(some.lists(some.integers(0, 2), min_size=count, max_size=count))
    side = dict(zip(names, sides, strict=True))
    left = set()
    for name in names:
        others = tuple(one for one in names if one != name)
        heard = "".join(one for one in others if side[one] == side[name])
        if not play(armed(others), [heard] * 30)[-1].cut:
            left.add(side[name])
    largest = max(sides.count(one) for one in set(sides))
    assert len(left) == (1 if 2 * largest > count else 0)


@given(some.integers(3, 9), some.data())
def test_any_two_that_go_on_hear_somebody_in_common(count: int, data: some.DataObject) -> None:
    names = range(count)
    pairs = [(a, b) for a in names for b in names if a < b]
    ways = data.draw(
        some.lists(some.tuples(some.booleans(), some.booleans()), min_size=len(pairs), max_size=len(pairs))
    )
    both = {pair for pair, (there, back) in zip(pairs, ways, strict=True) if there and back}
    near = {a: {a} | {b for b in names if (min(a, b), max(a, b)) in both} for a in names}
    going = [a for a in names if len(near[a]) - 1 >= needed(count - 1)]
    assert all(near[a] & near[b] for a in going for b in going)
