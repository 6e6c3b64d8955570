"""How long a large cluster takes to load, plan and render, and how much memory: 5 controllers, 995 computes.

.venv/bin/python bench/plan_1000.py [--profile] [--json]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

COMPUTES = 995
TARGET_SECONDS, TARGET_MIB = 3.0, 400


def cluster_file() -> str:
    """The cluster file of the benchmark, as text."""
    controllers = [f"  c{n}: {{roles: [controller, network], domain: rack-{n}}}" for n in range(1, 6)]
    computes = [f"  k{n}: {{roles: [compute], domain: rack-{n % 20}}}" for n in range(1, COMPUTES + 1)]
    return "\n".join(
        [
            "cluster: large",
            "networks:",
            "  management: {cidr: 10.20.0.0/16}",
            "  control-data: {cidr: 10.21.0.0/16}",
            "  tunnel: {cidr: 10.22.0.0/16}",
            "  external: {cidr: 10.23.0.0/16, gateway: 10.23.0.1, pool: [10.23.100.0, 10.23.199.255]}",
            "vips:",
            "  external: {address: 10.20.255.250}",
            "  internal: {address: 10.21.255.250}",
            "nodes:",
            *controllers,
            *computes,
            "",
        ]
    )


def work() -> dict[str, float]:
    """Seconds of each stage in this very process, imports included, and its peak memory (MiB)."""
    begun = time.perf_counter()
    from outlast.model.loader import parse
    from outlast.plan.build import plan
    from outlast.render.tree import render_node
    from outlast.services.registry import DESCRIBE, SPECS

    marks = [("import", time.perf_counter())]
    cluster = parse(cluster_file(), "large.yaml", SPECS)
    marks.append(("load", time.perf_counter()))
    planned = plan(cluster, SPECS)
    marks.append(("plan", time.perf_counter()))
    trees = {node.name: render_node(planned, node.name, DESCRIBE) for node in planned.nodes}
    marks.append(("render", time.perf_counter()))
    assert len(trees) == COMPUTES + 5
    times = {}
    before = begun
    for name, at in marks:
        times[name] = at - before
        before = at
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**times, "total": before - begun, "peak_mib": peak}


def main(argv: list[str]) -> int:
    if "--profile" in argv:
        import cProfile

        cProfile.run("work()", sort="cumulative")
        return 0
    if "--inner" in argv:
        sys.stdout.write(json.dumps(work()))
        return 0
    # A process of its own: the peak of memory is a process's, and imports count.
    command = [sys.executable, str(Path(__file__)), "--inner"]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if "--json" in argv:
        sys.stdout.write(json.dumps(measured) + "\n")
    else:
        for name, value in measured.items():
            unit = "MiB" if name == "peak_mib" else "s"
            sys.stdout.write(f"{name:10} {value:8.2f} {unit}\n")
    good = measured["total"] <= TARGET_SECONDS and measured["peak_mib"] <= TARGET_MIB
    sys.stdout.write("" if good else f"MISSED: target is {TARGET_SECONDS:g} s and {TARGET_MIB} MiB\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
