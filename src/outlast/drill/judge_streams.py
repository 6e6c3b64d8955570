"""Tenant streams and the owners of VIPs. Pure; all times are seconds of the run's monotonic clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from outlast.drill.judge_stalls import Window
from outlast.drill.measure import Clock, blind
from outlast.record.history import Packet
from outlast.record.run import Sample
from outlast.record.verdict import Finding, StreamLoss

TWO_OWNERS_SECONDS = 0.3
"""A sample asks the nodes one after the other: a VIP on its way may be seen twice for a moment."""


@dataclass(frozen=True)
class Gap:
    """window: from the sending of the last packet that came back to that of the next that did. seconds: its length less
    one interval of the stream."""

    window: Window
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream's loss, with the packets and the gaps behind it. blind: for more than a second nothing was sent, so that
    nothing could be lost."""

    loss: StreamLoss
    lost: tuple[Packet, ...]
    gaps: tuple[Gap, ...]
    blind: bool


def streams(packets: Iterable[Packet], times: Clock) -> tuple[Stream, ...]:
    """Every stream between the first effect and full redundancy (or the end of the load), by name.

    gap: the longest time, by sending, between two packets in a row that came back and had a lost one between them, less
    one interval of the stream; one single lost packet is a gap of one interval. A packet of which several answers came
    counts once.
    """
    known: dict[str, dict[int, Packet]] = {}
    for packet in sorted(packets, key=lambda packet: (packet.stream, packet.seq, packet.received is None)):
        known.setdefault(packet.stream, {}).setdefault(packet.seq, packet)
    return tuple(
        _stream(name, sorted(mine.values(), key=lambda packet: (packet.sent, packet.seq)), times)
        for name, mine in known.items()
    )


def _stream(name: str, packets: Sequence[Packet], times: Clock) -> Stream:
    moments = [packet.sent for packet in packets]
    interval = median([later - earlier for earlier, later in pairwise(moments)] or [0.0])
    inside = [packet for packet in packets if times.first <= packet.sent < times.until]
    lost = tuple(packet for packet in inside if packet.received is None)
    windows = _around(packets, {packet.seq for packet in lost}, interval)
    gaps = tuple(Gap(window, max(0.0, window[1] - window[0] - interval)) for window in windows)
    longest = max((gap.seconds for gap in gaps), default=0.0)
    return Stream(
        loss=StreamLoss(stream=name, sent=len(inside), lost=len(lost), gap=longest),
        lost=lost,
        gaps=gaps,
        blind=not inside or blind(moments, times.first, times.until, interval),
    )


def _around(packets: Sequence[Packet], lost: set[int], interval: float) -> list[Window]:
    """Pairs of answered packets around any of `lost`; one interval beyond the stream's ends where there is none."""
    found: list[Window] = []
    begin, open_gap = packets[0].sent - interval, False
    for packet in packets:
        if packet.received is None:
            open_gap = open_gap or packet.seq in lost
            continue
        if open_gap:
            found.append((begin, packet.sent))
        begin, open_gap = packet.sent, False
    if open_gap:
        found.append((begin, packets[-1].sent + interval))
    return found


@dataclass(frozen=True, kw_only=True)
class Owners:
    """One VIP's owners. doubled: longest time for which every sample showed two or more, from the first of these
    samples to the last, so it is proven (whole run). without: all time without an owner, each from the first sample
    without one to the next with one (from the first effect on); empty: each of these times."""

    vip: str
    doubled: float
    nodes: tuple[str, ...]
    without: float
    empty: tuple[Window, ...]


def owners(samples: Iterable[Sample], first: float) -> tuple[Owners, ...]:
    """All VIPs by name. The address of a node that has no power is nobody's; a sample that does not name a VIP has
    found it nowhere."""
    ordered = sorted(samples, key=lambda sample: sample.at)
    names = sorted({name for sample in ordered for name in sample.holders})
    return tuple(_owners(name, [(sample.at, _holders(sample, name)) for sample in ordered], first) for name in names)


def _holders(sample: Sample, vip: str) -> tuple[str, ...]:
    return tuple(sorted(set(sample.holders.get(vip, ())) - set(sample.off)))


def _owners(vip: str, seen: Sequence[tuple[float, tuple[str, ...]]], first: float) -> Owners:
    doubled, nodes = max(_doubled(seen), key=lambda run: run[0], default=(0.0, ()))
    empty = _without([entry for entry in seen if entry[0] >= first])
    return Owners(
        vip=vip,
        doubled=doubled,
        nodes=nodes,
        without=sum(end - begin for begin, end in empty),
        empty=tuple(empty),
    )


def _doubled(seen: Sequence[tuple[float, tuple[str, ...]]]) -> list[tuple[float, tuple[str, ...]]]:
    found: list[tuple[float, tuple[str, ...]]] = []
    begin: float | None = None
    for at, nodes in seen:
        if len(nodes) < 2:
            begin = None
            continue
        begin = at if begin is None else begin
        found.append((at - begin, nodes))
    return found


def _without(seen: Sequence[tuple[float, tuple[str, ...]]]) -> list[Window]:
    found: list[Window] = []
    for (at, nodes), (following, _) in pairwise(seen):
        if nodes:
            continue
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], following)
        else:
            found.append((at, following))
    return found


def owner_findings(known: Iterable[Owners]) -> tuple[Finding, ...]:
    """two-owners, never safe, beyond 0.3 s; no-owner as a figure."""
    found: list[Finding] = []
    for owner in known:
        if owner.doubled > TWO_OWNERS_SECONDS:
            where = " and ".join(owner.nodes)
            sentence = f"VIP {owner.vip} was on {where} at once for {owner.doubled:.2f} s"
            found.append(Finding(what="two-owners", sentence=sentence, key=owner.vip))
        if owner.without > 0:
            sentence = f"VIP {owner.vip} was on no node for {owner.without:.2f} s"
            found.append(Finding(what="no-owner", sentence=sentence, key=owner.vip, safe=True))
    return tuple(found)


def longest_doubled(known: Sequence[Owners]) -> float | None:
    return max((owner.doubled for owner in known), default=None)


def findings_by_kind(findings: Iterable[Finding]) -> Mapping[str, tuple[Finding, ...]]:
    """What -> findings, kinds that may never happen first."""
    found: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda each: (each.safe, each.what, each.key, each.sentence)):
        found.setdefault(finding.what, []).append(finding)
    return {what: tuple(mine) for what, mine in found.items()}
