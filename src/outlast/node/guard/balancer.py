"""The guard of HAProxy: holds its sockets, restarts it at once, kills it when it hangs, reloads it seamlessly."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from outlast.errors import OutlastError
from outlast.node.guard import sockets, writers
from outlast.node.guard.check import check_balancer
from outlast.node.guard.decide import Action, BalancerView, balancer_action, balancer_fault
from outlast.node.guard.doors import Doors
from outlast.node.guard.heartbeat import Heartbeat
from outlast.node.guard.journal import Journal
from outlast.node.guard.loop import Loop, favour
from outlast.node.guard.process import Child, Pulse, adopt, pulse, spawn, state_of
from outlast.node.guard.servers import Servers
from outlast.node.guard.settings import BalancerSettings, read_balancer

TURN, QUICK_TURN, LATE = 0.1, 0.02, 0.2
PUBLISH_EVERY, WRITERS_EVERY, SERVERS_EVERY = 1.0, 1.0, 0.3


class BalancerGuard:
    """One HAProxy process, its sockets and its track file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings: BalancerSettings = read_balancer(path)
        # By way of the link `code`, which a roll-out turns over: then this leads elsewhere.
        self.code = os.path.realpath(__file__)
        self.journal = Journal(Path(self.settings.state), self.settings.name)
        self.loop = Loop()
        self.held: sockets.Sockets = {}
        self.doors = Doors(Path(self.settings.state))
        self.child: Child | None = None
        self.leaving: list[Child] = []
        self.heartbeat = Heartbeat(self.settings.alive)
        now = time.monotonic()
        self.view = BalancerView(now=now, alive=False, down_since=now)
        self.asked_pulse = Pulse("", 0, 0, 0)
        self.fault: bool | None = None
        self.starts = self.reloads = 0
        self.reason = self.reload_sentence = ""
        self.reload_ok, self.outdated = True, False
        self.writers: dict[str, str] = {}
        self.servers = Servers(self.journal)
        self._published = self._read_writers = self._read_servers = 0.0

    def run(self) -> int:
        """Guard until SIGTERM; the exit status is 0. Raises OSError when the sockets cannot be bound."""
        favour()
        self._begin()
        while not self._told_to_stop():
            action = balancer_action(self._look(), self.settings.limits)
            self._act(action)
            self._judge()
            self.doors.look(self.held)
            self._chores()
            late = self.loop.turn(TURN if self.view.answered else QUICK_TURN)
            if late > LATE:
                self._forgive(late)
            if self.outdated:
                self.journal.event("guard-replaced", "new code is here: the next guard takes over what this one holds")
                return 0
        self._stop()
        return 0

    def _begin(self) -> None:
        """Take over an orphan with its sockets, or bind them."""
        last = self.journal.last()
        self.writers = {str(name): str(server) for name, server in dict(last.get("writers") or {}).items()}
        self.servers = Servers(self.journal, map(str, last.get("out") or ()))
        self.starts, self.reloads = int(last.get("starts", 0)), int(last.get("reloads", 0))
        orphan = adopt(last.get("child_pid"), last.get("child_born"))
        have = sockets.take_over(orphan, self.settings.listeners) if orphan else {}
        if orphan and not have and self.settings.listeners:
            self.journal.event("guard-orphan-lost", f"process {orphan.pid} holds none of the sockets: replacing it")
            orphan.kill_group()
            orphan, have = None, {}
        if orphan is None:
            self._track(True)
        self.held = self._bind(have)
        self.doors.open(self.held)
        self.loop.watch(self.doors.sock.fileno(), self._doors)
        if orphan is not None:
            self._own(orphan)
            self.journal.event("guard-adopted", f"took over process {orphan.pid} with {len(have)} sockets")
            if len(have) < len(self.settings.listeners):
                self._reload()

    def _bind(self, have: sockets.Sockets) -> sockets.Sockets:
        """Try until it works: an address in use for a moment must not end the guard."""
        while True:
            try:
                return sockets.hold(self.settings, have)
            except OSError as error:
                self.reason = f"cannot listen: {error}"
                self.journal.event("guard-bind", self.reason)
                self._publish()
                time.sleep(0.5)

    def _doors(self) -> None:
        if closed := self.doors.heard(self.held):
            words = f"no majority answered just now: new connections to {', '.join(sorted(closed))} are put off"
            self.journal.event("guard-put-off", words)

    def _own(self, child: Child) -> None:
        self.child = child
        self.loop.watch(child.pidfd, self._ended)
        view = self.view
        self.view = BalancerView(
            time.monotonic(), True, down_since=view.down_since, quick_deaths=view.quick_deaths, died_at=view.died_at
        )

    def _set(self, **changes: Any) -> None:
        self.view = replace(self.view, **changes)

    def _look(self) -> BalancerView:
        view, now = self.view, time.monotonic()
        starved = False
        if self.child and view.silent_since is not None and now - view.silent_since > self.settings.limits.limit / 2:
            seen = pulse(self.child.pid)
            waited = (seen.waited - self.asked_pulse.waited) / 1e9
            starved = seen.state == "R" and waited > (now - view.silent_since) / 2
        self._set(now=now, starved=starved)
        return self.view

    def _act(self, action: Action) -> None:
        if action.kind == "start":
            self._start(action.reason)
        elif action.kind == "ask":
            self._ask()
        elif action.kind == "kill" and self.child:
            self.journal.event("guard-kill", f"{action.reason} (state {state_of(self.child.pid)}): killing it")
            self.reason = action.reason
            self.child.kill_group()
            self._set(silent_since=None)

    def _start(self, reason: str) -> None:
        self.starts += 1
        try:
            self._own(self._spawn(self.settings, self.held))
        except OSError as error:
            self._set(died_at=time.monotonic(), quick_deaths=self.view.quick_deaths + 1)
            self.journal.event("guard-start", f"cannot start {self.settings.binary}: {error}")
            return
        assert self.child is not None
        self.journal.event("guard-start", f"{reason}: started process {self.child.pid}", pid=self.child.pid)
        self._publish()

    def _spawn(self, settings: BalancerSettings, held: sockets.Sockets, successor_of: int = 0) -> Child:
        argv = [settings.binary, "-db", "-f", settings.file]
        if successor_of:
            argv += ["-sf", str(successor_of)]
        env = {**os.environ, **sockets.variables(held), **writers.roles(settings.singles, self.writers)}
        return spawn(argv, env, [sock.fileno() for sock in held.values()])

    def _ask(self) -> None:
        now = time.monotonic()
        if self.view.silent_since is None and self.child:
            self.asked_pulse = pulse(self.child.pid)
        since = now if self.view.silent_since is None else self.view.silent_since
        asking = self.heartbeat.ask()
        if asking and self.heartbeat.sock:
            self.loop.watch(self.heartbeat.sock.fileno(), self._answered)
        self._set(asking=asking, last_asked=now, silent_since=since)

    def _hang_up(self) -> None:
        if self.heartbeat.sock:
            self.loop.forget(self.heartbeat.sock.fileno())
        self.heartbeat.drop()
        self._set(asking=False)

    def _answered(self) -> None:
        pid = self.heartbeat.read()
        if pid is None:
            return
        self._hang_up()
        if self.child and pid == self.child.pid:
            if not self.view.answered:
                self.journal.event("guard-serving", f"process {pid} answers")
            self._set(answered=True, silent_since=None, down_since=None, quick_deaths=0)

    def _ended(self) -> None:
        """The child is dead: note it; the next look starts another."""
        child, now = self.child, time.monotonic()
        if child is None:
            return
        how = child.reap()
        self.loop.forget(child.pidfd)
        child.close()
        self.child, self.reason = None, f"process {child.pid} ended: {how}"
        self._hang_up()
        quick = 0 if self.view.answered else self.view.quick_deaths + 1
        down = now if self.view.down_since is None else self.view.down_since
        self.view = BalancerView(now=now, alive=False, died_at=now, quick_deaths=quick, down_since=down)
        self.journal.event("guard-died", self.reason)

    def _forgive(self, late: float) -> None:
        since, down = self.view.silent_since, self.view.down_since
        if since is not None:
            self._set(silent_since=since + late)
        if down is not None:
            self._set(down_since=down + late)

    def _judge(self) -> None:
        fault = balancer_fault(self.view, self.settings.limits)
        if fault and self.fault is False and (count := sockets.turn_away(self.held.values())):
            self.journal.event("guard-turned-away", f"reset {count} waiting connections before the VIPs leave")
        self._track(fault)

    def _track(self, fault: bool) -> None:
        """Tell Keepalived whether this node may hold a VIP: the only place that writes the track file.

        Written in place: Keepalived follows the file by inotify when a writer closes it.
        """
        if fault == self.fault:
            return
        path = Path(self.settings.track)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1\n" if fault else "0\n", encoding="ascii")
        except OSError as error:
            self.journal.event("guard-track", f"cannot write {path}: {error}")
            return
        self.fault = fault
        self.journal.event("guard-unfit" if fault else "guard-fit", "gives up VIPs" if fault else "may hold VIPs")
        self._publish()

    def _chores(self) -> None:
        now, answers = time.monotonic(), self.view.answered and self.view.silent_since is None
        if answers and now - self._read_writers > WRITERS_EVERY:
            self._read_writers = now
            with suppress(OSError):
                self.writers.update(writers.read_writers(self.settings.admin, self.settings.singles))
        if answers and now - self._read_servers > SERVERS_EVERY:
            self._read_servers = now
            with suppress(OSError):
                self.servers.look(self.settings, now)
        if now - self._published > PUBLISH_EVERY:
            self._publish()

    def _publish(self) -> None:
        self._published = time.monotonic()
        child = self.child
        self.journal.publish({
            "child_pid": child.pid if child else None, "child_born": child.born if child else None,
            "starts": self.starts, "reloads": self.reloads, "reload_ok": self.reload_ok,
            "reload_sentence": self.reload_sentence, "reason": self.reason,
            "serving": bool(child and self.view.answered and self.view.down_since is None),
            "fault": bool(self.fault), "writers": self.writers, "out": self.servers.out(),
        })  # fmt: skip

    def _told_to_stop(self) -> bool:
        told, self.loop.signals = self.loop.signals, []
        if signal.SIGTERM in told or signal.SIGINT in told:
            return True
        if signal.SIGHUP in told:
            self._reload()
            # The supervisor starts a guard again that left; it adopts HAProxy with its sockets, and nothing is refused.
            self.outdated = self.reload_ok and os.path.realpath(__file__) != self.code
        self.leaving = [child for child in self.leaving if not self._gone(child)]
        return False

    @staticmethod
    def _gone(child: Child) -> bool:
        if state_of(child.pid) not in ("", "Z"):
            return False
        child.reap()
        child.close()
        return True

    def _reload(self) -> None:
        """Replace the child by one with the new files; on any trouble the old one stays and the reason is published."""
        self.reload_sentence = self._try_reload()
        self.reload_ok = not self.reload_sentence
        self.reloads += 1
        sentence = self.reload_sentence or f"process {self.child.pid if self.child else '?'} serves the new files"
        self.journal.event("guard-reload" if self.reload_ok else "guard-reload-refused", sentence)
        self._publish()

    def _try_reload(self) -> str:
        try:
            settings = read_balancer(self.path)
            if complaints := check_balancer(settings):
                return "; ".join(complaints)
            held = sockets.hold(settings, self.held)
        except (OutlastError, OSError) as error:
            return str(error)
        self._hang_up()
        with suppress(OSError):
            self.writers.update(writers.read_writers(self.settings.admin, self.settings.singles))
        new = self._spawn(settings, held, self.child.pid if self.child else 0)
        if not self._takes_over(new, settings):
            new.kill_group()
            trouble = f"the new process did not serve: {new.reap()}"
            new.close()
            sockets.release(sock for listener, sock in held.items() if listener not in self.held)
            return trouble
        if self.child:
            self.loop.forget(self.child.pidfd)
            self.leaving.append(self.child)
        sockets.release(sock for listener, sock in self.held.items() if listener not in held)
        self.settings, self.held, self.heartbeat = settings, held, Heartbeat(settings.alive)
        self._own(new)
        self._set(answered=True, down_since=None, quick_deaths=0)
        return ""

    def _takes_over(self, new: Child, settings: BalancerSettings) -> bool:
        """Wait for an answer of this very process."""
        heartbeat, until = Heartbeat(settings.alive), time.monotonic() + settings.limits.start_limit
        try:
            while time.monotonic() < until and state_of(new.pid) not in ("", "Z"):
                asked = heartbeat.ask()
                time.sleep(QUICK_TURN)
                if asked and heartbeat.read() == new.pid:
                    return True
        finally:
            heartbeat.drop()
        return False

    def _stop(self) -> None:
        """What is under way ends here, what is new is put off until the VIPs are elsewhere; all within bounds."""
        if self.settings.put_off_seconds:
            self.doors.shut(self.held)
            time.sleep(self.settings.put_off_seconds)
        self._track(True)
        until = time.monotonic() + self.settings.leave_seconds
        while time.monotonic() < until:
            time.sleep(QUICK_TURN)
        children = [*self.leaving, *([self.child] if self.child else [])]
        for child in children:
            child.send(signal.SIGUSR1)
        sockets.release(self.held.values())
        until = time.monotonic() + self.settings.stop_seconds
        while time.monotonic() < until and any(state_of(child.pid) not in ("", "Z") for child in children):
            time.sleep(QUICK_TURN)
        for child in children:
            child.kill_group()
            child.reap()
        self.child = None
        self.reason = "stopped"
        self.journal.event("guard-stopped", "ended on request")
        self._publish()
