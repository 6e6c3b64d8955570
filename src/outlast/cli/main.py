"""The command: parse, call, print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from outlast.cli import drill, keep, nines, show
from outlast.cli.words import File, Json, run, say_json
from outlast.errors import ClusterFileError, OutlastError

app = typer.Typer(
    help="Builds, keeps and proves highly available OpenStack controllers with their SDN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done · 1 it failed · 2 wrong input · 3 this machine cannot do it · 130 interrupted",
)
node_app = typer.Typer(help="One node: power it off and on.", no_args_is_help=True)
app.add_typer(node_app, name="node")
app.add_typer(drill.app, name="drill")
app.command()(nines.nines)


@app.command()
def init(path: Annotated[Path, typer.Argument(help="File to write.")] = Path("cluster.yaml")) -> None:
    """Write a cluster file to start from.  [dim]outlast init mycloud.yaml[/]"""
    from outlast.errors import InputError
    from outlast.pipeline.init import EXAMPLE

    if path.exists():
        raise InputError("init.exists", f"{path} is there already; name another file")
    path.write_text(EXAMPLE)
    print(f"wrote {path}; next: outlast check -f {path}")


@app.command()
def check(file: File = None, as_json: Json = False) -> None:
    """Check the cluster file: errors, single points of failure, and how soon each fault is noticed and masked."""
    from outlast.cli import show_check
    from outlast.pipeline.check import check as examine

    checked = examine(file)
    if as_json:
        say_json(show_check.check_json(checked))
        return
    for problem in checked.problems:
        print(problem)
    count = len(checked.problems)
    print(f"{count} warnings" if count else "no problem and no single point of failure found")
    show.console().print(show_check.check_table(checked))


@app.command()
def plan(file: File = None, as_json: Json = False) -> None:
    """Show what would run where, what `up` would change, and why."""
    from outlast.pipeline import verbs
    from outlast.pipeline.describe import plan_json, plan_table
    from outlast.pipeline.target import open_target

    target = open_target(file)
    differences = run(verbs.differences(target))
    if as_json:
        say_json({**plan_json(target.plan), "changes": [asdict(change) for change in differences]})
        return
    out = show.console()
    out.print(plan_table(target.plan))
    for vip in target.plan.vips.values():
        order = ", ".join(f"{node} {priority}" for node, priority in vip.priorities.items())
        out.print(f"{vip.name} VIP {vip.address} on {vip.network}, VRRP id {vip.router_id}, priorities {order}")
    for change in differences:
        out.print(f"  {change.kind:8} {change.service} on {change.node}: {change.reason}")
    out.print(f"{len(differences)} changes" if differences else "nothing to change")


@app.command()
def up(
    file: File = None,
    host_access: Annotated[
        bool, typer.Option("--host-access", help="Let this machine reach the external VIP.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the cluster up, or to what the cluster file now says. Interrupted, run it again: it continues."""
    from outlast.pipeline import verbs
    from outlast.pipeline.progress import Silent
    from outlast.pipeline.target import open_target
    from outlast.pipeline.up import up as bring_up

    target = open_target(file)
    out = show.console()
    if as_json:
        report = run(bring_up(target, Silent(), host_access=host_access))
        say_json({**asdict(report), "changed": report.changed})
        return
    with show.Shown(out) as progress:
        report = run(bring_up(target, progress, host_access=host_access))
    if not report.changed:
        out.print("nothing to change: the cluster is as the cluster file says")
    seen, _ = run(verbs.look(target))
    out.print(show.status_table(target.plan, seen))
    for line in show.lines_below(target.plan, seen):
        out.print(line)
    if report.changed:
        for name, seconds in sorted(report.milestones.items(), key=lambda item: item[1]):
            out.print(f"  [dim]{seconds:6.1f} s[/]  {name}")
    out.print("Next:  outlast demo  ·  outlast status  ·  outlast openstack server list")


@app.command()
def down(file: File = None, as_json: Json = False) -> None:
    """Remove the lab: nodes, networks, volumes, secrets. Only the cached image stays."""
    from outlast.pipeline import verbs
    from outlast.pipeline.target import open_target

    removed = verbs.down(open_target(file))
    if as_json:
        say_json(removed)
    elif not removed:
        print("nothing was there")
    else:
        counts = [f"{found if isinstance(found, int) else len(found)} {kind}" for kind, found in removed.items()]  # type: ignore[arg-type]
        print(f"removed {', '.join(counts)}")


app.command()(keep.status)
app.command()(keep.watch)
app.command()(keep.pause)
app.command()(keep.resume)
app.command()(keep.recover)
app.command()(keep.events)


@app.command()
def logs(
    node: str,
    program: Annotated[str, typer.Argument(help="Program or service; none lists them.")] = "",
    file: File = None,
    lines: Annotated[int, typer.Option("-n", help="How many lines.")] = 50,
    follow: Annotated[bool, typer.Option("-F", "--follow", help="Go on as they come.")] = False,
) -> None:
    """A program's log on a node.  [dim]outlast logs c1 nova-api -n 100[/]"""
    from outlast.pipeline.shell import log_argv
    from outlast.pipeline.target import open_target

    target = open_target(file)
    raise typer.Exit(
        subprocess.run([*target.entry(node), *log_argv(target, node, program, lines, follow)], check=False).returncode
    )


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def shell(context: typer.Context, node: str, file: File = None) -> None:
    """A shell on a node, or one command.  [dim]outlast shell c1 ip addr[/]"""
    from outlast.pipeline.target import open_target

    target = open_target(file)
    argv = context.args or ["/bin/bash", "-l"]
    raise typer.Exit(subprocess.run([*target.entry(node), *argv], check=False).returncode)


@app.command()
def openrc(file: File = None) -> None:
    """Settings for OpenStack clients.  [dim]source <(outlast openrc)[/]"""
    from outlast.pipeline.client import openrc as lines
    from outlast.pipeline.target import open_target

    print(lines(open_target(file)), end="")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def openstack(context: typer.Context) -> None:
    """OpenStack's own command, on the client node, through the external VIP.  [dim]outlast openstack server list[/]"""
    from outlast.pipeline.client import OPENSTACK as command
    from outlast.pipeline.client import client_node, credentials
    from outlast.pipeline.target import open_target

    target = open_target(None)
    environment = [f"{key}={value}" for key, value in credentials(target).items()]
    argv = [*target.entry(client_node(target)), "/usr/bin/env", *environment, command, *context.args]
    raise typer.Exit(subprocess.run(argv, check=False).returncode)


@app.command()
def demo(
    file: File = None,
    clean: Annotated[bool, typer.Option("--clean", help="Remove what the demo made.")] = False,
    server: Annotated[str, typer.Option(help="Name of the server.")] = "demo-1",
    as_json: Json = False,
) -> None:
    """Upload an image, make networks and a server, and wait until it answers on its floating address."""
    from outlast.pipeline.demo import demo as show_off
    from outlast.pipeline.target import open_target

    steps: list[dict[str, object]] = []

    def told(step: dict[str, object]) -> None:
        steps.append(step)
        if not as_json:
            more = ", ".join(str(value) for key, value in step.items() if key not in ("step", "at", "ids"))
            print(f"{step['at']:>7} s  {step['step']}{'  ' + more if more else ''}", flush=True)

    run(show_off(open_target(file), told, action="clean" if clean else "run", server=server))
    if as_json:
        say_json(steps)


@node_app.command("poweroff")
def poweroff(node: Annotated[str, typer.Argument(help="Name, or vip-holder.")], file: File = None) -> None:
    """A power cut: what the node had not synced is lost."""
    _power(file, node, lambda target, name: target.lab.poweroff(name), "is off")


@node_app.command("poweron")
def poweron(node: str, file: File = None) -> None:
    """Power back; the node rejoins by itself."""
    _power(file, node, lambda target, name: target.lab.poweron(name), "is on")


def _power(file: Path | None, wanted: str, act: Callable[[Any, str], None], done: str) -> None:
    from outlast.pipeline import verbs
    from outlast.pipeline.target import open_target

    target = open_target(file)
    name = wanted
    if wanted not in target.plan.node_by_name:
        _, answers = run(verbs.look(target))
        name = verbs.resolve(target, wanted, answers)
    act(target, name)
    print(f"{name} {done}")


def main() -> None:
    """Entry point; errors are one sentence on standard error, and the exit code says of which kind."""
    # Whoever ends us from elsewhere wants what Ctrl-C does: a drill takes back what it broke, whatever ends it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="outlast")
    except ClusterFileError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    except OutlastError as error:
        print(f"outlast: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        os._exit(0)
    except SystemExit as stop:
        # Typer turns Ctrl-C into its Exit(130); a command that we ran may end with 130 too, and said so itself.
        if isinstance(getattr(stop.__context__, "__cause__", None), KeyboardInterrupt):
            print("interrupted; run it again to continue", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
