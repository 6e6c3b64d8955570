"""`outlast drill …`: break it on purpose, and see what clients noticed."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from outlast.drill.scenario import Scenario
    from outlast.pipeline.target import Target
    from outlast.record.verdict import Verdict

app = typer.Typer(help="Break the cluster on purpose and measure what clients noticed.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Cluster file. Default: $OUTLAST_CLUSTER, ./cluster.yaml, or the only lab's."),
]
Own = Annotated[Path | None, typer.Option("--scenarios", help="Folder with scenario files of your own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _target(file: Path | None) -> Target:
    from outlast.pipeline.target import open_target

    return open_target(file)


def _mine(folder: Path | None) -> dict[str, Scenario]:
    from outlast.drill.catalogue import own

    return dict(own(folder)) if folder else {}


@app.command("list")
def list_(
    file: File = None,
    suite: Annotated[str, typer.Option(help="Only those of this suite.")] = "",
    own: Own = None,
    as_json: Json = False,
) -> None:
    """Scenarios: what each does, how long it takes, what it needs.  [dim]outlast drill list --suite conformance[/]"""
    from rich.table import Table

    from outlast.cli import show
    from outlast.drill.catalogue import describe_rows

    rows = [row for row in describe_rows(_target(file).plan, _mine(own)) if not suite or suite in (*row.suites, "all")]
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("scenario", "what happens", "about", "suites"):
        table.add_column(column)
    for row in rows:
        title = f"{row.title} [dim](left out: {row.fits})[/]" if row.fits else row.title
        table.add_row(row.name, title, f"{row.seconds:.0f} s", ", ".join(row.suites))
    show.console().print(table)


@app.command()
def show(name: str, file: File = None, own: Own = None) -> None:
    """A scenario as a file, to copy and edit.  [dim]outlast drill show kill-keystone > mine.yaml[/]"""
    from outlast.drill.catalogue import find
    from outlast.drill.scenario_file import write

    scenario = find(name, _target(file).plan, _mine(own))
    print(scenario.text or write(scenario), end="")


@app.command()
def run(  # noqa: PLR0913 - one argument for each option
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios by name, or files of your own.")] = None,
    file: File = None,
    suite: Annotated[list[str] | None, typer.Option(help="All scenarios of a suite.")] = None,
    profile: Annotated[
        list[str] | None, typer.Option(help="Under this timing profile (outlast, kolla, classic); may be repeated.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Leave out what was run already and depends on nothing that changed.")
    ] = False,
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each is run: their figures are pooled.")] = 1,
    seed: Annotated[int, typer.Option(help="For targets that are a choice.")] = 0,
    own: Own = None,
    as_json: Json = False,
) -> None:
    """Break it, measure, heal, judge.  [dim]outlast drill run power-vip-holder[/]  Exit 1 unless every drill passed."""
    from outlast.drill.catalogue import find
    from outlast.drill.catalogue import suite as suite_of
    from outlast.errors import InputError
    from outlast.pipeline.drill_session import Wish, last_words, session

    target, mine = _target(file), _mine(own)
    scenarios = [find(name, target.plan, mine) for name in names or ()]
    scenarios += [one for name in suite or () for one in suite_of(name, target.plan, mine)]
    if not scenarios:
        raise InputError("drill.which", "name a scenario or a suite; see: outlast drill list")
    told: list[dict[str, Any]] = []
    verdicts: list[Verdict] = []
    wish = Wish(tuple(scenarios) * times, tuple(profile or ()), missing, seed)
    for outcome in session(target, wish, lambda sentence: _tell(sentence, quiet=as_json)):
        verdicts.append(outcome.verdict)
        told.append({"folder": str(outcome.folder), "verdict": asdict(outcome.verdict)})
        if not as_json:
            _show_verdict(outcome.verdict)
    if as_json:
        print(json.dumps(told, indent=2, default=str))
    results = last_words(verdicts)
    if not as_json and len(results) > 1:
        print(", ".join(f"{results.count(word)} {word}" for word in ("pass", "fail", "unknown")))
    if any(result != "pass" for result in results):
        raise typer.Exit(1)


def _show_verdict(verdict: Verdict) -> None:
    from outlast.report.screen import screen

    print()
    print("\n".join(screen(verdict)))
    print(flush=True)


def _tell(sentence: str, quiet: bool) -> None:
    if not quiet:
        print(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}", flush=True)


@app.command()
def heal(file: File = None, as_json: Json = False) -> None:
    """Take back what an interrupted drill left broken."""
    from outlast.pipeline import drill

    target = _target(file)
    with drill.alone(target):
        healed = drill.heal_all(target)
    if as_json:
        print(json.dumps(asdict(healed), indent=2))
    else:
        print("\n".join((*healed.undone, *healed.failed)) or "nothing was left broken")
    if healed.failed:
        raise typer.Exit(1)


@app.command()
def report(
    file: File = None,
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder for the report's files.")] = Path("scorecard"),
    again: Annotated[bool, typer.Option("--judge-again", help="Judge saved runs by today's rules first.")] = False,
    own: Own = None,
) -> None:
    """Scorecard of all drills run so far: HTML with timelines, Markdown, JSON."""
    from outlast.pipeline import scorecard

    target = _target(file)
    if again:
        runs, changed = scorecard.judge_again(target)
        print(f"{runs} runs judged again, {changed} verdicts changed")
    written = scorecard.report(target, folder, _mine(own))
    print(", ".join(f"{count} {word}" for word, count in written.card.summary.items()))
    for sentence in written.unreadable:
        print(sentence)
    for path in written.files:
        print(path)


@app.command()
def compare(file: File = None, as_json: Json = False) -> None:
    """How many times longer, or more, under the other timing profiles, for drills run in one session."""
    from rich.table import Table

    from outlast.cli import show
    from outlast.pipeline.scorecard import comparison

    found = comparison(_target(file))
    if as_json:
        print(json.dumps([dict(zip(found.header, row, strict=True)) for row in found.table()], indent=2))
        return
    table = Table(*found.header, box=None, pad_edge=False)
    for row in found.table():
        table.add_row(*row)
    show.console().print(table)
