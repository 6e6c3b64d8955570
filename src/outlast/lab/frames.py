"""What the switch does to frames on purpose: drops all or some of them between chosen ports. Carrier stays.

Every fault is a table of its own in the switch namespace, so that faults may overlap and each is taken back alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from outlast.lab import network
from outlast.lab.commands import Commands
from outlast.lab.errors import LabError
from outlast.lab.topology import Topology, port_name, slow_name, switch_namespace

WHOLE = 10_000
"""Share of frames is counted in ten-thousandths."""


@dataclass(frozen=True)
class Drop:
    """Frames that enter the switch by a port of `sources` and leave it by one of `targets`; an empty tuple: any port.

    share: how many of 10000 are dropped, each by chance of its own.
    """

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    share: int = WHOLE


def table(name: str) -> str:
    """Name of a fault's table."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise ValueError(f"{name!r} cannot name a table")
    return f"fault-{name}".replace("-", "_")


def rules(name: str, drops: Sequence[Drop]) -> str:
    """The table as nft reads it; loaded again it replaces itself."""
    head = f"bridge {table(name)}"
    lines = [f"add table {head}", f"delete table {head}", f"add table {head}"]
    # Before the lab's own chain, whose drops would hide frames from our counters.
    lines.append(f"add chain {head} forward {{ type filter hook forward priority -5; policy accept; }}")
    lines += [f"add rule {head} forward {_match(drop)}counter drop" for drop in drops]
    return "\n".join(lines) + "\n"


def ports(topology: Topology, nodes: Iterable[str], interfaces: Iterable[str]) -> tuple[str, ...]:
    """The switch's ports of these nodes, as far as they have these interfaces; slow cables have another port."""
    wanted = tuple(interfaces)
    return tuple(
        name(node, interface.name)
        for node in nodes
        for interface in topology.node(node).interfaces
        if interface.name in wanted
        for name in (port_name, slow_name)
    )


def load(commands: Commands, topology: Topology, name: str, drops: Sequence[Drop]) -> None:
    _nft(commands, topology, rules(name, drops))


def dropped(commands: Commands, topology: Topology, name: str) -> int:
    """Frames dropped so far by one fault; 0 when it is not there."""
    switch = switch_namespace(topology.lab_id)
    try:
        shown = commands.run("ip", "netns", "exec", switch, "nft", "-j", "list", "table", "bridge", table(name))
    except LabError:
        return 0
    return count(shown)


def count(shown: str) -> int:
    """Sum of all packet counters in the answer of `nft -j list table`."""
    found = json.loads(shown)["nftables"]
    words = [word for item in found for word in item.get("rule", {}).get("expr", ())]
    return sum(int(word["counter"]["packets"]) for word in words if "counter" in word)


def unload(commands: Commands, topology: Topology, name: str) -> None:
    """Take a fault back. Safe to repeat, also when the lab has gone meanwhile."""
    if network.namespace_exists(switch_namespace(topology.lab_id)):
        head = f"bridge {table(name)}"
        _nft(commands, topology, f"add table {head}\ndelete table {head}\n")


def _match(drop: Drop) -> str:
    words = []
    if drop.sources:
        words.append(f"iifname {_names(drop.sources)}")
    if drop.targets:
        words.append(f"oifname {_names(drop.targets)}")
    if drop.share < WHOLE:
        words.append(f"numgen random mod {WHOLE} < {drop.share}")
    return "".join(f"{word} " for word in words)


def _names(names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return quoted if len(names) == 1 else f"{{ {quoted} }}"


def _nft(commands: Commands, topology: Topology, text: str) -> None:
    commands.run("ip", "netns", "exec", switch_namespace(topology.lab_id), "nft", "-f", "-", text=text)
