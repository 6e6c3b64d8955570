"""What a run records of itself: the code, cluster and machine that its figures depend on."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from outlast.drill.scenario import Scenario
from outlast.drill.scenario_file import write
from outlast.pipeline.bundles import own_code
from outlast.pipeline.target import Target
from outlast.record.run import RunRecord


def record_of(target: Target, scenario: Scenario, run_id: str, seed: int) -> RunRecord:
    text = scenario.text or write(scenario)
    return RunRecord(
        id=run_id,
        scenario=scenario.name,
        text=text,
        profile=target.plan.timing.name,
        cluster=target.path.read_text(),
        commit=commit(),
        inputs=inputs(target, scenario),
        started=time.time(),
        seed=seed,
        machine=machine(),
        title=scenario.title,
        fault_class=scenario.fault_class,
        covers=scenario.covers,
        suites=scenario.suites,
    )


def inputs(target: Target, scenario: Scenario) -> str:
    """Digest of all that a scorecard row depends on: our code on nodes, cluster file, scenario, profile."""
    parts = (own_code().digest, target.path.read_text(), scenario.text or write(scenario), target.plan.timing.name)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def commit() -> str:
    """The commit of the code in use, "" outside a clone."""
    folder = Path(__file__).parent
    argv = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def machine() -> Mapping[str, str]:
    """What figures in seconds depend on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory.split()[1]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
    }
