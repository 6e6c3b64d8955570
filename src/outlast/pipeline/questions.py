"""Which program is asked what: the table of docs/reference/probes.md, made of the services themselves."""

from __future__ import annotations

from collections.abc import Mapping

from outlast.render.tree import NodeTree
from outlast.spec.probe import EAGER, Probe

WORDS = {
    "http": "GET {path}",
    "tcp": "the greeting of its port",
    "wsrep": "its cluster status, by its unix socket",
    "amqp": "a login",
    "token": "a token",
    "zookeeper": "`srvr`",
    "memcached": "`version`",
    "ovsdb": "whether its database {contains} has a majority",
    "unixctl": "`{argv}`, by its control socket",
    "libvirt": "to open qemu:///system",
    "rpc": "a ping through RabbitMQ to queue {path}",
    "command": "`{argv}`",
    "guard": "nothing: what it wrote of the networks it is cut off from",
    "carrier": "nothing: whether the kernel sees a carrier at {path}",
    "loaded": "nothing: whether {program} is still loading",
    "process": "nothing: supervisord must say RUNNING",
    "pulse": "nothing: it must run now and then, by the kernel's count (weaker than an answer)",
}

HEAD = """# Which program is asked what

Written by `scripts/reference.py` from the services of `examples/lab.yaml`; a test fails while it is stale.

The agent of each node asks its own programs, past the balancer. Two bad answers in a row make a member failed; after
the first one the question comes again 0.4 s later. *Noticed* is the longest time from a hang to the second bad answer.
Where a broker, or the machine itself, stands between the agent and a program, nothing is learned and nothing is done.

| member | program | is asked | every | time-out | noticed |
|---|---|---|---|---|---|
"""


def page(trees: Mapping[str, NodeTree]) -> str:
    """The page. One row for each question that differs in more than node and address."""
    rows: dict[str, None] = {}
    for node, tree in trees.items():
        for member in tree.members:
            for probe in member.spec.probes:
                rows[_row(member.spec.service, node, probe)] = None
    return HEAD + "".join(f"{row}\n" for row in sorted(rows))


def noticed(probe: Probe) -> float:
    """Seconds from a hang to the second bad answer, at worst."""
    return probe.interval + 2 * probe.timeout + EAGER


def _row(service: str, node: str, probe: Probe) -> str:
    words = WORDS[probe.kind].format(
        path=probe.path, contains=probe.contains, program=probe.program, argv=" ".join(probe.argv)
    )
    if probe.port and probe.address:
        words = words.replace(probe.address, "ADDRESS")
    what = words.replace(f".{node}", ".NODE")
    if probe.kind == "http":
        what += f", status {' or '.join(map(str, probe.statuses))}"
        what += f", body with `{probe.contains}`" if probe.contains else ""
        what += f", by {probe.address.removeprefix('unix:')}" if probe.address.startswith("unix:") else ""
    if probe.kind == "command":
        what = what.replace(probe.contains, "ADDRESS") if probe.contains else what
    program = probe.program or {"process": probe.path, "carrier": "(its link)"}.get(probe.kind, "all")
    # supervisord's word comes in the same second; nothing hung shows in it.
    late = "" if probe.kind == "process" else f"{noticed(probe):g} s"
    return f"| {service} | {program} | {what} | {probe.interval:g} s | {probe.timeout:g} s | {late} |"
