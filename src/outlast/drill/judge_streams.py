"""Tenant streams and the owners of VIPs. Pure; all times are seconds of the run's monotonic clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from outlast.drill.judge_stalls import Window
from outlast.drill.measure import Clock, blind, spacing
from outlast.record.history import Packet
from outlast.record.run import Sample
from outlast.record.verdict import Finding, StreamLoss

TWO_OWNERS_SECONDS = 0.3
"""A sample asks the nodes one after the other: a VIP on its way may be seen twice for a moment."""

TRUSTED_SECONDS = 2.0
"""Longest time for which a sample's word is taken."""


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
    """One VIP's owners. doubled: the longest time with two or more at once, in the whole run, and their nodes.
    without: all time without an owner, from the first effect on; empty: each of these times. blind: for more than 2 s
    between the first effect and full redundancy nobody looked.

    Samples are taken at every change and once a second: each holds until the next. What lies between two samples more
    than 2 s apart is not known and counts as nothing.
    """

    vip: str
    doubled: float
    nodes: tuple[str, ...]
    without: float
    empty: tuple[Window, ...]
    blind: bool


@dataclass(frozen=True)
class _Held:
    """The nodes that held a VIP from begin to end."""

    begin: float
    end: float
    nodes: tuple[str, ...]


def owners(samples: Iterable[Sample], first: float, until: float) -> tuple[Owners, ...]:
    """All VIPs by name. The address of a node that has no power is nobody's; a sample that does not name a VIP has
    found it nowhere."""
    ordered = sorted(samples, key=lambda sample: sample.at)
    pairs = [(a, b) for a, b in pairwise(ordered) if b.at - a.at <= TRUSTED_SECONDS]
    watched = [sample.at for sample in ordered]
    unwatched = first < until and spacing([first, *(at for at in watched if first < at < until), until])
    names = sorted({name for sample in ordered for name in sample.holders})
    return tuple(
        _owners(name, [_Held(a.at, b.at, _holders(a, name)) for a, b in pairs], first, unwatched > TRUSTED_SECONDS)
        for name in names
    )


def _holders(sample: Sample, vip: str) -> tuple[str, ...]:
    return tuple(sorted(set(sample.holders.get(vip, ())) - set(sample.off)))


def _owners(vip: str, held: Sequence[_Held], first: float, unwatched: bool) -> Owners:
    double = _runs([each for each in held if len(each.nodes) > 1])
    longest = max(double, key=lambda each: each.end - each.begin, default=_Held(0.0, 0.0, ()))
    empty = _runs([_Held(max(first, each.begin), each.end, ()) for each in held if not each.nodes and each.end > first])
    return Owners(
        vip=vip,
        doubled=longest.end - longest.begin,
        nodes=longest.nodes,
        without=sum(each.end - each.begin for each in empty),
        empty=tuple((each.begin, each.end) for each in empty),
        blind=unwatched,
    )


def _runs(held: Sequence[_Held]) -> list[_Held]:
    """Neighbours in time become one, with all nodes of them."""
    found: list[_Held] = []
    for each in held:
        if found and found[-1].end == each.begin:
            nodes = tuple(sorted({*found[-1].nodes, *each.nodes}))
            found[-1] = _Held(found[-1].begin, each.end, nodes)
        else:
            found.append(each)
    return found


def owner_findings(known: Iterable[Owners], allowed: float = TWO_OWNERS_SECONDS) -> tuple[Finding, ...]:
    """two-owners: unsafe beyond `allowed` seconds, a figure between that and 0.3 s. no-owner: always a figure."""
    found: list[Finding] = []
    for owner in known:
        if owner.doubled > TWO_OWNERS_SECONDS:
            sentence = f"VIP {owner.vip} was on {' and '.join(owner.nodes)} at once for {owner.doubled:.2f} s"
            safe = owner.doubled <= allowed
            found.append(Finding(what="two-owners", sentence=sentence, key=owner.vip, safe=safe))
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
