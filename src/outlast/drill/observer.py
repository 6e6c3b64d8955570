"""Looks at the cluster all through a drill, past its agents and through them, and notes what changed and when.

Three looks: who carries the VIPs (the nodes' kernels), which servers the balancer in use has taken out (its admin
socket), and what the agents say together.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from outlast.drill.faults.facts import holders, running
from outlast.drill.faults.hands import Hands
from outlast.errors import OutlastError
from outlast.node.guard import departed
from outlast.node.guard.admin import ask
from outlast.observe.status import ClusterStatus, waiting, without
from outlast.record.run import Mark, RunFolder, Sample
from outlast.services.haproxy.service import ADMIN

HOLDERS_EVERY = 0.05
"""Seconds. Two owners may be seen for 0.3 s at most, a VIP away for half a second; a look costs 2 ms of processor."""

STATUS_EVERY = 0.5
BALANCER_EVERY = 0.1
_REMIND = 1.0


@dataclass(frozen=True, kw_only=True)
class Health:
    """What the agents together say at one moment: a status code ("ok", "degraded" …) and its sentence."""

    at: float
    code: str
    sentence: str


class Observer:
    """A thread for each look."""

    def __init__(self, hands: Hands, folder: RunFolder, look: Callable[[], ClusterStatus]) -> None:
        self._hands, self._folder, self._look = hands, folder, look
        self._apart: frozenset[str] = frozenset()
        self._seen: ClusterStatus | None = None
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch_holders, name="holders", daemon=True),
            threading.Thread(target=self._watch_health, name="health", daemon=True),
        ]
        if hands.plan.has("haproxy"):
            self._threads.append(threading.Thread(target=self._watch_balancer, name="balancer", daemon=True))
        self._lock = threading.Lock()
        self._health: list[Health] = []
        self._holders: Mapping[str, tuple[str, ...]] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(10)

    @property
    def health(self) -> tuple[Health, ...]:
        with self._lock:
            return tuple(self._health)

    def leave_out(self, nodes: Collection[str]) -> None:
        """From now on, health is that of the other nodes: these are off for good."""
        self._apart = frozenset(nodes)

    def waiting(self, nodes: Collection[str]) -> str:
        """Who says, by the last look, that it waits for exactly these nodes; "" where nobody does."""
        return waiting(self._seen, nodes) if self._seen else ""

    def _watch_holders(self) -> None:
        last: Sample | None = None
        while not self._end.is_set():
            at = time.monotonic()
            try:
                nodes = running(self._hands)
                off = tuple(node for node, pid1 in nodes.items() if pid1 is None)
                sample = Sample(at=at, holders=holders(self._hands, nodes), off=off)
            except (OutlastError, OSError):  # a node goes away while it is looked at
                self._end.wait(HOLDERS_EVERY)
                continue
            self._holders = sample.holders
            changed = last is None or (sample.holders, sample.off) != (last.holders, last.off)
            if last is None or changed or at - last.at > _REMIND:
                self._folder.append("samples.jsonl", [sample])
                last = sample
            self._end.wait(HOLDERS_EVERY)

    def _watch_balancer(self) -> None:
        out: frozenset[departed.Server] = frozenset()
        while not self._end.is_set():
            at = time.monotonic()
            try:
                now = self._taken_out()
            except (OutlastError, OSError, StopIteration):  # nobody holds a VIP, or its balancer does not answer
                self._end.wait(BALANCER_EVERY)
                continue
            changes = [("taken-out", one) for one in sorted(now - out)] + [
                ("put-back", one) for one in sorted(out - now)
            ]
            marks = [Mark(at=at, what=what, detail="/".join(server), wall=time.time()) for what, server in changes]
            if marks:
                self._folder.append("marks.jsonl", marks)
            out = now
            self._end.wait(BALANCER_EVERY)

    def _taken_out(self) -> frozenset[departed.Server]:
        holder = next(node for nodes in self._holders.values() for node in nodes)
        fd = self._hands.admin_socket(holder, ADMIN)
        try:
            return departed.parse(ask(f"/proc/self/fd/{fd}", departed.COMMAND))
        finally:
            os.close(fd)

    def _watch_health(self) -> None:
        while not self._end.is_set():
            code, sentence = self._ask()
            health = Health(at=time.monotonic(), code=code, sentence=sentence)
            with self._lock:
                changed = not self._health or self._health[-1].code != code or self._health[-1].sentence != sentence
                self._health.append(health)
            if changed:
                self._folder.append("health.jsonl", [health])
            self._end.wait(STATUS_EVERY)

    def _ask(self) -> tuple[str, str]:
        try:
            self._seen = seen = self._look()
        except (OutlastError, OSError) as error:
            return "unknown", str(error)
        return without(seen, self._apart) if self._apart else (seen.code, seen.sentence)


def well_since(health: tuple[Health, ...], after: float, steady: float, now: float) -> float | None:
    """When the cluster became well for good after a moment: the first "ok" that no other word follows.

    None while the last word is another one, or the "ok" is younger than `steady` seconds: agents judge by answers that
    are a few seconds old, so the first one may be from before the fault.
    """
    since: float | None = None
    for one in health:
        if one.at < after:
            continue
        if one.code != "ok":
            since = None
        elif since is None:
            since = one.at
    if since is None or now - since < steady:
        return None
    return since
