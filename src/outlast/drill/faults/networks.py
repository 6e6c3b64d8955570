"""Faults of the network: pulled cables, silent loss, chance loss, partitions, delay. All at the switch."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.verb import Order, Record, networks_of, nodes_of
from outlast.errors import InputError
from outlast.lab import frames, slow
from outlast.lab.frames import Drop

SLOWEST = 10.0
"""Longest delay of a slow cable, seconds."""
_NETWORK = "management, control-data, tunnel, external, several with commas, or all"


class LinkDown:
    """The cable is pulled: the node sees its carrier go."""

    options: Mapping[str, str] = {"network": _NETWORK}

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {"interfaces": networks_of(hands, order, "management")}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        _links(hands, record, up=False)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return all(not has_carrier(hands, node, link) for node in nodes_of(record) for link in record["interfaces"])

    def undo(self, hands: Hands, record: Record) -> None:
        for node in nodes_of(record):
            # Power on plugs fresh cables in.
            if hands.lab.pid1(node):
                for interface in record["interfaces"]:
                    hands.lab.link(node, interface, True)


class Flap(LinkDown):
    """The cable is pulled and plugged in again, a bounded number of times."""

    options: Mapping[str, str] = {
        "network": _NETWORK,
        "period": "seconds of one down and up (2)",
        "count": "how many times (5)",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        half = _positive(order, "period", 2) / 2
        return {**super().prepare(hands, order), "half": half, "count": int(_positive(order, "count", 5))}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for _ in range(record["count"]):
            for up in (False, True):
                if stop.is_set():
                    return
                _links(hands, record, up)
                stop.wait(record["half"])


class _Frames:
    """What is done by one table of drops in the switch."""

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        drops = [Drop(tuple(sources), tuple(targets), share) for sources, targets, share in record["drops"]]
        hands.lab.drop_frames(record["id"], drops)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return hands.lab.dropped_frames(record["id"]) > 0

    def undo(self, hands: Hands, record: Record) -> None:
        hands.lab.pass_frames(record["id"])


class Silence(_Frames):
    """Everything from and to the nodes vanishes; their carrier stays."""

    options: Mapping[str, str] = {"network": _NETWORK}

    def prepare(self, hands: Hands, order: Order) -> Record:
        ports = frames.ports(hands.lab.topology, order.nodes, networks_of(hands, order, "management"))
        return {"drops": [[ports, (), frames.WHOLE], [(), ports, frames.WHOLE]]}


class Lose(_Frames):
    """Some packets vanish, each by chance of its own, in both directions."""

    options: Mapping[str, str] = {"network": _NETWORK, "percent": "how many of a hundred, per direction (5)"}

    def prepare(self, hands: Hands, order: Order) -> Record:
        percent = _positive(order, "percent", 5)
        if percent > 100:
            raise InputError("drill.option", f"{percent:g} percent cannot be lost")
        ports = frames.ports(hands.lab.topology, order.nodes, networks_of(hands, order, "all"))
        share = max(1, round(percent * frames.WHOLE / 100))
        return {"drops": [[ports, (), share], [(), ports, share]]}


class Slow:
    """Packets come late, in both directions; none is lost, and none overtakes another."""

    options: Mapping[str, str] = {
        "network": _NETWORK + " (all)",
        "delay": "seconds that each packet takes more, per direction, up to 10",
        "jitter": "up to so many seconds more, by chance of each packet (0)",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        delay, jitter = _positive(order, "delay", 0), order.number("jitter", 0)
        if not (delay <= SLOWEST and 0 <= jitter <= SLOWEST):
            raise InputError("drill.option", f"delay and jitter of slow are up to {SLOWEST:g} s")
        interfaces = networks_of(hands, order, "all")
        cables = [list(cable) for cable in slow.cables(hands.lab.topology, order.nodes, interfaces)]
        return {"cables": cables, "interfaces": interfaces, "delay": delay, "jitter": jitter}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        hands.lab.slow_down(record["id"], _cables(record), record["delay"], record["jitter"])

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """A frame of every cable has come out at its other end: one of ours where the node itself is silent."""
        if hands.lab.slowed_frames(_cables(record)):
            return True
        for node in nodes_of(record):
            for interface in hands.lab.topology.node(node).interfaces:
                if interface.name in record["interfaces"]:
                    hands.in_network(node, partial(_say_something, interface.name))
        return False

    def undo(self, hands: Hands, record: Record) -> None:
        hands.lab.speed_up(record["id"], _cables(record))


def _say_something(interface: str) -> None:
    """A frame to all, of a kind that is set aside for experiments (IEEE 802) and that nobody listens to."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as own:
        own.bind((interface, 0))
        own.send(b"\xff" * 6 + own.getsockname()[4] + b"\x88\xb5" + bytes(46))


def _cables(record: Record) -> list[slow.Cable]:
    return [(port, tap, bridge) for port, tap, bridge in record["cables"]]


class Partition(_Frames):
    """The named nodes on one side, all others on the other; or groups; or one way only; or a ring of majorities."""

    options: Mapping[str, str] = {
        "network": _NETWORK + " (all)",
        "groups": "sides by node names, instead of target against the rest; who is in none hears all",
        "way": "both, out (what the targets say is not heard), in (they hear nothing)",
        "shape": "sides, each (every target alone), ring (each target hears a majority, no two the same)",
        "others": "all (every other node), or controllers: only those are cut off, clients reach both sides",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        interfaces = networks_of(hands, order, "all")
        cuts = pairs(order, tuple(node.name for node in hands.lab.topology.nodes), controllers(hands))
        drops = []
        for source, targets in cuts.items():
            for interface in interfaces:
                here = frames.ports(hands.lab.topology, [source], [interface])
                there = frames.ports(hands.lab.topology, sorted(targets), [interface])
                if here and there:
                    drops.append([here, there, frames.WHOLE])
        if not drops:
            raise InputError("drill.option", "this partition cuts nothing off")
        return {"drops": drops}


def controllers(hands: Hands) -> tuple[str, ...]:
    """Nodes that run what the others need."""
    wanted = {"controller", "endpoint", "service", "sdn"}
    return tuple(node.name for node in hands.plan.nodes if wanted & set(node.roles))


def pairs(order: Order, everybody: Sequence[str], controllers: Sequence[str]) -> dict[str, set[str]]:
    """Who is not heard by whom: node -> nodes that get nothing from it. Pure. Raises InputError drill.option."""
    shape, way = order.text("shape", "sides"), order.text("way", "both")
    if shape not in _SHAPES or way not in ("both", "out", "in"):
        raise InputError("drill.option", f"a partition of shape {shape}, way {way} is not known")
    others = [node for node in (controllers if order.text("others") == "controllers" else everybody)]
    sides = groups_of(order.options.get("groups"))
    if strangers := sorted({node for side in sides for node in side} - set(everybody)):
        raise InputError("drill.option", f"groups name nodes that are not there: {', '.join(strangers)}")
    cut = _SHAPES[shape](order.nodes, sides or (order.nodes, [node for node in others if node not in order.nodes]))
    found: dict[str, set[str]] = {}
    heads = set(sides[0] if sides else order.nodes)
    for source, target in cut:
        if way == "both" or (source in heads) == (way == "out"):
            found.setdefault(source, set()).add(target)
    return found


def groups_of(option: object) -> tuple[tuple[str, ...], ...]:
    """Sides as tuples: of lists, or of a text such as "c1 c2 | c3"."""
    if option is None or option == "":
        return ()
    if isinstance(option, str):
        return tuple(tuple(side.replace(",", " ").split()) for side in option.split("|"))
    if isinstance(option, (list, tuple)):
        return tuple(tuple(side.split()) if isinstance(side, str) else tuple(side) for side in option)
    raise InputError("drill.option", f"groups {option!r} are no lists of nodes")


Cut = set[tuple[str, str]]


def _sides(_: Sequence[str], sides: Sequence[Sequence[str]]) -> Cut:
    return {(a, b) for one, other in permutations(sides, 2) for a in one for b in other}


def _alone(nodes: Sequence[str], sides: Sequence[Sequence[str]]) -> Cut:
    return _sides(nodes, sides) | set(permutations(nodes, 2))


def _ring(nodes: Sequence[str], _: Sequence[Sequence[str]]) -> Cut:
    """Each hears its nearest neighbours on both sides, just as many as make a majority with itself."""
    count = len(nodes)
    reach = (count // 2 + 1) // 2
    near = {(a, (a + step) % count) for a in range(count) for step in range(-reach, reach + 1)}
    return {(nodes[a], nodes[b]) for a, b in permutations(range(count), 2) if (a, b) not in near}


_SHAPES: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[str]]], Cut]] = {
    "sides": _sides,
    "each": _alone,
    "ring": _ring,
}


def has_carrier(hands: Hands, node: str, interface: str) -> bool:
    """What the node's own kernel says of a cable; an interface that is down has none. False when the node is off."""
    pid1 = hands.lab.pid1(node)
    try:
        return Path(f"/proc/{pid1}/root/sys/class/net/{interface}/carrier").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _links(hands: Hands, record: Record, up: bool) -> None:
    for node in nodes_of(record):
        for interface in record["interfaces"]:
            hands.lab.link(node, interface, up)


def _positive(order: Order, name: str, default: float) -> float:
    value = order.number(name, default)
    if value <= 0:
        raise InputError("drill.option", f"{name} of {order.verb} must be above 0, not {value:g}")
    return value
