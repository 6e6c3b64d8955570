"""Faults of programs: killed, told to end, stopped in the middle of whatever they do."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.verb import Order, Record, nodes_of
from outlast.errors import InputError
from outlast.lab import processes, tree
from outlast.lab.processes import Process

_PROGRAM = "name of a program as in `outlast status` (haproxy-guard: the parent of haproxy); several with commas"
_KILL_SECONDS = 5.0
_STOPPED = ("T", "t", "Z", "X", "")


class Kill:
    """SIGKILL of a program's whole process tree, or of one worker below its main process."""

    options: Mapping[str, str] = {
        "program": _PROGRAM,
        "one-worker": "true: only one process below the program's main process",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        return {"processes": [_found(hands, node, name, order) for node in order.nodes for name in _names(order)]}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        """All are stopped first: none can fork, and none of another node outlives them by more than a moment."""
        roots = _roots(record)
        if record["options"].get("one-worker"):
            stopped = roots
        else:
            stopped = [one for root in roots for one in _tree(record, root)]
        processes.kill(stopped, _KILL_SECONDS)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return not any(one.is_alive() for one in _all(record))

    def undo(self, hands: Hands, record: Record) -> None:
        """Nothing: to start it again is the product's business. Only what was caught half way goes on."""
        tree.send(_all(record), signal.SIGCONT)


class Stop(Kill):
    """SIGTERM to a program's main process: it ends as it likes to."""

    options: Mapping[str, str] = {"program": _PROGRAM}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        tree.send(_roots(record), signal.SIGTERM)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return not any(one.is_alive() for one in _roots(record))


class Pause(Kill):
    """SIGSTOP of a program's whole process tree, or of one worker: it hangs, its sockets stay."""

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        if record["options"].get("one-worker"):
            tree.send(_roots(record), signal.SIGSTOP)
            return
        for root in _roots(record):
            _tree(record, root)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """Stopped, or killed by whoever noticed."""
        return all(one.state() in _STOPPED for one in _all(record))

    def undo(self, hands: Hands, record: Record) -> None:
        """Children first, so that no parent misses a signal of theirs; also those that came after the record."""
        known = dict.fromkeys(_all(record))
        for root in _roots(record):
            known |= dict.fromkeys(tree.descendants(root))
        tree.send(reversed(list(known)), signal.SIGCONT)


def _names(order: Order) -> list[str]:
    names = [word.strip() for word in order.text("program").split(",") if word.strip()]
    if not names:
        raise InputError("drill.option", f"{order.verb} needs a program")
    if order.verb in ("kill", "stop") and "supervisord" in names:
        raise InputError("drill.program", "a node without its PID 1 is off: use poweroff")
    return names


def _found(hands: Hands, node: str, name: str, order: Order) -> dict[str, Any]:
    """A program's processes before the fault. Guards and PID 1 are taken alone: their children are other programs."""
    root = hands.process(node, name)
    if order.flag("one-worker"):
        workers = tree.descendants(root)[1:]
        if not workers:
            raise InputError("drill.program", f"{name} on {node} has no workers: it is one process")
        root = workers[order.seed % len(workers)]
    alone = order.flag("one-worker") or name == "supervisord" or name.endswith("-guard")
    members = [root] if alone else tree.descendants(root)
    return {"node": node, "program": name, "alone": alone, "all": [[one.pid, one.started] for one in members]}


def _all(record: Record) -> list[Process]:
    return [Process(*pair) for entry in record["processes"] for pair in entry["all"]]


def _roots(record: Record) -> list[Process]:
    return [Process(*entry["all"][0]) for entry in record["processes"]]


def _tree(record: Record, root: Process) -> list[Process]:
    """Stop a root and what is below it now, unless it was to be taken alone."""
    entry = next(one for one in record["processes"] if tuple(one["all"][0]) == (root.pid, root.started))
    if entry["alone"]:
        tree.send([root], signal.SIGSTOP)
        return [root]
    return tree.stop_tree(root)


class Restart:
    """Every program of the nodes, one after the other: stopped, started, and well before the next one is."""

    options: Mapping[str, str] = {
        "program": "only these, with commas; else all",
        "seconds": "longest wait for one program to be well again (60)",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        only = [word.strip() for word in order.text("program").split(",") if word.strip()]
        steps = []
        for node in order.nodes:
            running = {name: pid for name, pid in hands.programs(node).items() if pid and name != "outlast-agent"}
            for name in only or running:
                if name not in running:
                    raise InputError("drill.program", f"program {name} does not run on {node}")
                one = hands.process(node, f"{name}-guard" if name in ("haproxy", "keepalived") else name)
                steps.append({"node": node, "program": name, "process": [one.pid, one.started]})
        return {"steps": steps, "seconds": order.number("seconds", 60)}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for step in record["steps"]:
            if stop.is_set():
                return
            hands.supervisor(step["node"], "stopProcess", step["program"], True, timeout=record["seconds"] + 60)
            self._start(hands, step)
            self._await_well(hands, step["node"], record["seconds"], stop)

    def took_effect(self, hands: Hands, record: Record) -> bool:
        return not Process(*record["steps"][0]["process"]).is_alive()

    def undo(self, hands: Hands, record: Record) -> None:
        """Start what was stopped when the drill broke off; on a node without power its agent will."""
        for node in nodes_of(record):
            if hands.lab.pid1(node):
                idle = [name for name, pid in hands.programs(node).items() if not pid]
                for step in record["steps"]:
                    if step["node"] == node and step["program"] in idle:
                        self._start(hands, step)

    @staticmethod
    def _start(hands: Hands, step: Mapping[str, Any]) -> None:
        import xmlrpc.client

        try:
            hands.supervisor(step["node"], "startProcess", step["program"], False)
        except xmlrpc.client.Fault as fault:
            # The agent, or supervisord itself, may be quicker.
            if "ALREADY_STARTED" not in fault.faultString:
                raise

    @staticmethod
    def _await_well(hands: Hands, node: str, seconds: float, stop: threading.Event) -> None:
        """Until the agent, who needs a cycle to notice, says twice that all is settled."""
        good, left = 0, seconds
        while good < 2 and left > 0 and not stop.wait(0.5):
            left -= 0.5
            try:
                settled = bool(hands.snapshot(node).get("settled"))
            except (OSError, ValueError):
                settled = False
            good = good + 1 if settled else 0
