"""A slow or busy machine is asked for less, a fast one for no more than the scenario says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.drill import pace
from outlast.drill.pace import LEAST, REFERENCE, busy, loop, measured, share


@pytest.mark.parametrize(
    ("slower", "cores", "rest", "found"),
    [
        (1, 2, 0.15, 1.0),
        (1, 2, 0.45, 0.7),
        (2, 2, 0.4, 0.25),
        (2, 4, 0.3, 1.0),
        (0.5, 2, 0.4, 1.0),
        (2.5, 2, 0.7, LEAST),
        (100, 2, 0.4, LEAST),
        (1, 2, 2.0, LEAST),
    ],
)
def test_share(slower: float, cores: int, rest: float, found: float) -> None:
    assert share(slower * REFERENCE, cores, rest) == pytest.approx(found)


@given(st.floats(0.1, 10), st.integers(1, 64), st.floats(0, 64), st.floats(0, 1))
def test_less_free_is_never_asked_for_more(slower: float, cores: int, rest: float, more: float) -> None:
    before = share(slower * REFERENCE, cores, rest)
    assert LEAST <= share(slower * REFERENCE, cores, rest + more) <= before <= 1
    assert share((slower + more) * REFERENCE, cores, rest) <= before


def test_packets_of_a_slow_machine_are_fewer() -> None:
    assert [pace.period(part) for part in (1.0, 0.5, LEAST)] == pytest.approx([0.01, 0.02, 0.04])


def test_what_works_is_told_from_what_waits() -> None:
    before = "cpu  100 0 50 1000 10 0 5 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    assert busy(before, "cpu  150 10 60 1100 20 0 15 10 0 0\n") == pytest.approx(90 / 200)
    assert busy(before, before) == 1, "no time has passed: better too careful"


def test_a_machine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WATCHED", 0.05)
    assert loop() > 0
    assert LEAST <= measured() <= 1
