"""Commands for the operator's eyes on a node."""

from __future__ import annotations

from outlast.errors import InputError
from outlast.pipeline.target import Target
from outlast.services.registry import DESCRIBE

LOGS = "/var/log/outlast"


def log_argv(target: Target, node: str, program: str, lines: int, follow: bool) -> tuple[str, ...]:
    """`tail` over a program's log, or over all programs' logs of a service.

    Raises InputError for a name that the node does not have.
    """
    members = target.plan.members_on(node)
    programs = {
        item.name: member.service
        for member in members
        for item in DESCRIBE[member.service](target.plan, member).programs
    }
    wanted = [name for name, service in programs.items() if program in (name, service)]
    if program == "agent":
        wanted = ["agent"]
    if not wanted:
        raise InputError("logs.unknown", f"{node} has no program {program or '?'}; it has agent, {', '.join(programs)}")
    return ("tail", "-n", str(lines), *(["-F"] if follow else []), *(f"{LOGS}/{name}.log" for name in wanted))
