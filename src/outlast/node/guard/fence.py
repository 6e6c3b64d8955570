"""Gives up the VIPs of a network on which this node hears no majority of the controllers, by a track file each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from outlast.node.guard.echo import Echo
from outlast.node.guard.journal import Journal, write_atomically
from outlast.node.guard.quorum import QuorumLimits, Standing, advance, changed, doubtful, fresh
from outlast.node.guard.settings import Network

SLOW = 0.5
"""Seconds after which Keepalived must have given up the addresses of a network that is cut off."""

MEMORY = Path("/var/lib/outlast/heard")
"""One file per network, on disk: the controllers of which a majority answered at some time. Among the same ones a node
that boots holds no VIP before it hears a majority again: what it boots into may be one side of a split."""

UNHEARD = 30.0
"""Seconds after which it is said that a network's controllers do not answer, and that nothing is fenced there."""


class Watched:
    """One network: its questions, its standing, and what its track file says."""

    def __init__(self, network: Network, echo: Echo, standing: Standing) -> None:
        self.network, self.echo, self.standing = network, echo, standing
        self.written: bool | None = None
        self.began, self.told_unheard = standing.at, False
        self.noted = False
        self.cut_at: float | None = None
        """When it was cut off, until its addresses have been looked for."""


class Fence:
    """All networks of the node. Call `turn` about every tick; it asks and judges when a round is over.

    leaving: called with a network's name just before Keepalived hears that its VIPs must go.
    """

    def __init__(
        self,
        journal: Journal,
        networks: Iterable[Network],
        limits: QuorumLimits,
        memory: Path = MEMORY,
        leaving: Callable[[str], None] = lambda network: None,
    ) -> None:
        self.journal, self.limits, self.memory, self.leaving = journal, limits, memory, leaving
        self.watched: dict[str, Watched] = {}
        now = time.monotonic()
        self._asked_at = now
        for network in networks:
            standing = _remembered(journal.last(), network, now, memory)
            self._watch(network, standing)
            if standing.cut and not standing.cuts:
                words = f"holds no VIP that needs {network.name} before a majority of the controllers answers there"
                journal.event("guard-boots", f"{words}, as one did before this boot", network=network.name)

    def _watch(self, network: Network, standing: Standing) -> None:
        echo = Echo(network.interface, network.address, dict(network.peers))
        found = self.watched[network.name] = Watched(network, echo, standing)
        # Before Keepalived starts, or reads of a new file.
        self._track(found)
        echo.ask(standing.asked + 1)

    def adopt(self, networks: Iterable[Network], limits: QuorumLimits) -> None:
        """Go on with new settings. A network whose controllers are others is armed by their majority anew."""
        now, before, self.limits = time.monotonic(), self.watched, limits
        self.watched = {}
        for network in networks:
            known = before.pop(network.name, None)
            if known and known.network == network:
                self.watched[network.name] = known
                continue
            peers = tuple(name for name, _ in network.peers)
            self._watch(network, changed(known.standing, now, peers) if known else fresh(now, peers))
            if known:
                known.echo.close()
        for gone in before.values():
            gone.echo.close()
            gone.standing = fresh(now, ())
            self._track(gone)

    def turn(self) -> bool:
        """Judge and ask, when it is time; True when some network was cut off or joined again."""
        now = time.monotonic()
        # A tick is somewhat longer than it says: without this slack every second round would take three.
        if now - self._asked_at < self.limits.interval * 0.85:
            return False
        self._asked_at = now
        return any([self._judge(item, now) for item in self.watched.values()])

    def _judge(self, item: Watched, now: float) -> bool:
        before, answered = item.standing, item.echo.answers()
        if item.echo.trouble:
            # Nothing was asked, so nothing is known.
            item.standing = replace(before, at=now)
        else:
            item.standing = advance(before, now, answered, self.limits)
        standing = item.standing
        if standing.cut and not before.cut:
            item.cut_at = now
            self._event(item, "guard-cut-off", f"{_sentence(item)}; gives up the VIPs that need it")
            self.leaving(item.network.name)
        elif before.cut and not standing.cut:
            item.cut_at = None
            self._event(item, "guard-joined", f"a majority answers steadily on {item.network.name}: may hold VIPs")
        self._track(item)
        self._note(item)
        self._tell_unheard(item, now)
        item.echo.ask(standing.asked + 1)
        return standing.cut != before.cut

    def _note(self, item: Watched) -> None:
        """What the next boot should know, once it is true."""
        standing = item.standing
        if not item.noted and standing.armed and not standing.missed and any(standing.heard.values()):
            item.noted = remember(self.memory / item.network.name, " ".join(sorted(standing.heard)))

    def _tell_unheard(self, item: Watched, now: float) -> None:
        name, armed = item.network.name, item.standing.armed
        if armed and item.told_unheard:
            item.told_unheard = False
            self._event(item, "guard-heard", f"a majority of the controllers answers on {name}: fencing is armed there")
        elif not armed and not item.told_unheard and now - item.began > UNHEARD:
            item.told_unheard = True
            why = item.echo.trouble or "no majority of the controllers has answered ICMP echo since boot"
            self._event(item, "guard-unheard", f"{name}: {why}; nothing is fenced there")

    def _event(self, item: Watched, code: str, sentence: str) -> None:
        self.journal.event(code, sentence, network=item.network.name, silent=_silent(item))

    def _track(self, item: Watched) -> None:
        """Written in place (Keepalived sees a writer close the file), and again until it could be written."""
        cut = item.standing.cut
        if item.written == cut:
            return
        path = Path(item.network.track)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1\n" if cut else "0\n", encoding="ascii")
        except OSError as error:
            self.journal.event("guard-track", f"cannot write {path}: {error}")
            return
        item.written = cut

    def doubted(self) -> frozenset[str]:
        """Networks of which no majority was heard at last."""
        return frozenset(name for name, item in self.watched.items() if doubtful(item.standing, self.limits))

    def overdue(self) -> tuple[str, ...]:
        """Networks that were cut off SLOW seconds ago: whose addresses must have left by now. Each is named once."""
        now = time.monotonic()
        found = tuple(
            name for name, item in self.watched.items() if item.cut_at is not None and now - item.cut_at > SLOW
        )
        for name in found:
            self.watched[name].cut_at = None
        return found

    def published(self) -> dict[str, dict[str, object]]:
        """What the node's agent, and the guard after this one, should know of each network."""
        return {
            name: {
                "armed": item.standing.armed, "cut": item.standing.cut, "cuts": item.standing.cuts,
                "peers": sorted(item.echo.peers), "silent": _silent(item),
                "sentence": _sentence(item) if item.standing.cut else "",
            }
            for name, item in self.watched.items()
        }  # fmt: skip


def _silent(item: Watched) -> dict[str, float]:
    """Seconds since each peer was last heard, of those that missed more than a round."""
    standing = item.standing
    return {
        peer: round(standing.at - standing.since[peer], 1)
        for peer, last in standing.heard.items()
        if standing.asked - last > 1
    }


def _sentence(item: Watched) -> str:
    name, silent = item.network.name, _silent(item)
    if not item.standing.missed:
        return f"the controllers on {name} answer again, but not steadily for long enough"
    words = ", ".join(f"{peer} silent for {seconds:g} s" for peer, seconds in silent.items())
    return f"no majority of the controllers answers on {name}: {words or 'answers come and go'}"


def remember(path: Path, text: str) -> bool:
    """Keeps one line over a loss of power; False where that failed, so that it is tried again."""
    with suppress(OSError):
        if path.read_text(encoding="utf-8") == text:
            return True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not write_atomically(path, text):
            return False
        for one in (path, path.parent):
            handle = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError:
        return False
    return True


def _recalled(path: Path, peers: tuple[str, ...]) -> bool:
    try:
        return path.read_text(encoding="utf-8").split() == list(peers)
    except (OSError, ValueError):
        return False


def _remembered(last: Mapping[str, Any], network: Network, now: float, memory: Path) -> Standing:
    """What an earlier guard of this boot knew (its state is in /run), and the first one what an earlier boot knew."""
    peers = tuple(sorted(name for name, _ in network.peers))
    found = dict(last.get("networks") or {}).get(network.name)
    if not isinstance(found, dict):
        return fresh(now, peers, cut=_recalled(memory / network.name, peers))
    if tuple(found.get("peers", ())) != peers:
        return fresh(now, peers, cut=bool(found.get("cut")), cuts=int(found.get("cuts", 0)))
    return fresh(now, peers, bool(found.get("armed")), bool(found.get("cut")), int(found.get("cuts", 0)))
