"""The guard of Keepalived: whenever it is dead or hung, its virtual addresses go first, then it is started again."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from outlast.errors import OutlastError
from outlast.node.guard.check import check_router
from outlast.node.guard.decide import Action, RouterView, router_action, router_limits
from outlast.node.guard.doors import Bell
from outlast.node.guard.fence import Fence
from outlast.node.guard.journal import Journal
from outlast.node.guard.loop import Loop, favour
from outlast.node.guard.netlink import remove_address
from outlast.node.guard.process import Child, Pulse, adopt, children_of, prefer, pulse, spawn, state_of
from outlast.node.guard.sessions import reset_connections
from outlast.node.guard.settings import Instance, RouterSettings, read_router

PUBLISH_EVERY = 1.0
PASSING = ("MASTER_RX_LOWER_PRI", "MASTER_PRIORITY", "BACKUP_PRIORITY")
"""Written while the state stays what it was, the first at every advert of another master."""
STOPPED, ENDED = ("T", "t"), ("", "Z", "X")
_LINE = re.compile(r'INSTANCE "([^"]+)" ([A-Z_]+)')


def parse_fifo(text: str) -> list[tuple[str, str]]:
    """(instance, state) for each whole line that Keepalived wrote: MASTER, BACKUP, FAULT, STOP, …"""
    return [(match[1], match[2]) for match in map(_LINE.match, text.splitlines()) if match]


class RouterGuard:
    """One Keepalived (a parent and its VRRP process) and its virtual addresses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: RouterSettings = read_router(path)
        # By way of the link `code`, which a roll-out turns over: then this leads elsewhere.
        self.code = os.path.realpath(__file__)
        self.limits = router_limits(self.settings.advert)
        self.journal = Journal(Path(self.settings.state), self.settings.name)
        self.loop = Loop()
        self.child: Child | None = None
        self.vrrp: Child | None = None
        self.seen = Pulse("", 0, 0, 0)
        self.view = RouterView(now=time.monotonic(), alive=False)
        self.started = 0.0
        self.instances: dict[str, dict[str, object]] = {}
        self.starts = self.reloads = 0
        self.reason = self.reload_sentence = ""
        self.reload_ok, self.outdated = True, False
        self.fence = Fence(self.journal, self.settings.networks, self.settings.quorum, leaving=self._leaving)
        self.bell = Bell(Path(self.settings.state))
        self._published = 0.0
        self._fifo = -1
        self._text = ""

    def run(self) -> int:
        """Guard until SIGTERM; the exit status is 0."""
        favour()
        self._open_fifo()
        self._begin()
        while not self._told_to_stop():
            self._act(router_action(self._look(), self.limits))
            self._fenced()
            if time.monotonic() - self._published > PUBLISH_EVERY:
                self._publish()
            late = self.loop.turn(self.limits.tick if self.view.alive else min(self.limits.tick, 0.02))
            if late > 2 * self.limits.tick:
                self._set(still=0)
            if self.outdated:
                self.journal.event("guard-replaced", "new code is here: the next guard takes over")
                return 0
        self._stop()
        return 0

    def _fenced(self) -> None:
        """Keepalived follows the track files by itself; where it did not, its addresses go first and then itself."""
        if self.fence.turn():
            self._publish()
        doubted, shaky = self.fence.doubted(), self.view.stopped > 0
        self.bell.say(frozenset(item.address for item in self._held() if shaky or doubted & set(item.networks)))
        lost = frozenset(self.fence.overdue())
        late = tuple(item for item in self.settings.instances if lost & set(item.networks))
        if self._remove_addresses(late) and self.child:
            self.journal.event("guard-kill", "keepalived did not give up its addresses: killing it")
            self._ended("keepalived did not give up its addresses")

    def _held(self) -> list[Instance]:
        """Whose addresses are here, by what Keepalived said last."""
        return [one for one in self.settings.instances if self.instances.get(one.name, {}).get("state") == "MASTER"]

    def _begin(self) -> None:
        last = self.journal.last()
        self.starts, self.reloads = int(last.get("starts", 0)), int(last.get("reloads", 0))
        orphan = adopt(last.get("child_pid"), last.get("child_born"))
        if orphan is None:
            self._remove_addresses(self.settings.instances)
            return
        self.instances = dict(last.get("instances") or {})
        self._own(orphan)
        self.journal.event("guard-adopted", f"took over process {orphan.pid}")

    def _open_fifo(self) -> None:
        """Made before Keepalived starts; opened for both directions so that it never ends."""
        path = Path(self.settings.fifo)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_fifo():
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.loop.watch(self._fifo, self._heard)

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            self._text += os.read(self._fifo, 65536).decode(errors="replace")
        whole, newline, self._text = self._text.rpartition("\n")
        now = round(time.time(), 3)
        for name, state in parse_fifo(whole + newline):
            if state in PASSING:
                continue
            self.instances[name] = {"state": state, "since": now}
            self.journal.event("vrrp-state", f"instance {name} is {state}", instance=name, state=state)
        self._publish()

    def _own(self, child: Child) -> None:
        self.child, self.started = child, time.monotonic()
        self.loop.watch(child.pidfd, self._ended)
        self.view = RouterView(now=self.started, alive=True, age=0.0, quick_deaths=self.view.quick_deaths)

    def _set(self, **changes: Any) -> None:
        self.view = replace(self.view, **changes)

    def _find_vrrp(self) -> None:
        """Keepalived's VRRP process is the only child of its parent that this configuration makes."""
        if self.child is None or self.vrrp is not None:
            return
        for pid in children_of(self.child.pid):
            with suppress(OSError):
                self.vrrp = Child(pid)
                self.loop.watch(self.vrrp.pidfd, self._ended)
                prefer(pid, self.settings.rt_priority)
                return

    def _look(self) -> RouterView:
        """Count ticks without a sign of life: a healthy VRRP process wakes with each advert that it sends or hears."""
        self._find_vrrp()
        now = time.monotonic()
        if self.child is None or self.vrrp is None:
            self._set(now=now, alive=self.child is not None, still=0, stopped=0, age=now - self.started)
            return self.view
        seen, view = pulse(self.vrrp.pid), self.view
        still = view.still + 1 if seen.sleeps == self.seen.sleeps else 0
        stopped = view.stopped + 1 if seen.state in STOPPED else 0
        parent = view.parent_stopped + 1 if state_of(self.child.pid) in STOPPED else 0
        self.seen = seen
        age = now - self.started
        quick = 0 if age > self.limits.grace else view.quick_deaths
        states = {item.get("state") for item in self.instances.values()}
        self._set(now=now, alive=True, sends="MASTER" in states, hears="BACKUP" in states, still=still, stopped=stopped)
        self._set(parent_stopped=parent, age=age, quick_deaths=quick)
        return self.view

    def _act(self, action: Action) -> None:
        if action.kind == "start":
            self._start(action.reason)
        elif action.kind == "kill":
            self.journal.event("guard-kill", f"{action.reason}: removing its addresses and killing it")
            if self.view.stopped:
                # New connections are put off since the first sign, the peers take over an advert later at the earliest:
                # what is under way has so long to end.
                time.sleep(self.limits.tick)
            self._ended(action.reason)
        elif action.kind == "resume" and self.child:
            self.journal.event("guard-resume", action.reason)
            self.child.send(signal.SIGCONT)
            self._set(parent_stopped=0)

    def _start(self, reason: str) -> None:
        run, settings = Path(self.settings.run), self.settings
        run.mkdir(parents=True, exist_ok=True)
        argv = (
            settings.binary, "--dont-fork", "--dont-respawn", "--vrrp", "--log-console", "--no-syslog",
            "-f", settings.file, "-p", str(run / "keepalived.pid"), "-r", str(run / "vrrp.pid"),
        )  # fmt: skip
        self.starts += 1
        self.instances = {}
        try:
            self._own(spawn(argv, os.environ))
        except OSError as error:
            self._set(alive=False, died_at=time.monotonic(), quick_deaths=self.view.quick_deaths + 1)
            self.journal.event("guard-start", f"cannot start {settings.binary}: {error}")
            return
        assert self.child is not None
        self.journal.event("guard-start", f"{reason}: started process {self.child.pid}", pid=self.child.pid)
        self._publish()

    def _ended(self, reason: str = "") -> None:
        """Parent or VRRP process is dead, or must be: addresses first, then the rest of its group."""
        child, vrrp, now = self.child, self.vrrp, time.monotonic()
        if child is None:
            return
        self._remove_addresses(self.settings.instances)
        how = "the VRRP process ended" if state_of(child.pid) not in ENDED else f"process {child.pid} ended"
        for process in (vrrp, child):
            if process is not None:
                self.loop.forget(process.pidfd)
                process.kill_group()
        # Until both are surely dead, one of them could have added an address again.
        until = now + 0.5
        while not all(state_of(item.pid) in ENDED for item in (vrrp, child) if item) and time.monotonic() < until:
            time.sleep(0.001)
        self._remove_addresses(self.settings.instances)
        for process in (vrrp, child):
            if process is not None:
                process.reap()
                process.close()
        self.child = self.vrrp = None
        self.reason = reason or how
        age = now - self.started
        quick = self.view.quick_deaths + 1 if age < self.limits.grace else 0
        self.view = RouterView(now=now, alive=False, died_at=now, quick_deaths=quick)
        self.instances = {
            item.name: {"state": "DOWN", "since": round(time.time(), 3)} for item in self.settings.instances
        }
        self.journal.event("guard-died", self.reason)

    def _leaving(self, network: str) -> None:
        """Keepalived is about to be told that the VIPs of this network must go."""
        self._reset(tuple(item for item in self.settings.instances if network in item.networks))

    def _reset(self, instances: tuple[Instance, ...]) -> None:
        """Whoever is connected to the addresses hears it now: afterwards nothing can be sent in their name."""
        addresses = [item.address for item in instances]
        try:
            count = reset_connections(addresses) if addresses else 0
        except OSError as error:
            # Without it clients wait as long as they like; the addresses go all the same.
            self.journal.event("guard-sessions", f"connections to {', '.join(addresses)} cannot be reset: {error}")
            return
        if count:
            self.journal.event("guard-sessions", f"reset {count} connections before {', '.join(addresses)} leave")

    def _remove_addresses(self, instances: tuple[Instance, ...]) -> int:
        """Take them off the node; how many were still there."""
        count = 0
        self._reset(instances)
        for item in instances:
            try:
                removed = remove_address(item.address, item.prefix, item.interface)
            except OSError as error:
                self.journal.event("guard-address", str(error))
                continue
            if removed:
                count += 1
                self.journal.event("guard-address", f"removed {item.address} from {item.interface}")
        return count

    def _publish(self) -> None:
        self._published = time.monotonic()
        child = self.child
        self.journal.publish({
            "child_pid": child.pid if child else None, "child_born": child.born if child else None,
            "starts": self.starts, "reloads": self.reloads, "reload_ok": self.reload_ok,
            "reload_sentence": self.reload_sentence, "reason": self.reason, "serving": child is not None,
            "instances": self.instances, "networks": self.fence.published(),
        })  # fmt: skip

    def _told_to_stop(self) -> bool:
        told, self.loop.signals = self.loop.signals, []
        if signal.SIGTERM in told or signal.SIGINT in told:
            return True
        if signal.SIGHUP in told:
            self._reload()
            # The supervisor starts a guard again that left; it adopts Keepalived, whose addresses stay.
            self.outdated = self.reload_ok and os.path.realpath(__file__) != self.code
        return False

    def _reload(self) -> None:
        """Hand the new file to the running Keepalived (its VIPs stay where they are), unless it would be refused."""
        self.reload_sentence = self._try_reload()
        self.reload_ok = not self.reload_sentence
        self.reloads += 1
        code = "guard-reload" if self.reload_ok else "guard-reload-refused"
        self.journal.event(code, self.reload_sentence or "keepalived read its file again")
        self._publish()

    def _try_reload(self) -> str:
        try:
            settings = read_router(self.path)
        except OutlastError as error:
            return str(error)
        if complaints := check_router(settings):
            return "; ".join(complaints)
        gone = tuple(item for item in self.settings.instances if item not in settings.instances)
        self.settings, self.limits = settings, router_limits(settings.advert)
        self.fence.adopt(settings.networks, settings.quorum)
        kept = {item.name for item in settings.instances}
        self.instances = {name: seen for name, seen in self.instances.items() if name in kept}
        if self.child:
            self.child.send(signal.SIGHUP)
            time.sleep(min(0.2, settings.advert))
        self._remove_addresses(gone)
        return ""

    def _stop(self) -> None:
        """Keepalived says goodbye to its peers (priority 0), so they take over at once."""
        if self.child:
            self.loop.forget(self.child.pidfd)
            if self.vrrp:
                self.loop.forget(self.vrrp.pidfd)
            self.child.send(signal.SIGTERM)
            self.child.send(signal.SIGCONT)
            until = time.monotonic() + self.settings.stop_seconds
            while time.monotonic() < until and state_of(self.child.pid) not in ("", "Z"):
                time.sleep(0.02)
            self.child.kill_group()
            self.child.reap()
            self.child = None
        self._remove_addresses(self.settings.instances)
        self.instances = {}
        self.reason = "stopped"
        self.journal.event("guard-stopped", "ended on request")
        self._publish()
