"""Verbs that keep a running cluster: what is so, what was done, holding the agents back."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.cli import show
from outlast.cli.words import File, Json, run, say_json

if TYPE_CHECKING:
    from outlast.pipeline.pause import Done

Nodes = Annotated[list[str] | None, typer.Argument(help="Nodes; none: all.")]


def status(file: File = None, as_json: Json = False) -> None:
    """Services by node, VIP holders, and what is not well. Exit 1 unless all is well."""
    from outlast.pipeline import verbs
    from outlast.pipeline.target import open_target

    target = open_target(file)
    seen, _ = run(verbs.look(target))
    if as_json:
        say_json(asdict(seen))
    else:
        out = show.console()
        out.print(show.status_table(target.plan, seen))
        for line in show.lines_below(target.plan, seen):
            out.print(line)
        for service, row in seen.cells.items():
            for node, cell in row.items():
                if not cell.settled:
                    out.print(f"  {service} on {node}: {cell.sentence}")
    if seen.code != "ok":
        raise typer.Exit(1)


def watch(file: File = None, seconds: Annotated[float, typer.Option(help="Between two looks.")] = 1.0) -> None:
    """The status, again and again, until Ctrl-C."""
    from rich.console import Group
    from rich.live import Live

    from outlast.pipeline import verbs
    from outlast.pipeline.target import open_target

    target = open_target(file)

    async def keep_looking() -> None:
        with Live(console=show.console(), refresh_per_second=4) as live:
            while True:
                seen, _ = await verbs.look(target)
                live.update(Group(show.status_table(target.plan, seen), *show.lines_below(target.plan, seen)))
                await asyncio.sleep(seconds)

    run(keep_looking())


def events(  # noqa: PLR0913 - one argument for each option
    file: File = None,
    node: Annotated[str, typer.Option(help="Only this node.")] = "",
    service: Annotated[str, typer.Option(help="Only this service; agent: what belongs to none.")] = "",
    code: Annotated[str, typer.Option(help="Only codes that begin so, such as galera. or server-")] = "",
    since: Annotated[str, typer.Option(help="From: 90s, 10m, 2h or 1d ago, or a time such as 2026-02-03T12:30.")] = "",
    until: Annotated[str, typer.Option(help="To, in the same words.")] = "",
    last: Annotated[int, typer.Option("-n", "--last", min=1, help="At most so many, the latest.")] = 100,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show what each rests on.")] = False,
    as_json: Json = False,
) -> None:
    """What agents and guards decided and did, in time order.  [dim]outlast events --service galera --since 10m[/]"""
    from outlast.pipeline.events import Wanted, find, moment
    from outlast.pipeline.target import open_target

    target, now = open_target(file), time.time()
    found = run(find(target, Wanted(node, service, code, moment(since, now), moment(until, now))))
    if found.silent:
        print(f"no answer from {', '.join(found.silent)}: their events are not in this list", file=sys.stderr)
    if as_json:
        say_json([asdict(event) for event in found.events[-last:]])
        return
    for event in found.events[-last:]:
        at = datetime.fromtimestamp(event.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
        print(f"{at}  {event.node:8} {event.service or 'agent':14} {event.code:20} {event.sentence}")
        if evidence and event.evidence:
            print(f"{'':37} {event.evidence}")


def pause(
    nodes: Nodes = None,
    file: File = None,
    reason: Annotated[str, typer.Option(help="Why; who and when are added.")] = "",
    as_json: Json = False,
) -> None:
    """Hold the agents back: they look and change nothing.  [dim]outlast pause c2 --reason "new disk"[/]"""
    from outlast.pipeline import pause as verb
    from outlast.pipeline.target import open_target

    _tell(run(verb.pause(open_target(file), nodes or (), verb.signed(reason, time.time()))), as_json)


def resume(nodes: Nodes = None, file: File = None, as_json: Json = False) -> None:
    """Let paused agents go on.  [dim]outlast resume c2[/]"""
    from outlast.pipeline import pause as verb
    from outlast.pipeline.target import open_target

    _tell(run(verb.resume(open_target(file), nodes or ())), as_json)


def recover(
    file: File = None,
    lost: Annotated[
        list[str] | None,
        typer.Option("--accept-loss", help="Give this node's database up until it is back; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """What the agents would do next, or why they do not.  [dim]outlast recover --accept-loss c3[/]"""
    from outlast.cli.show_recover import lines
    from outlast.pipeline import recover as verb
    from outlast.pipeline.target import open_target

    target = open_target(file)
    if lost:
        _tell(run(verb.accept_loss(target, lost)), as_json)
        return
    seen = run(verb.recover(target))
    if as_json:
        say_json(asdict(seen))
    else:
        print("\n".join(lines(seen, time.time())))


def _tell(done: tuple[Done, ...], as_json: bool) -> None:
    if as_json:
        say_json([asdict(one) for one in done])
    else:
        for one in done:
            print(f"{one.node:8} {one.sentence}")
    if not all(one.well for one in done):
        raise typer.Exit(1)
