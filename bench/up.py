"""`make bench-up`: how long a cluster takes to come up, and what it costs at rest. Prints a table; judges nothing.

Brings a lab of its own up (examples/lab.yaml under the name "bench"), measures, and takes it down. With --image the
node image is built anew into a temporary cache first (the first-time figure; needs the packages' mirrors).

Coming up is processor time, and cores differ. So a fixed piece of work (outlast.drill.pace) is timed before and after,
and each figure is also given divided by how much longer than on the reference it took: what cores of the reference
would have needed, were it processor time alone. Downloads, disks and timers are in it too, so that is an estimate; the
figure is the one in the first column.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """A figure beside its target. `scales`: it is made of processor time."""

    what: str
    figure: float
    unit: str
    target: str
    digits: int = 1
    scales: bool = True

    def text(self, slower: float) -> str:
        scaled = f"{self.figure / slower:.{self.digits}f} {self.unit}" if self.scales else ""
        return f"{self.what:42} {self.figure:>9.{self.digits}f} {self.unit:4} {scaled:>14}   target {self.target}"


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
    from outlast.drill import pace

    rows: list[Row] = []
    paces = [pace.loop()]
    if order.image:
        rows.append(Row("node image, first time", first_image(), "s", "≤ 150 s"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.yaml"
        file.write_text((HERE / "examples/lab.yaml").read_text().replace("cluster: lab", "cluster: bench"))
        try:
            measure(file, rows, order.idle)
        finally:
            outlast(file, "down")
    paces.append(pace.loop())
    slower = sum(paces) / len(paces) / pace.REFERENCE
    print(f"{os.cpu_count()} cores, each takes {slower:.1f} times as long as the reference for the same work")
    print(f"{'':42} {'measured':>14} {'by that pace':>14}")
    for row in rows:
        print(row.text(slower))


def measure(file: Path, rows: list[Row], idle: float) -> None:
    begun = time.monotonic()
    report = json.loads(outlast(file, "up", "--json"))
    took = time.monotonic() - begun
    token = report["phases"].get("lab", 0.0) + report["milestones"]["token through the VIP"]
    rows.append(Row("up: image to a token through the VIP", token, "s", "≤ 45 s"))
    rows.append(Row("up: to all APIs and computes", took, "s", "≤ 80 s"))
    steps = json.loads(outlast(file, "demo", "--json"))
    ping = next(step["at"] for step in steps if step["step"] == "ping answered")
    rows.append(Row("demo: to ping on the floating address", ping, "s", "≤ 20 s"))
    begun = time.monotonic()
    again = json.loads(outlast(file, "up", "--json"))
    rows.append(Row("second up, no change", time.monotonic() - begun, "s", "≤ 10 s"))
    if again["changed"]:
        sys.exit("the second up changed something")
    outlast(file, "demo", "--clean")
    time.sleep(10)
    everything, busiest = idle_cpu(file, idle)
    rows.append(Row("at rest, of one core", 100 * everything, "%", "≤ 40 %"))
    rows.append(Row("busiest agent at rest, of one core", 100 * busiest, "%", "≤ 2 %"))
    largest = max(pss_mib([folder]) for folder in agents(processes(file)))
    rows.append(Row("largest agent's memory (PSS)", largest, "MiB", "≤ 80 MiB", 0, scales=False))
    whole = pss_mib(processes(file)) / 1024
    rows.append(Row("memory of the whole lab (PSS)", whole, "GiB", "≤ 9 GiB", 2, scales=False))


if __name__ == "__main__":
    main()
