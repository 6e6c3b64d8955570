"""`outlast demo`: a first server, reached from outside, with the time of each step."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from outlast.errors import InputError, RolloutError
from outlast.pipeline.client import client_node, credentials
from outlast.pipeline.target import Target

SCRIPT = (Path(__file__).parent / "scripts" / "demo.py").read_text()
GUEST = "/usr/share/outlast/guest"

DRILLS = ("drill-1", "drill-2")
"""Servers of drills (pipeline/tenants.py): they live on the demo's networks, and go with them."""

Told = dict[str, object]
Action = Literal["run", "second", "forget", "clean"]


async def demo(
    target: Target,
    told: Callable[[Told], None],
    *,
    action: Action = "run",
    server: str = "demo-1",
    second: str = "",
    seconds: float = 120,
) -> None:
    """Runs the demo, makes a second server, forgets one, or removes all; `told` gets every step with its seconds.

    Raises RolloutError where a step fails.
    """
    external = target.plan.networks.get("external")
    if external is None or external.pool is None:
        raise InputError("demo.no-external", f"{target.path} has no external network with a pool of floating addresses")
    order = {
        "auth": dict(credentials(target)),
        "action": action,
        "name": "demo",
        "server": server,
        "second": second,
        "ours": list(DRILLS),
        "guest": GUEST,
        "cidr": external.cidr,
        "gateway": external.gateway,
        "pool": list(external.pool),
        "seconds": seconds,
    }
    last: Told = {}
    async for line in target.lines(client_node(target), ("/opt/openstack/bin/python", "-c", SCRIPT), json.dumps(order)):
        try:
            last = json.loads(line)
        except ValueError:
            sys.stderr.write(line + "\n")
            continue
        told(last)
        if last.get("step") == "failed":
            raise RolloutError("demo.failed", str(last.get("sentence")))
    if not last:
        raise RolloutError("demo.failed", "the demo said nothing; is the cluster up? See: outlast status")
