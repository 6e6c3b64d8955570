"""Faults of whole nodes: the plug, the button, a reboot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.verb import Order, Record, nodes_of
from outlast.lab.errors import LabError
from outlast.lab.processes import Process, process

_STAGGER = "seconds between two nodes (0: all at once)"
_KEEP_OFF = "true: whoever runs the drill takes it back later than the others; nothing else depends on it"


class PowerOff:
    """The plug: what was not synced is lost. Several nodes at the same instant, or one every `stagger` seconds."""

    options: Mapping[str, str] = {"stagger": _STAGGER, "keep-off": _KEEP_OFF}

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {"pid1": _running(hands, order.nodes), "stagger": order.number("stagger", 0)}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        """Several plugs are pulled by as many threads; the staggered wait for their turn."""

        def one(number: int, node: str) -> None:
            if not stop.wait(number * record["stagger"]):
                hands.lab.poweroff(node)

        if not record["stagger"]:
            _each(hands.lab.poweroff, nodes_of(record))
            return
        with ThreadPoolExecutor(len(record["nodes"])) as pool:
            list(pool.map(one, range(len(record["nodes"])), nodes_of(record)))

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """The first of them when staggered, else all."""
        gone = [not Process(*pair).is_alive() for pair in record["pid1"].values()]
        return any(gone) if record["stagger"] else all(gone)

    def undo(self, hands: Hands, record: Record) -> None:
        _each(hands.lab.poweron, nodes_of(record))


class Shutdown(PowerOff):
    """The button: every program is told to end. The plug is pulled when that takes longer than `seconds`."""

    options: Mapping[str, str] = {
        "seconds": "longest wait until the plug is pulled (60)",
        "stagger": _STAGGER,
        "keep-off": _KEEP_OFF,
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        seconds = order.number("seconds", 60)
        return {**super().prepare(hands, order), "seconds": seconds, "patience": seconds + 5}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        def one(number: int, node: str) -> None:
            if not stop.wait(number * record["stagger"]):
                _shut_down(hands, node, record["seconds"])

        with ThreadPoolExecutor(len(record["nodes"])) as pool:
            list(pool.map(one, range(len(record["nodes"])), nodes_of(record)))


class Reboot(Shutdown):
    """Shut down, then power on again."""

    options: Mapping[str, str] = {
        "seconds": "longest wait until the plug is pulled (60)",
        "off": "seconds without power (1)",
        "rolling": "true: the next node only when the one before is on again; else all at once",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        programs = {node: _programs(hands, node) for node in order.nodes}
        own = {"off": order.number("off", 1), "rolling": order.flag("rolling"), "programs": programs}
        return {**super().prepare(hands, order), **own}

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """Clients may notice from the first program on that ends: a while before the first node does."""
        pairs = [pair for programs in record["programs"].values() for pair in programs]
        return any(not Process(*pair).is_alive() for pair in (*record["pid1"].values(), *pairs))

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        def one(node: str) -> None:
            _shut_down(hands, node, record["seconds"])
            stop.wait(record["off"])
            hands.lab.poweron(node)

        if record["rolling"]:
            for node in nodes_of(record):
                one(node)
        else:
            _each(one, nodes_of(record))


def _running(hands: Hands, nodes: tuple[str, ...]) -> dict[str, list[int]]:
    found = {}
    for node in nodes:
        pid = hands.lab.pid1(node)
        seen = process(pid) if pid else None
        if seen is None:
            raise LabError("lab.node-off", f"node {node} is off already")
        found[node] = [seen.pid, seen.started]
    return found


def _programs(hands: Hands, node: str) -> list[list[int]]:
    """Pid and start time of all that PID 1 of the node runs."""
    pid = hands.lab.pid1(node)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split() if pid else []
    found = (process(int(child)) for child in children)
    return [[one.pid, one.started] for one in found if one is not None]


def _shut_down(hands: Hands, node: str, seconds: float) -> None:
    try:
        hands.lab.shutdown(node, seconds)
    except LabError as error:
        if error.code != "lab.shutdown":
            raise
        hands.lab.poweroff(node)


def _each(action: Callable[[str], None], nodes: list[str]) -> None:
    """One thread per node, all let go at the same instant."""
    together = threading.Barrier(len(nodes))

    def one(node: str) -> None:
        together.wait()
        action(node)

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(one, nodes))
