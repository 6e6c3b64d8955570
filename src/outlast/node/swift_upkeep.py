"""All of Swift's maintenance in one process: `python -m outlast.node.swift_upkeep PAUSE [DIRECTORY]`.

Runs in OpenStack's environment. Each round runs Swift's own daemons once, one after the other, then pauses (seconds).
Replication and postponed updates belong to every round; audits and the reaper to the first round of every hour.
A daemon that raises is reported and tried again in the next round; it stops none of the others.

A round begins at once when a node comes back. What it missed is given to it by the others' replicators only; until then
its copy of a listing shows objects that were deleted meanwhile, and lacks new ones, to whoever happens to ask it.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from outlast.node.swift_durable import make_durable

HOUR = 3600.0
LOOK, PATIENCE = 1.0, 0.5
"""Seconds between two looks for the other nodes, and for which one may take to accept a connection."""

Place = tuple[str, int]
"""Address and port of a container server."""


@dataclass(frozen=True)
class Duty:
    """One of Swift's daemons: its class, file and section; `every`: seconds between two runs (0: each round)."""

    module: str
    daemon: str
    file: str
    section: str
    every: float = 0.0


DUTIES = (
    Duty("swift.account.replicator", "AccountReplicator", "account", "account-replicator"),
    Duty("swift.container.replicator", "ContainerReplicator", "container", "container-replicator"),
    Duty("swift.obj.replicator", "ObjectReplicator", "object", "object-replicator"),
    Duty("swift.container.updater", "ContainerUpdater", "container", "container-updater"),
    Duty("swift.obj.updater", "ObjectUpdater", "object", "object-updater"),
    Duty("swift.account.auditor", "AccountAuditor", "account", "account-auditor", HOUR),
    Duty("swift.container.auditor", "ContainerAuditor", "container", "container-auditor", HOUR),
    Duty("swift.obj.auditor", "ObjectAuditor", "object", "object-auditor", HOUR),
    Duty("swift.account.reaper", "AccountReaper", "account", "account-reaper", HOUR),
)


def due(last: dict[str, float], now: float) -> tuple[Duty, ...]:
    """Duties whose time has come (pure). `last`: section → when it ran; hourly ones start one hour after the start."""
    return tuple(duty for duty in DUTIES if now - last.get(duty.section, 0.0) >= duty.every)


def load(duty: Duty, directory: str) -> Any:
    """Swift's daemon, configured and logging to stderr."""
    from swift.common import utils  # type: ignore[import-not-found]

    path = os.path.join(directory, f"{duty.file}-server.conf")
    conf = utils.readconf(path, duty.section, log_name=duty.section)
    utils.get_logger(conf, duty.section, log_to_console=True, log_route=duty.section)
    return getattr(importlib.import_module(duty.module), duty.daemon)(conf)


def run(duty: Duty, daemon: Any) -> None:
    """One run of a daemon, whatever happens."""
    try:
        # The object auditor alone wants to be told its mode.
        daemon.run_once(mode="once") if duty.daemon == "ObjectAuditor" else daemon.run_once()
    except Exception:
        sys.stderr.write(f"{duty.section} failed:\n{traceback.format_exc()}")


def others(directory: str) -> frozenset[Place]:
    """Where the container servers of the other nodes are, by the ring."""
    from swift.common import ring, utils

    own = utils.readconf(os.path.join(directory, "container-server.conf"), "container-replicator").get("bind_ip")
    devices = ring.Ring(directory, ring_name="container").devs
    return frozenset((one["ip"], one["port"]) for one in devices if one and one["ip"] != own)


def away(places: Collection[Place]) -> frozenset[Place]:
    """Those where nobody accepts a connection."""
    found = set()
    for place in places:
        try:
            socket.create_connection(place, PATIENCE).close()
        except OSError:
            found.add(place)
    return frozenset(found)


def rest(pause: float, places: Collection[Place], missing: frozenset[Place]) -> frozenset[Place]:
    """Waits for `pause` seconds, or until one of the missing is back; who is away in the end."""
    until = time.monotonic() + pause
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(LOOK, left))
        now = away(places)
        back, missing = missing - now, now
        if back:
            sys.stderr.write(f"back: {', '.join(sorted(ip for ip, _ in back))}; a round begins\n")
            break
    return missing


def main() -> None:
    from swift.common import db, utils

    pause = float(sys.argv[1])
    directory = sys.argv[2] if len(sys.argv) > 2 else "/etc/swift"
    utils.monkey_patch()
    import eventlet  # type: ignore[import-not-found]

    eventlet.hubs.use_hub(utils.get_hub())
    utils.disable_fallocate()
    make_durable(db)
    daemons = {duty.section: load(duty, directory) for duty in DUTIES}
    last = {duty.section: time.monotonic() for duty in DUTIES}
    places = others(directory)
    missing = away(places)
    while True:
        for duty in due(last, time.monotonic()):
            run(duty, daemons[duty.section])
            last[duty.section] = time.monotonic()
        missing = rest(pause, places, missing)


if __name__ == "__main__":
    main()
