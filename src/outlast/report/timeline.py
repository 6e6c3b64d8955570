"""A run's evidence, cut into bins on one time axis around the fault: what its picture is drawn from.

Times are seconds after the fault took effect. A timeline's size does not grow with the number of requests.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from outlast.record.events import Event
from outlast.record.history import Operation, Outcome, Packet, Stall
from outlast.record.run import Mark, Sample
from outlast.report.row import Row

BINS = 432
ZERO = (
    ("took-effect", "the fault took effect"),
    ("inject", "the injection"),
    ("load-started", "the load began"),
)
QUIET = 3  # bins without a bad request that end a bad span
MOST_SPANS = 25
CLOSE_BEFORE = 0.5  # seconds before the fault at which the close view begins


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run with its evidence, all on the run's clock."""

    row: Row
    operations: Sequence[Operation] = ()
    packets: Sequence[Packet] = ()
    marks: Sequence[Mark] = ()
    samples: Sequence[Sample] = ()
    events: Sequence[Event] = ()
    stalls: Sequence[Stall] = ()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something at one time, with what is to be said of it."""

    at: float
    what: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Span:
    begin: float
    end: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One service's requests. bins: outcome -> numbers of the bins that have such a request, by their schedule.

    latency: (bin, longest seconds of a request that ended). bad: spans of time in which requests failed.
    """

    service: str
    totals: Mapping[Outcome, int]
    bins: Mapping[Outcome, tuple[int, ...]]
    latency: tuple[tuple[int, float], ...] = ()
    bad: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Owned:
    begin: float
    end: float
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Who had something over time; neighbouring samples that say the same are one part."""

    label: str
    parts: tuple[Owned, ...]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A tenant stream. losses: (bin, share of its packets lost)."""

    name: str
    sent: int
    lost: int
    losses: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """One picture. close: the first moments after the fault again, with only those services that were hit."""

    row: Row
    begin: float
    end: float
    zero: str
    marks: tuple[Moment, ...]
    lanes: tuple[Lane, ...] = ()
    bars: tuple[Bar, ...] = ()
    streams: tuple[Stream, ...] = ()
    events: Mapping[str, tuple[Moment, ...]] = field(default_factory=dict)
    stalls: tuple[Moment, ...] = ()
    close: Timeline | None = None


@dataclass(frozen=True)
class _Axis:
    zero: float
    begin: float
    end: float

    def bin(self, at: float) -> int:
        share = (at - self.zero - self.begin) / (self.end - self.begin)
        return min(BINS - 1, max(0, int(share * BINS)))

    def inside(self, at: float) -> bool:
        return self.begin <= at - self.zero <= self.end


def timeline(seen: Seen) -> Timeline:
    """Everything that was seen, in BINS bins a row, and a close view of the first moments where that shows more."""
    zero, words = _zero(seen)
    begin, end = _window(seen)
    whole = _view(seen, _Axis(zero, begin - zero, end - zero), words)
    until = _close_end(seen.row.verdict.mask)
    if until * 3 > end - zero or begin > zero - CLOSE_BEFORE or _is_quiet(whole, until):
        return whole
    close = _view(_cut(seen, zero - CLOSE_BEFORE, zero + until), _Axis(zero, -CLOSE_BEFORE, until), words)
    return replace(whole, close=replace(close, lanes=tuple(lane for lane in close.lanes if lane.bad)))


def _close_end(mask: float | None) -> float:
    """Seconds after the fault at which the close view ends: a little after the service was back."""
    return max(2.0, 1.4 * (mask or 0.0))


def _is_quiet(whole: Timeline, until: float) -> bool:
    """Whether clients, VIPs and tenants saw nothing of the fault at first."""
    bad = any(span.begin < until and span.end >= 0 for lane in whole.lanes for span in lane.bad)
    moved = any(0 < part.begin < until for bar in whole.bars for part in bar.parts)
    return not (bad or moved)


def _cut(seen: Seen, begin: float, end: float) -> Seen:
    return replace(
        seen,
        operations=[one for one in seen.operations if begin <= one.scheduled <= end],
        packets=[one for one in seen.packets if begin <= one.sent <= end],
    )


def _view(seen: Seen, axis: _Axis, words: str) -> Timeline:
    zero = axis.zero
    return Timeline(
        row=seen.row,
        begin=axis.begin,
        end=axis.end,
        zero=words,
        marks=tuple(
            Moment(at=mark.at - zero, what=mark.what, text=mark.detail) for mark in seen.marks if axis.inside(mark.at)
        ),
        lanes=_lanes(seen.operations, axis),
        bars=_bars(seen.samples, axis),
        streams=_streams(seen.packets, axis),
        events=_events(seen.events, axis),
        stalls=tuple(
            Moment(at=stall.at - zero, what="stall", text=f"{stall.seconds * 1000:.0f} ms")
            for stall in seen.stalls
            if axis.inside(stall.at)
        ),
    )


def _zero(seen: Seen) -> tuple[float, str]:
    """The last fault that took effect; without one, the next best moment."""
    for what, words in ZERO:
        found = [mark.at for mark in seen.marks if mark.what == what]
        if found:
            return found[-1], words
    starts = [operation.scheduled for operation in seen.operations] or [sample.at for sample in seen.samples]
    return min(starts, default=0.0), "the beginning"


def _window(seen: Seen) -> tuple[float, float]:
    """From the first to the last thing that clients or the fault did."""
    times = [operation.scheduled for operation in seen.operations]
    times += [packet.sent for packet in seen.packets]
    times += [mark.at for mark in seen.marks if mark.what not in ("begun", "healthy")]
    begin, end = min(times, default=0.0), max(times, default=0.0)
    return (begin, end) if end > begin else (begin - 1.0, begin + 1.0)


def _lanes(operations: Iterable[Operation], axis: _Axis) -> tuple[Lane, ...]:
    by_service: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_service[operation.service].append(operation)
    return tuple(_lane(service, by_service[service], axis) for service in sorted(by_service))


def _lane(service: str, operations: Sequence[Operation], axis: _Axis) -> Lane:
    filled: dict[Outcome, set[int]] = {"ok": set(), "failed": set(), "unknown": set()}
    slowest: dict[int, float] = {}
    for operation in operations:
        where = axis.bin(operation.scheduled)
        filled[operation.outcome].add(where)
        if operation.latency is not None:
            slowest[where] = max(slowest.get(where, 0.0), operation.latency)
    totals = Counter(operation.outcome for operation in operations)
    return Lane(
        service=service,
        totals={outcome: totals[outcome] for outcome in filled},
        bins={outcome: tuple(sorted(bins)) for outcome, bins in filled.items()},
        latency=tuple(sorted(slowest.items())),
        bad=_bad(operations, axis),
    )


def _bad(operations: Iterable[Operation], axis: _Axis) -> tuple[Span, ...]:
    """Bad requests close to each other are one span, with what they said; the closer, the fewer spans there are."""
    bad = sorted((one for one in operations if one.outcome != "ok"), key=lambda one: one.scheduled)
    quiet = QUIET
    while len(spans := _close(bad, axis, quiet)) > MOST_SPANS:
        quiet *= 2
    return tuple(_span(span, axis) for span in spans)


def _close(bad: Sequence[Operation], axis: _Axis, quiet: int) -> list[list[Operation]]:
    spans: list[list[Operation]] = []
    for operation in bad:
        if spans and axis.bin(operation.scheduled) - axis.bin(spans[-1][-1].scheduled) <= quiet:
            spans[-1].append(operation)
        else:
            spans.append([operation])
    return spans


def _span(span: Sequence[Operation], axis: _Axis) -> Span:
    details = Counter(f"{one.outcome}: {one.detail}" if one.detail else one.outcome for one in span)
    said = ", ".join(f"{n} × {detail}" for detail, n in details.most_common(4))
    more = f" and {len(details) - 4} other kinds" if len(details) > 4 else ""
    return Span(begin=span[0].scheduled - axis.zero, end=span[-1].scheduled - axis.zero, text=said + more)


def _bars(samples: Sequence[Sample], axis: _Axis) -> tuple[Bar, ...]:
    ordered = sorted(samples, key=lambda sample: sample.at)
    vips = sorted({vip for sample in ordered for vip in sample.holders})
    bars = [
        Bar(label=f"VIP {vip}", parts=_parts([(one.at, one.holders.get(vip, ())) for one in ordered], axis))
        for vip in vips
    ]
    if any(sample.off for sample in ordered):
        bars.append(Bar(label="nodes off", parts=_parts([(one.at, one.off) for one in ordered], axis)))
    return tuple(bars)


def _parts(samples: Sequence[tuple[float, Sequence[str]]], axis: _Axis) -> tuple[Owned, ...]:
    """A sample holds until the next one."""
    parts: list[Owned] = []
    ends = [at - axis.zero for at, _ in samples[1:]] + [axis.end]
    for (at, names), until in zip(samples, ends, strict=True):
        begin, end = max(axis.begin, at - axis.zero), min(axis.end, until)
        if end <= begin:
            continue
        found = tuple(sorted(names))
        if parts and parts[-1].names == found:
            begin = parts.pop().begin
        parts.append(Owned(begin=begin, end=end, names=found))
    return tuple(parts)


def _streams(packets: Iterable[Packet], axis: _Axis) -> tuple[Stream, ...]:
    sent: dict[str, Counter[int]] = defaultdict(Counter)
    lost: dict[str, Counter[int]] = defaultdict(Counter)
    for packet in packets:
        where = axis.bin(packet.sent)
        sent[packet.stream][where] += 1
        if packet.received is None:
            lost[packet.stream][where] += 1
    return tuple(
        Stream(
            name=name,
            sent=sent[name].total(),
            lost=lost[name].total(),
            losses=tuple((where, n / sent[name][where]) for where, n in sorted(lost[name].items())),
        )
        for name in sorted(sent)
    )


def _events(events: Iterable[Event], axis: _Axis) -> Mapping[str, tuple[Moment, ...]]:
    by_node: dict[str, list[Moment]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.at):
        if axis.inside(event.at):
            said = f"{event.service} {event.code}: {event.sentence}".strip()
            by_node[event.node].append(Moment(at=event.at - axis.zero, what=event.code, text=said))
    return {node: tuple(by_node[node]) for node in sorted(by_node)}
