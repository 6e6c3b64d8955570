"""Wrong answers of one API on one node: new connections to its port are led to a liar beside it.

The API itself runs on and is not told. Connections that were open before stay with it.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from pathlib import Path

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.liar import SIGN, WAYS
from outlast.drill.faults.overload import LONGEST
from outlast.drill.faults.verb import Order, Record, nodes_of
from outlast.errors import InputError
from outlast.lab import processes
from outlast.plan.plan import Plan

_SCRIPT = (Path(__file__).parent / "liar.py").read_text(encoding="utf-8")
_LOOK_SECONDS = 0.3


class AnswerWrong:
    """500, a body cut short in its syntax, somebody else's body, cut after the headers, stalled after the headers."""

    options: Mapping[str, str] = {
        "program": "whose port: a program (nova-api) or service (nova)",
        "port": "the port itself, instead of a program",
        "way": f"one of {', '.join(WAYS)} (500)",
        "seconds": f"until it ends by itself ({LONGEST:g})",
    }

    def prepare(self, hands: Hands, order: Order) -> Record:
        way, seconds = order.text("way", "500"), order.number("seconds", LONGEST)
        if way not in WAYS or not 0 < seconds <= LONGEST:
            raise InputError("drill.option", f"answer-wrong: way is one of {', '.join(WAYS)}, up to {LONGEST:g} s")
        port = int(order.number("port", 0)) or port_of(hands.plan, order.text("program"))
        addresses = {node: hands.plan.address(node) for node in order.nodes}
        return {"way": way, "seconds": seconds, "port": port, "addresses": addresses}

    def inject(self, hands: Hands, record: Record, stop: threading.Event) -> None:
        for node in nodes_of(record):
            there = int(hands.launch(node, record["id"], _SCRIPT, 0, record["way"], record["seconds"]))
            hands.nft(node, redirect(record["id"], record["addresses"][node], record["port"], there))

    def took_effect(self, hands: Hands, record: Record) -> bool:
        """Asked by another node of the lab where there is one that runs: as the balancer there sees it."""
        powered = [node for node in record["addresses"] if hands.lab.pid1(node)]
        others = [node.name for node in hands.plan.nodes if node.name not in powered and hands.lab.pid1(node.name)]
        for node, address in record["addresses"].items():

            def ask(address: str = address) -> str:
                return look(address, record["port"], _LOOK_SECONDS)

            if hands.in_network(others[0] if others else node, ask) != record["way"]:
                return False
        return True

    def undo(self, hands: Hands, record: Record) -> None:
        """The way to the liar first, so that nobody finds a closed door."""
        for node in nodes_of(record):
            hands.unnft(node, table(record["id"]))
            processes.kill(hands.launched(node, record["id"]))


def table(fault: str) -> str:
    return f"ip fault_{fault.replace('-', '_')}"


def redirect(fault: str, address: str, port: int, there: int) -> str:
    """nft rules that lead new connections to address:port, also those of the node itself, to the port `there`.

    Only what begins with a SYN: a connection that the kernel had not followed so far must not be led astray.
    """
    name = table(fault)
    match = f"ip daddr {address} tcp dport {port} tcp flags & (fin|syn|rst|ack) == syn counter redirect to :{there}"
    return (
        f"add table {name}\ndelete table {name}\nadd table {name}\n"
        f"add chain {name} from-outside {{ type nat hook prerouting priority -100; }}\n"
        f"add chain {name} from-inside {{ type nat hook output priority -100; }}\n"
        f"add rule {name} from-outside {match}\n"
        f"add rule {name} from-inside {match}\n"
    )


def port_of(plan: Plan, program: str) -> int:
    """The port of a program or service: "nova-metadata", "nova-api" or "nova", "swift-proxy".

    Raises InputError drill.option for one that has none.
    """
    for service, spec in plan.specs.items():
        for port in spec.ports:
            names = {service, f"{service}-api", f"{service}-proxy"} if port is spec.ports[0] else set()
            if plan.has(service) and program in names | {f"{service}-{port.name}", port.name}:
                return port.number
    raise InputError("drill.option", f"no port of {program or 'an unnamed program'} is known; say program, or port")


def look(address: str, port: int, seconds: float) -> str:
    """Which way of lying the answer to a request shows; "" for a true answer, or none."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        sign = answer.getheader(SIGN, "")
        return sign if sign and _seen(answer) == sign else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _seen(answer: http.client.HTTPResponse) -> str:
    """The same by what can be seen of it, without trusting what it says of itself."""
    try:
        body = answer.read()
    except http.client.IncompleteRead:
        return "cut"
    except TimeoutError:
        return "stall"
    if answer.status >= 500:
        return "500"
    try:
        json.loads(body)
    except ValueError:
        return "broken-body"
    return "other-body"
