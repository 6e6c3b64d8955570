"""Where the machine itself stood still, times prove nothing against what runs on it (PROVING 13)."""

from __future__ import annotations

from collections.abc import Sequence

from outlast.record.history import Operation, Packet, Stall

WORTH_SECONDS = 0.05
"""Shorter stalls are the noise of any machine."""

BEFORE_SECONDS = 0.1
"""A stall that ended this shortly before something was timed may still have held it up."""

Window = tuple[float, float]


def worth(stalls: Sequence[Stall]) -> tuple[Stall, ...]:
    """Stalls longer than 50 ms."""
    return tuple(stall for stall in stalls if stall.seconds > WORTH_SECONDS)


def stalled(stalls: Sequence[Stall], window: Window) -> bool:
    """Whether a stall longer than 50 ms overlaps [begin − 0.1 s, end].

    A stall lasted from its `at`, when the probe should have woken, for its `seconds`.
    """
    begin, end = window[0] - BEFORE_SECONDS, window[1]
    return any(stall.at <= end and stall.at + stall.seconds >= begin for stall in worth(stalls))


def undisturbed(stalls: Sequence[Stall], window: Window) -> float:
    """Seconds of a window until the first stall touches it; all of it where none does, 0 where one was there before."""
    begin, end = window
    touching = [stall.at for stall in worth(stalls) if stalled([stall], window)]
    return max(0.0, min(end, *touching) - begin) if touching else end - begin


def window_of(request: Operation, deadline: float) -> Window:
    """The time in which a stall may have spoiled a request: from its schedule to its end, or to its deadline."""
    return request.scheduled, request.scheduled + deadline if request.ended is None else request.ended


def beyond_doubt(requests: Sequence[Operation], stalls: Sequence[Stall], deadline: float) -> int:
    """How many of the (failed or slow) requests no stall can excuse."""
    return sum(not stalled(stalls, window_of(request, deadline)) for request in requests)


def lost_beyond_doubt(packets: Sequence[Packet], stalls: Sequence[Stall]) -> int:
    """How many of the lost packets no stall can excuse."""
    return sum(not stalled(stalls, (packet.sent, packet.sent)) for packet in packets)
