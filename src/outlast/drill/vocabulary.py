"""The words of scenario files: verbs with their options, targets, fault classes, figures that may have a budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Option:
    """What a verb may be told. low, high: limits of a number, both allowed."""

    kind: Literal["name", "choice", "number", "count", "yes-no", "groups", "target"]
    about: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verb:
    """One kind of fault. `required` and `optional` name options."""

    about: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaultClass:
    """A row of the scorecard. settle: seconds that redundancy usually takes, for the estimate of `drill list`."""

    about: str
    settle: float


NETWORKS = ("management", "control-data", "tunnel", "external")
WAYS = ("500", "broken-body", "other-body", "cut", "stall")
FILES = ("grastate", "rabbitmq", "ovn-nb", "ovn-sb")

OPTIONS: Mapping[str, Option] = {
    "program": Option("name", "Program of the node's supervisor, such as nova-api."),
    "one-worker": Option("yes-no", "Only one process of the program, not its whole group."),
    "service": Option("name", "Service as in `outlast plan`, such as nova."),
    "way": Option("choice", "How the answer is wrong.", choices=WAYS),
    "network": Option("choice", "Which network.", choices=NETWORKS),
    "groups": Option("groups", "Lists of targets; only nodes of one list hear each other."),
    "alone": Option("target", "The target that is cut off from all others."),
    "one-way": Option("choice", "out: it hears the others but is not heard; in: the reverse.", choices=("out", "in")),
    "percent": Option("number", "Share in percent: of packets, or of all processors.", 0.1, 100),
    "seconds": Option("number", "Seconds: the delay of every packet (slow).", 0.001, 30),
    "period": Option("number", "Seconds from one change to the next.", 0.1, 600),
    "count": Option("count", "How often, or how many at once.", 1, 100),
    "stagger": Option("number", "Seconds between one node and the next.", 0, 600),
    "free-mib": Option("count", "MiB left free on the node's volume.", 0, 100_000),
    "file": Option("choice", "What is gone.", choices=FILES),
    "keep-off": Option("yes-no", "The undo leaves these nodes off; they return after the verdict's times are taken."),
}

VERBS: Mapping[str, Verb] = {
    "kill": Verb("SIGKILL to a program's whole process group.", ("program",), ("one-worker",)),
    "pause": Verb("SIGSTOP to a program's whole process group: it hangs.", ("program",), ("one-worker",)),
    "answer-wrong": Verb("The service's API on that node answers wrongly.", ("service", "way")),
    "link-down": Verb("The node's port on a network loses its carrier.", ("network",)),
    "drop": Verb("The node's packets on a network vanish; its port stays up.", ("network",), ("one-way",)),
    "flap": Verb("The node's port goes down and up, `count` times.", ("network",), ("period", "count")),
    "lose": Verb("A share of the node's packets is lost.", ("network", "percent")),
    "slow": Verb("The node's packets are late.", ("network", "seconds")),
    "partition": Verb(
        "Nodes no longer hear each other; on all networks, unless one is named.",
        (),
        (
            "alone",
            "groups",
            "network",
            "one-way",
        ),
    ),
    "poweroff": Verb("Power cut: what was not synced to disk is lost.", (), ("stagger", "keep-off")),
    "reboot": Verb("Graceful: the node shuts down in order and starts again.", (), ("stagger",)),
    "fill": Verb("The node's volume is filled up.", (), ("free-mib",)),
    "stop-disk-writes": Verb("Writes to the node's volume no longer end."),
    "damage": Verb(
        "A member's state is gone: the program is stopped, its data removed, the program started.", ("file",)
    ),
    "overload-cpu": Verb("Busy loops on the node.", (), ("percent", "count")),
    "overload-disk": Verb("Synced writes without pause on the node's volume.", (), ("count",)),
    "restart": Verb(
        "Every program of the node, or those of one service, one after the other.",
        (),
        (
            "service",
            "program",
            "period",
            "stagger",
        ),
    ),
    "stop": Verb(
        "Graceful: the named program is told to end, or the node to shut down.",
        (),
        (
            "program",
            "stagger",
            "keep-off",
        ),
    ),
}

TARGETS: Mapping[str, str] = {
    "vip-holder": "The node that carries the external VIP.",
    "writer": "The node whose Galera member takes all writes.",
    "leader-of:SERVICE": "The leader of a service, such as leader-of:rabbitmq.",
    "node:NAME": "That node.",
    "one": "One controller; with `program` or `service`, one that runs it.",
    "other": "A controller that is neither VIP holder nor writer nor a leader.",
    "minority": "As many controllers as may fail: one of three, two of five.",
    "majority": "One controller more than a minority.",
    "all": "All controllers; with `program`, every node that runs it.",
    "compute-with:vm": "The compute node that runs a drill's server.",
}

# Whose leader may be asked for: what elects one, and the gateway chassis of the drill's router.
LEADERS = ("rabbitmq", "ovn-nb", "ovn-sb", "ovn-northd", "zookeeper", "gateway")
_PLAIN = frozenset(name for name in TARGETS if ":" not in name)
_NAMED = re.compile(r"(node|compute-with):[a-z][a-z0-9-]{0,30}")

CLASSES: Mapping[str, FaultClass] = {
    "api-kill": FaultClass("An API process is killed", 6),
    "api-hang": FaultClass("An API process hangs", 10),
    "api-wrong": FaultClass("An API answers wrongly", 10),
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
    "node-power": FaultClass("A node loses power", 45),
    "nodes-power": FaultClass("Several nodes lose power, fewer than a majority", 60),
    "all-power": FaultClass("All controllers lose power or are stopped", 90),
    "reboot": FaultClass("A node is rebooted in order", 60),
    "link": FaultClass("A node loses a network", 30),
    "partition": FaultClass("The network is split", 40),
    "network-quality": FaultClass("Packets are lost or late", 5),
    "disk": FaultClass("A disk is full or no longer writes", 30),
    "overload": FaultClass("A node is overloaded", 10),
    "damage": FaultClass("A member's state is gone", 40),
    "rolling": FaultClass("Everything is restarted, one after the other", 60),
    "controllers-down": FaultClass("All controllers are down while tenants talk", 90),
}

BUDGETS: Mapping[str, str] = {
    "new-failed": "Requests that were sent after the fault took effect, and failed.",
    "failed": "Requests that failed at all, those in flight included.",
    "lost": "Things that were acknowledged and are gone.",
    "duplicated": "Things that are there twice.",
    "stall": "Longest time that one request took, seconds.",
    "detect": "From the fault to the first event about it, seconds.",
    "mask": "From the fault to good answers of the service hit worst, seconds.",
    "repair": "From the fault until what broke runs again, seconds.",
    "redundancy": "From the fault until every member is back, seconds.",
    "stream-lost": "Packets of tenants that were lost.",
    "stream-gap": "Longest gap in a tenant's stream, seconds.",
    "p99-ratio": "99th percentile of latency, as a multiple of that before the fault.",
    "owners": "Longest time in which a VIP had two owners, seconds.",
}

NEEDS: Mapping[str, str] = {
    "controllers": "Nodes that run API services.",
    "computes": "Compute nodes.",
    "gateways": "Nodes with the role network.",
    "endpoints": "Nodes that may hold a VIP.",
}


def is_target(text: str) -> bool:
    """Whether the text describes a target."""
    if text in _PLAIN or _NAMED.fullmatch(text):
        return True
    kind, _, who = text.partition(":")
    return kind == "leader-of" and who in LEADERS
