"""`outlast nines`: predicted yearly availability, as tables or JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from outlast.pipeline.nines import Nines
    from outlast.predict.nines_report import Figure, Prediction

TITLES = {"api": "API", "tenant": "tenant traffic"}
SHOWN = 10
"""Classes in the table; the others are one line."""

File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Cluster file. Default: $OUTLAST_CLUSTER, ./cluster.yaml, or the only lab's."),
]


def nines(  # noqa: PLR0913 - one argument for each option
    file: File = None,
    rates: Annotated[Path | None, typer.Option("--rates", help="Your own failure rates, in YAML.")] = None,
    profile: Annotated[str, typer.Option(help="Drills under this timing profile. Default: the cluster's.")] = "",
    years: Annotated[int, typer.Option(min=100, max=1_000_000, help="How many years to simulate.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Start of the random numbers; the same seed says the same.")] = 1,
    worst: Annotated[
        float | None, typer.Option(min=0, help="Also say what if every unmeasured failure lasted this many seconds.")
    ] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each rate comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict the yearly availability from the drills' measured outages and failure rates.

    [dim]outlast nines --worst 600[/]
    """
    from outlast.cli import show
    from outlast.pipeline.nines import Wish
    from outlast.pipeline.nines import nines as ask
    from outlast.pipeline.target import open_target

    wish = Wish(rates=rates, profile=profile, years=years, seed=seed, worst=worst)
    found = ask(open_target(file).plan, wish)
    if as_json:
        print(json.dumps(_finite(asdict(found)), indent=2))
        return
    out = show.console()
    for line in lines(found, sources):
        out.print(line)


def _finite(value: Any) -> Any:
    """JSON knows no infinity: nines of a perfect year are null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def lines(found: Nines, sources: bool) -> list[RenderableType]:
    """The screen, top to bottom."""
    from rich.markup import escape

    said: list[RenderableType] = [
        f"{found.cluster}, profile {found.profile}: {found.runs} drills, {found.controllers} controllers, "
        f"{found.computes} computes, {found.years} simulated years, seed {found.seed}"
    ]
    for item in found.predictions:
        said += ["", *_of_target(item)]
    for target in TITLES.keys() - {item.target for item in found.predictions}:
        said += ["", f"[yellow]{TITLES[target]}: no drill measured it[/]"]
    for name in found.without_rate:
        said.append(f"[yellow]{name} was measured but has no failure rate: not in the figures[/]")
    if found.left_out:
        said.append(f"{len(found.left_out)} runs do not count; --json says why")
    said.append(
        f"A broken part is replaced in {found.repair_hours:g} h, a person acts in {found.operator_hours:g} h. "
        "Model and sources: docs/nines.md"
    )
    if sources:
        rows = {share.name: share.source for item in found.predictions for share in item.shares}
        said += ["", *(escape(f"{name}: {source}") for name, source in sorted(rows.items()))]
    return said


def _of_target(item: Prediction) -> list[RenderableType]:
    figure = item.figure
    said: list[RenderableType] = [
        f"[bold]{TITLES[item.target]}: {figure.availability:.6%}[/] expected, {_nines(figure.nines)} nines, "
        f"{figure.minutes:.2f} minutes lost a year",
        f"  90 % of years between {item.bad:.6%} and {item.good:.6%}",
        f"  {item.worst} costs most",
        _table(item),
    ]
    for change in item.changes:
        said.append(f"  {change.what}: saves {change.saves:.2f} minutes a year, {_nines(change.figure.nines)} nines")
    if item.unmeasured:
        names = ", ".join(item.unmeasured)
        count = sum(item.unmeasured.values())
        said.append(f"  [yellow]not measured, and not in the figures: {names} ({count:.1f} failures a year)[/]")
    if item.upper:
        said.append(f"  with these as bad as you say: {_upper(item.upper)}")
    elif item.unmeasured:
        said.append("  what they could cost: outlast nines --worst SECONDS")
    return said


def _upper(figure: Figure) -> str:
    return f"{figure.availability:.6%}, {_nines(figure.nines)} nines, {figure.minutes:.2f} minutes lost a year"


def _nines(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def _table(item: Prediction) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1))
    table.add_column("  class", no_wrap=True)
    for name in ("failures/year", "drills", "mean outage", "lost/year", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    for share in item.shares[:SHOWN]:
        measured = (f"{share.per_year:.2f}", f"{share.runs}", f"{share.outage:.2f} s") if share.runs else ("", "", "")
        table.add_row(f"  {share.name}", *measured, f"{share.seconds:.2f} s", f"{share.part:.1%}")
    if others := item.shares[SHOWN:]:
        lost, part = sum(share.seconds for share in others), sum(share.part for share in others)
        table.add_row(f"  {len(others)} others", "", "", "", f"{lost:.2f} s", f"{part:.1%}")
    return table
