"""Slow cables as far as they need no network: which ones, and frames on their way."""

from __future__ import annotations

from collections import deque

import pytest
from example_clusters import opened
from hypothesis import given
from hypothesis import strategies as st

from outlast.lab import frames, slow
from outlast.lab.build import topology as topology_of
from outlast.lab.slow_cable import Lane
from outlast.lab.topology import Topology


@pytest.fixture(scope="module")
def topology() -> Topology:
    return topology_of(opened("lab").plan, "/var/lib/outlast/labs/lab")


class Ends:
    """Both ends of a lane."""

    def __init__(self, *frames: bytes) -> None:
        self.coming, self.gone = deque(frames), list[bytes]()

    def take(self) -> bytes:
        if not self.coming:
            raise BlockingIOError
        return self.coming.popleft()


def test_a_frame_comes_out_when_its_time_has_passed() -> None:
    ends = Ends(b"one", b"two")
    lane = Lane(ends.take, ends.gone.append, 0.1, 0.0)
    lane.receive(5.0)
    lane.deliver(5.09)
    assert ends.gone == []
    lane.deliver(5.11)
    assert ends.gone == [b"one", b"two"] and not lane.waiting


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 1), st.floats(0, 1))
def test_none_is_lost_early_or_overtaken(steps: list[float], delay: float, jitter: float) -> None:
    ends = Ends()
    lane, now = Lane(ends.take, ends.gone.append, delay, jitter), 100.0
    for number, step in enumerate(steps):
        now += step
        ends.coming.append(bytes([number]))
        lane.receive(now)
        assert lane.waiting[-1][0] >= now + delay
        lane.deliver(now)
    lane.deliver(now + delay + jitter)
    assert ends.gone == [bytes([number]) for number in range(len(steps))]


def test_a_port_that_is_down_takes_nothing_and_stops_nothing() -> None:
    def refuse(frame: bytes) -> None:
        raise OSError("down")

    lane = Lane(Ends(b"one").take, refuse, 0.1, 0.0)
    lane.receive(5.0)
    lane.deliver(6.0)
    assert not lane.waiting


def test_every_cable_of_the_nodes_and_networks_that_are_meant(topology: Topology) -> None:
    found = slow.cables(topology, ["c1", "c2"], ["ctl"])
    assert found == [("c1.ctl", "slow-c1.ctl", "br-control-data"), ("c2.ctl", "slow-c2.ctl", "br-control-data")]


def test_other_faults_reach_a_cable_that_is_slow(topology: Topology) -> None:
    assert frames.ports(topology, ["c1"], ["ctl"]) == ("c1.ctl", "slow-c1.ctl")
