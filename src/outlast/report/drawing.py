"""A timeline as shapes of an SVG picture: paths and texts with a class, and nothing else.

All requests of one row and one outcome are a single path, so that a picture stays small. Good, failed and unknown
requests each have a line and a shape of their own, so that colour is never needed to tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil, log10

from outlast.report.timeline import BINS, Bar, Lane, Moment, Owned, Stream, Timeline
from outlast.report.wording import seconds

LEFT, RIGHT = 120, 16
WIDTH = LEFT + 2 * BINS + RIGHT
LABEL = 13  # height of a line of mark labels
SHOWN = {
    "inject": "inject",
    "took-effect": "took effect",
    "undo": "undo",
    "undone": "undone",
    "works-again": "works again",
    "redundant": "redundant",
    "timeout": "time over",
}
FASTEST, SLOWEST, HIGH = 0.01, 30.0, 20  # the latency line: 10 ms at the bottom, 30 s at the top, logarithmic
MOST_LINES, LONGEST = 5, 160  # of a tooltip: lines, letters of each
COLOURS = 6  # of nodes, in bars


@dataclass(frozen=True)
class Shape:
    """A path (`d`) or a text at (x, y). title: the tooltip."""

    style: str
    d: str = ""
    text: str = ""
    x: float = 0.0
    y: float = 0.0
    anchor: str = "start"
    title: str = ""


@dataclass(frozen=True)
class Drawing:
    width: int
    height: float
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class _Scale:
    begin: float
    end: float

    def x(self, at: float) -> float:
        return round(LEFT + (at - self.begin) / (self.end - self.begin) * (WIDTH - LEFT - RIGHT), 1)

    def bin(self, number: int) -> int:
        return LEFT + 2 * number + 1


Row = Callable[[_Scale, float], tuple[list[Shape], float]]
"""Draws itself below y, and says how high it is."""


def draw(seen: Timeline) -> Drawing:
    """The whole picture: labels of marks on top, one row for each thing that was watched, the axis below."""
    scale = _Scale(seen.begin, seen.end)
    marks = _marks(seen.marks, scale)
    top = 6.0 + LABEL * (1 + max((level for _, level, _ in marks), default=0))
    shapes: list[Shape] = []
    y = top + 6
    nodes = sorted({name for bar in seen.bars for part in bar.parts for name in part.names})
    for row in _rows(seen, nodes):
        drawn, height = row(scale, y)
        shapes += drawn
        y += height
    axis = _axis(seen, scale, top, y)
    lines = [shape for moment, level, x in marks for shape in _mark(moment, level, x, y)]
    return Drawing(WIDTH, y + 34, (*axis, *shapes, *lines))


def _rows(seen: Timeline, nodes: Sequence[str]) -> Iterator[Row]:
    yield from (partial(_lane, lane) for lane in seen.lanes)
    yield from (partial(_bar, bar, nodes) for bar in seen.bars)
    yield from (partial(_stream, stream) for stream in seen.streams)
    yield from (partial(_ticks, f"events {node}", moments, "event") for node, moments in seen.events.items())
    if seen.stalls:
        yield partial(_ticks, "machine stalls", seen.stalls, "halt")


def _name(text: str, y: float, total: str = "") -> list[Shape]:
    short = text if len(text) <= 18 else text[:17] + "…"
    named = [Shape("name", text=short, x=LEFT - 10, y=y, anchor="end", title=text if short != text else "")]
    return named + ([Shape("total", text=total, x=LEFT - 10, y=y + 12, anchor="end")] if total else [])


def _lane(lane: Lane, scale: _Scale, y: float) -> tuple[list[Shape], float]:
    n = sum(lane.totals.values())
    bad = n - lane.totals["ok"]
    total = f"{bad:,} of {n:,} bad" if bad else f"{n:,} ok"
    shapes = _name(lane.service, y + 10, total)
    for span in lane.bad:
        left, right = scale.x(span.begin), scale.x(span.end)
        title = f"{seconds_after(span.begin)} to {seconds_after(span.end)}: {span.text}"
        shapes.append(Shape("bad", d=_box(left - 2, y, max(right - left, 0) + 4, 43), title=title))
    shapes.append(Shape("base", d=f"M{LEFT} {y + 43:.1f}H{WIDTH - RIGHT}"))
    shapes += [_dots(lane, scale, y), *_crosses(lane, scale, y)]
    if lane.latency:
        worst = max(value for _, value in lane.latency)
        title = f"slowest request of each moment; longest {seconds(worst)}"
        shapes.append(Shape("latency", d=_latency(lane, scale, y), title=title))
    return [shape for shape in shapes if shape.d or shape.text], 51.0


def _dots(lane: Lane, scale: _Scale, y: float) -> Shape:
    """Neighbouring bins are one line, which the style sheet dashes (`.ok`): a dot for each bin, in few bytes."""
    bins = lane.bins["ok"]
    firsts = [where for number, where in enumerate(bins) if number == 0 or bins[number - 1] != where - 1]
    lasts = [where for number, where in enumerate(bins) if number + 1 == len(bins) or bins[number + 1] != where + 1]
    runs = zip(firsts, lasts, strict=True)
    return Shape("ok", d="".join(f"M{scale.bin(a)} {y + 4:g}h{2 * (b - a) + 0.5:g}" for a, b in runs))


def _latency(lane: Lane, scale: _Scale, y: float) -> str:
    """A line in relative steps, rounded to half a pixel."""
    points = [(scale.bin(where), round(2 * (y + 43 - _height(value))) / 2) for where, value in lane.latency]
    steps = [f"{b[0] - a[0]} {b[1] - a[1]:.4g}" for a, b in pairwise(points)]
    return f"M{points[0][0]} {points[0][1]:g}" + (f"l{' '.join(steps)}" if steps else "h0")


def _crosses(lane: Lane, scale: _Scale, y: float) -> tuple[Shape, Shape]:
    failed = "".join(f"M{scale.bin(where) - 2} {y + 9:g}l4 4m0-4l-4 4" for where in lane.bins["failed"])
    unknown = "".join(f"M{scale.bin(where)} {y + 15:g}l3 3-3 3-3-3z" for where in lane.bins["unknown"])
    return Shape("failed", d=failed), Shape("unknown", d=unknown)


def _height(latency: float) -> float:
    share = log10(max(latency, FASTEST) / FASTEST) / log10(SLOWEST / FASTEST)
    return min(share, 1.0) * HIGH


def _bar(bar: Bar, nodes: Sequence[str], scale: _Scale, y: float) -> tuple[list[Shape], float]:
    shapes = _name(bar.label, y + 11)
    owners = bar.label != "nodes off"
    for part in bar.parts:
        left, right = scale.x(part.begin), scale.x(part.end)
        names = ", ".join(part.names) or ("nobody" if owners else "none")
        title = f"{bar.label}: {names}, {seconds_after(part.begin)} to {seconds_after(part.end)}"
        style = _owner_style(part, nodes) if owners else "off" if part.names else ""
        if not style:
            continue
        shapes.append(Shape(style, d=_box(left, y, max(right - left, 1.5), 15), title=title))
        if right - left > 7 * len(names) + 6:
            shapes.append(Shape(f"owner on-{style}", text=names, x=left + 5, y=y + 11.5))
    return shapes, 22.0


def _owner_style(part: Owned, nodes: Sequence[str]) -> str:
    if not part.names:
        return "nobody"
    if len(part.names) > 1:
        return "several"
    return f"n{nodes.index(part.names[0]) % COLOURS}"


def _stream(stream: Stream, scale: _Scale, y: float) -> tuple[list[Shape], float]:
    bars = "".join(f"M{scale.bin(where)} {y + 20:.1f}v{-max(2, 16 * share):.1f}" for where, share in stream.losses)
    title = f"{stream.name}: {stream.lost:,} of {stream.sent:,} packets lost"
    shapes = _name(f"stream {stream.name}", y + 9, f"{stream.lost:,} of {stream.sent:,} lost")
    shapes.append(Shape("base", d=f"M{LEFT} {y + 20:.1f}H{WIDTH - RIGHT}"))
    return shapes + ([Shape("gone", d=bars, title=title)] if bars else []), 29.0


def _ticks(label: str, moments: Iterable[Moment], style: str, scale: _Scale, y: float) -> tuple[list[Shape], float]:
    """Moments closer than two pixels are one tick with several lines of tooltip."""
    ticks: list[list[Moment]] = []
    for moment in moments:
        if ticks and scale.x(moment.at) - scale.x(ticks[-1][0].at) < 2:
            ticks[-1].append(moment)
        else:
            ticks.append([moment])
    shapes = _name(label, y + 10)
    for tick in ticks:
        said = [f"{seconds_after(moment.at)} {moment.text}"[:LONGEST] for moment in tick[:MOST_LINES]]
        more = [f"and {len(tick) - MOST_LINES} more"] if len(tick) > MOST_LINES else []
        d = f"M{scale.x(tick[0].at):g} {y + 1:.1f}v11"
        shapes.append(Shape(style, d=d, title="\n".join(said + more)))
    return shapes, 18.0


def _marks(moments: Sequence[Moment], scale: _Scale) -> list[tuple[Moment, int, float]]:
    """Marks with the line on which their label stands: the first that is free there."""
    free: list[float] = []
    placed = []
    for moment in sorted(moments, key=lambda one: one.at):
        if moment.what not in SHOWN:
            continue
        x = scale.x(moment.at)
        wide = 6.2 * len(_label(moment)) + 10
        begin = x - wide if _leftwards(x, wide) else x
        level = next((number for number, end in enumerate(free) if end <= begin), len(free))
        free[level : level + 1] = [begin + wide]
        placed.append((moment, level, x))
    return placed


def _leftwards(x: float, wide: float) -> bool:
    return x + wide > WIDTH


def _label(moment: Moment) -> str:
    return f"{SHOWN[moment.what]} {seconds_after(moment.at)}" if moment.at else SHOWN[moment.what]


def _mark(moment: Moment, level: int, x: float, bottom: float) -> Iterator[Shape]:
    y = 4.0 + LABEL * (level + 1)
    label = _label(moment)
    left = _leftwards(x, 6.2 * len(label) + 10)
    title = f"{SHOWN[moment.what]} {moment.text}".strip()
    yield Shape(f"mark {moment.what}", d=f"M{x:g} {y - 9:.1f}V{bottom:.1f}", title=title)
    yield Shape("label", text=label, x=x - 4 if left else x + 4, y=y, anchor="end" if left else "start", title=title)


def _axis(seen: Timeline, scale: _Scale, top: float, bottom: float) -> Iterator[Shape]:
    step = _step(seen.end - seen.begin)
    first = ceil(seen.begin / step)
    ticks = [number * step for number in range(first, int(seen.end // step) + 1)]
    grid = "".join(f"M{scale.x(at):g} {top:.1f}V{bottom + 4:.1f}" for at in ticks)
    yield Shape("grid", d=grid)
    yield Shape("base", d=f"M{LEFT} {bottom:.1f}H{WIDTH - RIGHT}")
    for at in ticks:
        yield Shape("tick", text=f"{at:g}".replace("-", "−"), x=scale.x(at), y=bottom + 15, anchor="middle")
    yield Shape("total", text=f"seconds after {seen.zero}", x=(LEFT + WIDTH) / 2, y=bottom + 29, anchor="middle")


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten: at most about 16 ticks."""
    power = 10.0 ** ceil(log10(span / 16) - 1)
    return next((power * factor for factor in (1, 2, 5) if span / (power * factor) <= 16), power * 10)


def _box(x: float, y: float, wide: float, high: float) -> str:
    return f"M{x:g} {y:.1f}h{wide:.1f}v{high:g}h{-wide:.1f}z"


def seconds_after(at: float) -> str:
    """ "+0.34 s", "−2.10 s": a moment on the axis."""
    return f"{'−' if at < 0 else '+'}{seconds(abs(at))}"
