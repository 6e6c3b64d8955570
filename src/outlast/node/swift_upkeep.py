"""All of Swift's maintenance in one process: `python -m outlast.node.swift_upkeep PAUSE [DIRECTORY]`.

Runs in OpenStack's environment. Each round runs Swift's own daemons once, one after the other, then pauses (seconds).
Replication and postponed updates belong to every round; audits and the reaper to the first round of every hour.
A daemon that raises is reported and tried again in the next round; it stops none of the others.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any

from outlast.node.swift_durable import make_durable

HOUR = 3600.0


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
    while True:
        for duty in due(last, time.monotonic()):
            run(duty, daemons[duty.section])
            last[duty.section] = time.monotonic()
        time.sleep(pause)


if __name__ == "__main__":
    main()
