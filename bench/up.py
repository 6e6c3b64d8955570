"""`make bench-up`: how long a cluster takes to come up, and what it costs at rest. Prints a table; judges nothing.

Brings a lab of its own up (examples/lab.yaml under the name "bench"), measures, and takes it down. With --image the
node image is built anew into a temporary cache first (the first-time figure; needs the packages' mirrors).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


def outlast(file: Path, *words: str) -> str:
    """Standard output of a verb; what it complains of is shown and ends the benchmark."""
    argv = [sys.executable, "-m", "outlast.cli.main", words[0], "-f", str(file), *words[1:]]
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}")
    return done.stdout


def processes(file: Path) -> list[Path]:
    """/proc folders of everything that runs in the lab's nodes."""
    from outlast.pipeline.target import open_target

    target = open_target(file)
    spaces = set()
    for node in target.plan.nodes:
        pid = target.lab.pid1(node.name)
        if pid:
            spaces.add(os.readlink(f"/proc/{pid}/ns/pid"))
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.readlink(folder / "ns/pid") in spaces:
                    found.append(folder)
            except OSError:
                continue
    return found


def agents(folders: list[Path]) -> list[Path]:
    """The agents among them, one per node."""
    found = []
    for folder in folders:
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:4] == [b"-m", b"outlast.node", b"agent"]:
            found.append(folder)
    return found


def pss_mib(folders: list[Path]) -> float:
    """Proportional set size of the processes, MiB: shared pages count once in the sum."""
    total = 0
    for folder in folders:
        try:
            text = (folder / "smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(folders: list[Path]) -> float:
    total = 0
    for folder in folders:
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(value) for value in fields[11:15])
    return total / TICKS


def idle_cpu(file: Path, seconds: float) -> tuple[float, float]:
    """Processor seconds per second over a time without any load: of everything in the lab, and of the busiest agent."""
    folders = processes(file)
    own = agents(folders)
    before, begun = cpu_seconds(folders), time.monotonic()
    each = {folder: cpu_seconds([folder]) for folder in own}
    time.sleep(seconds)
    took = time.monotonic() - begun
    busiest = max((cpu_seconds([folder]) - each[folder] for folder in own), default=0.0)
    return (cpu_seconds(processes(file)) - before) / took, busiest / took


def first_image() -> float:
    """Seconds to build the node image into an empty cache."""
    from outlast.lab.image import build
    from outlast.lab.image.recipe import load_recipe
    from outlast.services.registry import SPECS

    packages = [package for spec in SPECS.values() for package in spec.packages]
    with tempfile.TemporaryDirectory(dir=build.default_cache().parent, prefix="outlast-bench-") as folder:
        begun = time.monotonic()
        build.build(load_recipe(packages), Path(folder), progress=lambda sentence: None)
        return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", action="store_true", help="build the node image anew, too")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds over which the idle processor time is taken")
    order = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    if order.image:
        rows.append(("node image, first time", f"{first_image():.0f} s", "≤ 150 s"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text((HERE / "examples/lab.yaml").read_text().replace("cluster: lab", "cluster: bench"))
        try:
            measure(file, rows, order.idle)
        finally:
            outlast(file, "down")
    for what, figure, target in rows:
        print(f"{what:52} {figure:>12}   target {target}")


def measure(file: Path, rows: list[tuple[str, str, str]], idle: float) -> None:
    begun = time.monotonic()
    report = json.loads(outlast(file, "up", "--json"))
    took = time.monotonic() - begun
    before = report["phases"].get("lab", 0.0)
    milestones = report["milestones"]
    rows.append(
        ("up: image to a token through the VIP", f"{before + milestones['token through the VIP']:.1f} s", "≤ 45 s")
    )
    rows.append(("up: to all APIs and computes", f"{took:.1f} s", "≤ 80 s"))
    steps = json.loads(outlast(file, "demo", "--json"))
    ping = next(step["at"] for step in steps if step["step"] == "ping answered")
    rows.append(("demo: to ping on the floating address", f"{ping:.1f} s", "≤ 20 s"))
    begun = time.monotonic()
    again = json.loads(outlast(file, "up", "--json"))
    rows.append(("second up, no change", f"{time.monotonic() - begun:.1f} s", "≤ 10 s"))
    if again["changed"]:
        rows.append(("second up changed something", "yes", "no"))
    outlast(file, "demo", "--clean")
    time.sleep(10)
    everything, busiest = idle_cpu(file, idle)
    rows.append(("idle processor time, in cores", f"{100 * everything:.0f} %", "≤ 40 %"))
    rows.append(("busiest agent at rest, of a core", f"{100 * busiest:.1f} %", "≤ 2 %"))
    largest = max(pss_mib([folder]) for folder in agents(processes(file)))
    rows.append(("largest agent's memory (PSS)", f"{largest:.0f} MiB", "≤ 80 MiB"))
    rows.append(("memory of the whole lab (PSS)", f"{pss_mib(processes(file)) / 1024:.2f} GiB", "≤ 9 GiB"))


if __name__ == "__main__":
    main()
