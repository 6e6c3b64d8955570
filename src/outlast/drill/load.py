"""The instruments of a running drill: one process per place from which clients speak, each in a node's network."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outlast.errors import MachineError

READY_SECONDS = 60.0
_MODULE = ("-m", "outlast.drill.instrument")


@dataclass(frozen=True)
class Place:
    """Where one instrument runs: a node, the path of its network namespace, and its order (instrument.order)."""

    node: str
    namespace: Path
    order: Mapping[str, Any]


class Instrument:
    """One process of the load."""

    def __init__(self, place: Place, complaints: Path, tell: Callable[[str], None]) -> None:
        self.place = place
        self.lines: list[dict[str, Any]] = []
        self._tell = tell
        self._news = threading.Condition()
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise MachineError("lab.tool-missing", "nsenter is not installed on this machine")
        with complaints.open("ab") as file:
            self.process = subprocess.Popen(
                [nsenter, f"--net={place.namespace}", sys.executable, *_MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(place.order).encode() + b"\n")
        self.process.stdin.flush()
        self._reader = threading.Thread(target=self._read, name=f"load-{place.node}", daemon=True)
        self._reader.start()

    def await_line(self, key: str, seconds: float) -> dict[str, Any]:
        """The first line that has the key. Raises MachineError drill.load when it ends or does not come in time."""
        end = time.monotonic() + seconds
        with self._news:
            while True:
                for line in self.lines:
                    if key in line:
                        return line
                if not self._reader.is_alive() or time.monotonic() > end:
                    problems = "; ".join(str(line["problem"]) for line in self.lines if "problem" in line)
                    raise MachineError("drill.load", f"the load in {self.place.node} did not begin: {problems or '?'}")
                self._news.wait(0.2)

    def stop(self, seconds: float) -> Mapping[str, float]:
        """No new requests; the meter when those in flight are over. Empty where it said none."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self._close()
        last = self.lines[-1] if self.lines else {}
        return {key: float(value) for key, value in last.items() if key != "problem"} if "requests" in last else {}

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close()

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for raw in self.process.stdout:
                with contextlib.suppress(ValueError):
                    line = json.loads(raw)
                    with self._news:
                        self.lines.append(line)
                        self._news.notify_all()
                    if "problem" in line:
                        self._tell(f"load in {self.place.node}: {line['problem']}")
        with self._news:
            self._news.notify_all()


class Loads:
    """All instruments of a drill, started and stopped together."""

    def __init__(self, places: Sequence[Place], folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell
        self.places = tuple(places)
        self.running: list[Instrument] = []

    def start(self) -> None:
        """Returns when all of them send. Raises MachineError drill.load; none is left running then."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            for place in self.places:
                self.running.append(Instrument(place, self._folder / "instrument.log", self._tell))
            for instrument in self.running:
                instrument.await_line("ready", READY_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self, seconds: float) -> dict[str, float]:
        """One meter of all: sums of requests and CPU, the worst lateness, the longest run time."""
        for instrument in self.running:
            if instrument.process.poll() is None:
                instrument.process.terminate()
        meters = [instrument.stop(seconds) for instrument in self.running]
        self.running = []
        return pooled(meters)

    def kill(self) -> None:
        for instrument in self.running:
            instrument.kill()
        self.running = []

    def clean(self, seconds: float) -> None:
        """Remove what the load made. What cannot be removed is told, no more."""
        for place in self.places:
            cleaner = Instrument(
                Place(place.node, place.namespace, {**place.order, "action": "clean"}),
                self._folder / "instrument.log",
                self._tell,
            )
            try:
                cleaner.await_line("removed", seconds)
            except MachineError as error:
                self._tell(f"not all of the load's things could be removed: {error.message}")
            finally:
                cleaner.kill()


def pooled(meters: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One meter of several. Sums of what adds up (requests, CPU), the worst of all else."""
    known = [meter for meter in meters if meter]
    keys = {key for meter in known for key in meter}
    added = {"requests", "cpu_seconds"}
    return {
        key: (sum if key in added else max)([meter[key] for meter in known if key in meter]) for key in sorted(keys)
    }
