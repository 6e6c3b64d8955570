"""A scorecard's entries as cells: what HTML and Markdown both show."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.report.pool import Count, Pool, PooledLevel, Times
from outlast.report.scorecard import Entry, Line, Scorecard
from outlast.report.wording import NO_REASON, NONE, RESULT, SIGN, finding, of, percent, runs, seconds

COLUMNS = (
    *("L1", "L2", "L3", "detect", "mask", "repair", "redundancy", "longest stall"),
    *("failed", "unknown", "lost", "duplicated", "tenant lost", "tenant gap", "result"),
)

LEGEND = (
    ("L1", "works again after the fault, nothing permanent"),
    ("L2", "no new request fails (sent after the fault took effect, on a connection of its own)"),
    ("L3", "no request fails at all, not even those in flight"),
    ("k of n, ≤ p", "k of n requests did not hold the level; with 95 % confidence the true rate is at most p"),
    ("detect", "first event of an agent or guard about it"),
    ("mask", "the service hit worst answers well again"),
    ("repair", "what broke runs again"),
    ("redundancy", "every member back and settled"),
    ("longest stall", "the longest time that one request took"),
    ("failed, unknown", "requests refused; requests that may have happened (time-out, reset, cut answer)"),
    ("lost, duplicated", "acknowledged but gone; made twice"),
    ("tenant lost, gap", "packets of tenant streams lost, and the longest time without any"),
    ("times", "after the last fault took effect; of several runs the median, and the worst"),
    (NONE, "did not happen in the run, or was not measured"),
    ("?", "nothing can be said; a reason is given"),
    ("stale", "what the row depends on changed since; counted neither as passed nor as failed"),
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """text first, `small` beside or under it. tone: good, bad, warn, open (not known) or plain."""

    label: str
    text: str
    small: str = ""
    tone: str = "plain"
    hint: str = ""

    @property
    def flat(self) -> str:
        """In one line."""
        return f"{self.text} ({self.small})" if self.small else self.text


def cells(entry: Entry) -> tuple[Cell, ...]:
    """In the order of COLUMNS."""
    pool = entry.pool
    timed = (_time(name, pool.times[name]) for name in ("detect", "mask", "repair", "redundancy"))
    counted = (_count(pool, name) for name in ("failed", "unknown", "lost", "duplicated"))
    levels = (_level(level) for level in pool.levels)
    stall = _time("longest stall", pool.times["stall"])
    return (*levels, *timed, stall, *counted, *_tenants(pool), _result(entry))


def notes(entry: Entry) -> tuple[str, ...]:
    """What a reader must know beside the figures: why unknown or stale, what never may happen, what was left out."""
    pool = entry.pool
    said = [f"stale: {entry.stale}"] if entry.stale else []
    said += [finding(one) for one in pool.findings if not one.safe]
    said += pool.reasons if pool.result != "pass" else ()
    if pool.result == "unknown" and not pool.reasons:
        said.append(NO_REASON)
    if pool.helped:
        several = f" in {pool.helped} of {runs(len(pool.origins))}" if len(pool.origins) > 1 else ""
        said.append(f"mask: back only after the drill had undone the fault{several}")
    if entry.replaced:
        why = "; ".join(entry.replaced_reasons) or NO_REASON
        said.append(f"{runs(len(entry.replaced))} that nothing could be said of, made again: {why}")
    if entry.older:
        said.append(f"{runs(entry.older)} of other inputs left out")
    if not entry.beside:
        said.append("measured in another session")
    return tuple(said)


def summary(card: Scorecard) -> tuple[tuple[str, int], ...]:
    """Words for the strip on top: state and number of scenarios."""
    return tuple(("scenarios" if name == "scenarios" else RESULT[name], n) for name, n in card.summary.items())


def entries(line: Line) -> tuple[Entry, ...]:
    return (line.main, *line.others)


def _level(level: PooledLevel) -> Cell:
    tone = {True: "good", False: "bad", None: "open"}[level.held]
    small = f"≤ {percent(level.bound)}" if level.n else ""
    text = f"{SIGN[level.held]} {level.failed:,} of {level.n:,}"
    return Cell(label=level.name, text=text, small=small, tone=tone, hint=of(level.failed, level.n))


def _time(label: str, times: Times) -> Cell:
    several = len(times.values) > 1
    hint = ", ".join(seconds(value) for value in times.values) if several else ""
    small = f"worst {seconds(times.worst)}" if several else ""
    return Cell(label=label, text=seconds(times.median), small=small, hint=hint)


def _count(pool: Pool, name: str) -> Cell:
    count = pool.count(name)
    bad = {"lost": "bad", "duplicated": "bad"}.get(name, "warn")
    return _counted(name, count, len(pool.origins), bad)


def _counted(label: str, count: Count, of_runs: int, bad: str) -> Cell:
    if not count.known:
        return Cell(label=label, text="?", tone="open", hint="not counted")
    missing = count.known < of_runs
    small = f"in {count.known} of {runs(of_runs)}" if missing else ""
    tone = bad if count.total else "open" if missing else "plain"
    return Cell(label=label, text=f"{count.total:,}", small=small, tone=tone)


def _tenants(pool: Pool) -> tuple[Cell, Cell]:
    seen = pool.tenants
    lost, gap = "tenant lost", "tenant gap"
    if not seen.runs:
        return Cell(label=lost, text=NONE, hint="no stream"), Cell(label=gap, text=NONE, hint="no stream")
    missing = f" in {seen.runs} of {runs(len(pool.origins))}" if seen.runs < len(pool.origins) else ""
    tone = "warn" if seen.lost else "plain"
    small = f"of {seen.sent:,}{missing}"
    return Cell(label=lost, text=f"{seen.lost:,}", small=small, tone=tone), Cell(label=gap, text=seconds(seen.gap))


def _result(entry: Entry) -> Cell:
    result = entry.pool.result
    tone = "open" if entry.stale else {"pass": "good", "fail": "bad", "unknown": "open"}[result]
    text = f"stale, was {RESULT[result]}" if entry.stale else RESULT[result]
    several = len(entry.pool.origins)
    return Cell(label="result", text=text, small=runs(several) if several > 1 else "", tone=tone)
