"""A slow machine is asked for less, a fast one for no more than the scenario says."""

from __future__ import annotations

import pytest

from outlast.drill.pace import LEAST, REFERENCE, loop, measured, share


@pytest.mark.parametrize(
    ("slower", "cores", "found"), [(1, 2, 1.0), (2, 2, 0.5), (2, 4, 1.0), (0.5, 2, 1.0), (1, 1, 0.5), (100, 2, LEAST)]
)
def test_share(slower: float, cores: int, found: float) -> None:
    assert share(slower * REFERENCE, cores) == pytest.approx(found)


def test_a_machine_is_measured() -> None:
    assert loop() > 0
    assert LEAST <= measured() <= 1
