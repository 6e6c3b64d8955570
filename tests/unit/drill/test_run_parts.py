"""The pure parts of a run: when the cluster is well for good, and one meter of several."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from outlast.drill.load import pooled
from outlast.drill.observer import Health, well_since


def health(*words: tuple[float, str]) -> tuple[Health, ...]:
    return tuple(Health(at=at, code=code, sentence="") for at, code in words)


def test_well_since_the_first_ok_that_nothing_else_follows() -> None:
    seen = health((0, "ok"), (1, "degraded"), (2, "ok"), (3, "down"), (4, "ok"), (5, "ok"))
    assert well_since(seen, 0.5, 1.0, 5.5) == 4


def test_what_was_before_the_moment_does_not_count() -> None:
    """An "ok" from before the fault says nothing about after it."""
    assert well_since(health((0, "ok"), (1, "ok")), 1.5, 0.0, 2.0) is None


def test_an_ok_must_last() -> None:
    """Agents judge by answers a few seconds old: the first "ok" may be about the time before."""
    seen = health((10, "ok"), (11, "ok"))
    assert well_since(seen, 9.0, 3.0, 12.9) is None
    assert well_since(seen, 9.0, 3.0, 13.0) == 10


def test_never_heard_is_not_well() -> None:
    assert well_since((), 0.0, 0.0, 99.0) is None


@given(st.lists(st.sampled_from(["ok", "degraded", "down", "unknown"]), max_size=20), st.integers(0, 20))
def test_nothing_but_ok_between_the_moment_and_now(words: list[str], after: int) -> None:
    seen = health(*((float(at), word) for at, word in enumerate(words)))
    since = well_since(seen, float(after), 0.0, 99.0)
    if since is not None:
        assert since >= after and all(one.code == "ok" for one in seen if one.at >= since)


def test_meters_add_what_adds_up_and_keep_the_worst_of_the_rest() -> None:
    one = {"requests": 10.0, "cpu_seconds": 1.0, "lateness_p99": 0.002, "seconds": 20.0}
    two = {"requests": 5.0, "cpu_seconds": 0.5, "lateness_p99": 0.009, "seconds": 19.0}
    assert pooled([one, {}, two]) == {"requests": 15, "cpu_seconds": 1.5, "lateness_p99": 0.009, "seconds": 20}
    assert pooled([{}, {}]) == {}
