"""The words of scenario files: verbs with their options, targets, fault classes, figures that may have a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Option:
    """What a verb may be told. low, high: limits of a number, both allowed. many: several, with commas."""

    kind: Literal["name", "choice", "number", "count", "yes-no", "groups"]
    about: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Verb:
    """One kind of fault, with what it must and may be told."""

    about: str
    required: Mapping[str, Option] = field(default_factory=dict)
    optional: Mapping[str, Option] = field(default_factory=dict)

    @property
    def options(self) -> Mapping[str, Option]:
        return {**self.required, **self.optional}


@dataclass(frozen=True)
class FaultClass:
    """A row of the scorecard. settle: seconds that redundancy usually takes, for the estimate of `drill list`."""

    about: str
    settle: float


NETWORKS = ("management", "control-data", "tunnel", "external", "all")
WAYS = ("500", "broken-body", "other-body", "cut", "stall")
DAMAGES = ("galera-state", "galera-data", "rabbitmq-data", "ovn-nb", "ovn-sb", "zookeeper-data")

_BOTH, _SHAPES, _OTHERS = ("both", "out", "in"), ("sides", "each", "ring"), ("all", "controllers")
_PROGRAM = Option("name", "Program as in `outlast status`, such as nova-api; several with commas", many=True)
_ONE_WORKER = Option("yes-no", "Only one process below the program's main process")
_NETWORK = Option("choice", "One network, several with commas, or all", choices=NETWORKS, many=True)
_STAGGER = Option("number", "Seconds between one node and the next (0)", 0, 600)
_KEEP_OFF = Option("yes-no", "The undo leaves these nodes off; they return when the times have been taken")
_PATIENCE = Option("number", "Seconds until the plug is pulled after all (60)", 1, 600)
_AT_MOST = Option("number", "Seconds until it ends by itself", 0.1, 600)
_WORKERS = Option("count", "How many per node (2)", 1, 64)

VERBS: Mapping[str, Verb] = {
    "kill": Verb("SIGKILL to a program's whole process tree", {"program": _PROGRAM}, {"one-worker": _ONE_WORKER}),
    "stop": Verb("SIGTERM to a program's main process", {"program": _PROGRAM}),
    "pause": Verb(
        "SIGSTOP to a program's whole process tree: it hangs", {"program": _PROGRAM}, {"one-worker": _ONE_WORKER}
    ),
    "answer-wrong": Verb(
        "The node's port of a program answers wrongly",
        {
            "program": Option("name", "Program or service whose port it is, such as nova-api"),
            "way": Option("choice", "How the answer is wrong", choices=WAYS),
        },
        {"port": Option("count", "The port itself, where a program has several", 1, 65535), "seconds": _AT_MOST},
    ),
    "link-down": Verb("The node's port on a network loses its carrier", {"network": _NETWORK}),
    "drop": Verb("The node's packets on a network vanish; its port stays up", {"network": _NETWORK}),
    "flap": Verb(
        "The node's port on a network goes down and up",
        {"network": _NETWORK},
        {
            "period": Option("number", "Seconds of one down and up (2)", 0.1, 600),
            "count": Option("count", "How many times (5)", 1, 100),
        },
    ),
    "lose": Verb(
        "A share of the node's packets vanishes",
        {"percent": Option("number", "How many of a hundred, per direction", 0.1, 100)},
        {"network": _NETWORK},
    ),
    "slow": Verb(
        "The node's packets come late, in both directions; none is lost",
        {"delay": Option("number", "Seconds that each packet takes more, per direction", 0.001, 10)},
        {
            "network": _NETWORK,
            "jitter": Option("number", "Up to so many seconds more, by chance of each packet (0)", 0, 10),
        },
    ),
    "partition": Verb(
        "The target and all other nodes no longer hear each other",
        {},
        {
            "groups": Option("groups", "Lists of targets that are the sides, instead of a target against the rest"),
            "network": _NETWORK,
            "way": Option("choice", "out: what the target says is not heard; in: it hears nothing (both)", 0, 0, _BOTH),
            "shape": Option(
                "choice", "each: every target alone; ring: each hears another majority (sides)", 0, 0, _SHAPES
            ),
            "others": Option("choice", "controllers: clients and computes reach both sides (all)", 0, 0, _OTHERS),
        },
    ),
    "poweroff": Verb(
        "Power cut: what was not synced to disk is gone", {}, {"stagger": _STAGGER, "keep-off": _KEEP_OFF}
    ),
    "shutdown": Verb(
        "Every program is told to end, then the node is off",
        {},
        {"seconds": _PATIENCE, "stagger": _STAGGER, "keep-off": _KEEP_OFF},
    ),
    "reboot": Verb(
        "Shut down, then on again",
        {},
        {
            "seconds": _PATIENCE,
            "off": Option("number", "Seconds without power (1)", 0, 600),
            "rolling": Option("yes-no", "The next node only when the one before is on again"),
        },
    ),
    "fill": Verb("The node's volume is filled up", {}, {"free-mib": Option("count", "MiB left free (0)", 0, 100_000)}),
    "stop-disk-writes": Verb("Writes to the node's volume no longer end"),
    "damage": Verb(
        "A program's files are removed and it is killed: it starts without them",
        {"what": Option("choice", "Which files", choices=DAMAGES)},
    ),
    "overload-cpu": Verb("Busy loops on the node", {}, {"workers": _WORKERS, "seconds": _AT_MOST}),
    "overload-disk": Verb("Synced writes without pause on the node", {}, {"workers": _WORKERS, "seconds": _AT_MOST}),
    "restart": Verb(
        "Every program of the nodes, one after the other, each well before the next",
        {},
        {"program": _PROGRAM, "seconds": Option("number", "Longest wait for one program to be well (60)", 1, 600)},
    ),
    "nothing": Verb("No fault: what clients see anyway"),
}

TARGETS: Mapping[str, str] = {
    "vip-holder": "The node that carries the external VIP, else another VIP.",
    "vip-holder:VIP": "The node that carries that VIP, such as vip-holder:internal.",
    "writer": "The node whose Galera member takes all writes.",
    "leader-of:SERVICE": "The leader of a service, such as leader-of:rabbitmq.",
    "node:NAME": "That node.",
    "one": "A controller that is nothing special, if there is one.",
    "other": "A controller that neither holds a VIP nor is the writer, and leads nothing, if there is one.",
    "minority": "As many controllers as may fail: one of three, two of five.",
    "majority": "The controllers without that minority.",
    "all": "All controllers.",
    "any-compute": "One compute node.",
    "computes": "All compute nodes.",
    "compute-with:SERVER": "The compute node that runs that server.",
    "rest": "Only in `groups`: every node that no other group names.",
}

# Whose leader may be asked for: what elects one, and the gateway chassis of the drill's router.
LEADERS = ("rabbitmq", "ovn-nb", "ovn-sb", "ovn-northd", "zookeeper", "gateway")
_PLAIN = frozenset(name for name in TARGETS if ":" not in name and name != "rest")
_NAMED = re.compile(r"(node|vip-holder|compute-with):[A-Za-z][A-Za-z0-9._-]{0,60}")

CLASSES: Mapping[str, FaultClass] = {
    "control": FaultClass("Nothing is broken: the control", 0),
    "api-kill": FaultClass("An API process is killed", 6),
    "api-hang": FaultClass("An API process hangs", 10),
    "wrong-answer": FaultClass("An API answers wrongly", 10),
    "worker-kill": FaultClass("A worker of a controller is killed", 6),
    "worker-hang": FaultClass("A worker of a controller hangs", 15),
    "agent-kill": FaultClass("An agent of a compute node is killed", 6),
    "agent-hang": FaultClass("An agent of a compute node hangs", 15),
    "balancer": FaultClass("HAProxy is killed or hangs", 3),
    "vrrp": FaultClass("Keepalived is killed or hangs", 5),
    "database": FaultClass("A Galera member is killed, hangs, or is slow", 20),
    "broker": FaultClass("A RabbitMQ node is killed or hangs", 30),
    "cache": FaultClass("memcached is killed or hangs", 5),
    "coordination": FaultClass("ZooKeeper is killed or hangs", 10),
    "sdn": FaultClass("OVN or Open vSwitch is killed or hangs", 10),
    "watcher": FaultClass("What watches over the node is killed or hangs", 10),
    "node-power": FaultClass("A controller loses power", 45),
    "compute": FaultClass("A compute node loses power", 45),
    "nodes-power": FaultClass("Several nodes lose power, fewer than a majority", 60),
    "all-power": FaultClass("All controllers lose power or are stopped", 90),
    "reboot": FaultClass("A node is rebooted in order", 60),
    "network": FaultClass("A node loses a network", 30),
    "partition": FaultClass("The network is split", 40),
    "network-quality": FaultClass("Packets are lost or late", 5),
    "disk": FaultClass("A disk is full or no longer writes", 30),
    "overload": FaultClass("A node is overloaded", 10),
    "damage": FaultClass("A member's state is gone", 40),
    "maintenance": FaultClass("Everything is restarted, one after the other", 60),
    "controllers-down": FaultClass("All controllers are down while tenants talk", 90),
}

BUDGETS: Mapping[str, str] = {
    "new-failed": "Requests that were sent after the fault took effect, and failed.",
    "failed": "Requests that failed at all, those in flight included.",
    "in-flight-failed": "Requests that were in flight when the fault took effect, and failed.",
    "lost": "Things that were acknowledged and are gone.",
    "duplicated": "Things that are there twice.",
    "resurrected": "Things that were deleted and are there again.",
    "diverged": "Things about which the nodes disagree.",
    "unsafe": "Findings of any kind that may never happen.",
    "stall": "Longest time that one request to an API or the database took, seconds.",
    "message-stall": "Longest time that one message or call through RabbitMQ took, seconds.",
    "detect": "From the fault to the first event about it, seconds.",
    "mask": "From the fault to good answers of the service hit worst, seconds.",
    "repair": "From the fault until what broke runs again, seconds.",
    "redundancy": "From the fault until every member is back, seconds.",
    "stream-lost": "Packets of tenants that were lost.",
    "stream-gap": "Longest gap in a tenant's stream, seconds.",
    "p99-ratio": "99th percentile of latency, as a multiple of that before the fault.",
    "owners": "Longest time in which a VIP had two owners, seconds.",
    "no-owner": "Longest time in which a VIP had no owner, seconds.",
}

NEEDS: Mapping[str, str] = {
    "controllers": "Nodes that run API services.",
    "computes": "Compute nodes.",
    "gateways": "Nodes with the role network.",
    "endpoints": "Nodes that may hold a VIP.",
}


def is_target(text: str, in_group: bool = False) -> bool:
    """Whether the text describes a target."""
    if text in _PLAIN or (in_group and text == "rest") or _NAMED.fullmatch(text):
        return True
    kind, _, who = text.partition(":")
    return kind == "leader-of" and who in LEADERS
