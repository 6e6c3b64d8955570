"""How things look on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from outlast.observe.collect import Answer, Unreachable
from outlast.observe.status import ClusterStatus
from outlast.plan.plan import Plan

COLOURS = {"ok": "green", "starting": "yellow", "failed": "red", "stopped": "yellow", "unknown": "red"}
MARKS = {"ok": "●", "starting": "◐", "failed": "✗", "stopped": "○", "unknown": "?"}


def console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def status_table(plan: Plan, seen: ClusterStatus) -> Table:
    """Services by node."""
    nodes = [node.name for node in plan.nodes if plan.members_on(node.name)]
    table = Table(title=f"{plan.cluster}: {seen.sentence}", title_justify="left", title_style="bold")
    table.add_column("service")
    for name in nodes:
        table.add_column(f"{name} [yellow]paused[/]" if name in seen.paused else name, justify="center")
    table.add_column("kind", style="dim")
    for service, row in seen.cells.items():
        if not row:
            continue
        cells = [_cell(row[name].health, row[name].settled) if name in row else Text("") for name in nodes]
        spec = plan.specs[service]
        table.add_row(service, *cells, f"{spec.kind}, {spec.mode}")
    return table


def _cell(health: str, settled: bool) -> Text:
    mark = MARKS.get(health, "?")
    return Text(mark if settled or health != "ok" else f"{mark}…", style=COLOURS.get(health, "red"))


def lines_below(plan: Plan, seen: ClusterStatus) -> list[str]:
    """What belongs below the table: paused nodes with their reasons, and who holds each VIP."""
    paused = [f"[yellow]repair is paused on {node}[/]: {escape(reason)}" for node, reason in seen.paused.items()]
    return [*paused, *vip_lines(plan, seen)]


def vip_lines(plan: Plan, seen: ClusterStatus) -> list[str]:
    """One line per VIP: who holds it."""
    lines = []
    for vip in plan.vips.values():
        holders = seen.holders.get(vip.name, ())
        where = "held by " + " and ".join(holders) if holders else "held by no node"
        lines.append(f"{vip.name} VIP {vip.address} ({vip.network}): {where}")
    return lines


class Shown:
    """Progress on a terminal: finished phases above, the present one with what every node does below."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._phase = ""
        self._phase_begun = self._begun
        self._live = Live(console=out, refresh_per_second=4, transient=True) if out.is_terminal else None
        self._sentences: dict[str, str] = {}
        self._told = 0.0

    def __enter__(self) -> Shown:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        if self._live:
            self._live.__exit__(None, None, None)

    def phase(self, name: str) -> None:
        self._finish()
        self._phase, self._phase_begun, self._sentences = name, time.monotonic(), {}

    def _finish(self) -> None:
        if self._phase and sys.exc_info()[0] is None:
            self._out.print(f"[green]✓[/] {self._phase}  [dim]{time.monotonic() - self._phase_begun:.1f} s[/]")
        self._phase = ""

    def say(self, sentence: str) -> None:
        self._sentences = {"": sentence}
        if self._live:
            self._update()
        else:
            self._out.print(f"  {self._phase}: {sentence}")

    def nodes(self, answers: Mapping[str, Answer]) -> None:
        self._sentences = {name: _sentence(answer) for name, answer in answers.items()}
        if self._live:
            self._update()
        elif time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            for name, answer in answers.items():
                if isinstance(answer, Unreachable) or not answer.settled:
                    self._out.print(f"  {self._elapsed():5.0f} s  {name}: {self._sentences[name][:110]}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._phase_begun

    def _update(self) -> None:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text("▸ " + self._phase, style="bold"), f"{self._elapsed():.0f} s")
        for name, sentence in self._sentences.items():
            grid.add_row(f"  {name}", Text(sentence[:100], style="dim"))
        if self._live:
            self._live.update(grid)


def _sentence(answer: Answer) -> str:
    if isinstance(answer, Unreachable):
        return answer.reason
    well = sum(1 for member in answer.members if member.phase == "settled")
    return f"{well}/{len(answer.members)} well; {answer.sentence}"
