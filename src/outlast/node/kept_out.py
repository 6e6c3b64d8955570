"""Keeps a member of the database whose network comes and goes out of the others' group until it stays.

Galera takes everybody back who answers, and each return is a change of all members' view of each other. A member that
comes back while the others still agree that it is gone, or leaves before they agreed that it is back, does not only
fail to join: the healthy members lose each other and their majority, and then need the third one to have it again. So
who was lost is let in when it has answered for a moment; who is lost again must stay for longer each time, as with the
balancer's VIPs (guard/quorum.py). Outside a primary component a member keeps nobody out: whom it does it may need.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from outlast.node import disk
from outlast.spec.bundle import Watch

STEADY, LONGEST = 1.5, 24.0
"""Seconds for which a member must answer after a loss before it is let in, doubled with each further one. The first
ones are for the others to be done with its loss: Galera suspects a member 1 s after its last word, here it has vanished
after 0.6 s, and their change of views comes after that."""
FORGET = 60.0
"""Seconds after which a loss is forgotten."""
LEASE, RENEWED = 5.0, 2.0
"""Seconds for which the kernel keeps a member out without another word (the agent was killed), and after which that is
said again: 10 ms of processor time."""
TABLE = "outlast_kept_out"

_RULES = """add table ip {table}
add set ip {table} members {{ type ipv4_addr; flags timeout; }}
flush set ip {table} members
add chain ip {table} input {{ type filter hook input priority -10; }}
flush chain ip {table} input
add rule ip {table} input ip saddr @members tcp dport {port} drop
add rule ip {table} input ip saddr @members tcp sport {port} drop
"""


@dataclass(frozen=True)
class Losses:
    """Of one member: how many lately, when the last one was, and since when it answers again (None: it does not)."""

    count: int
    lost: float
    back: float | None = None


def advance(known: Mapping[str, Losses], gone: frozenset[str], now: float) -> dict[str, Losses]:
    """After one more look at who has vanished. `now` in monotonic seconds."""
    found: dict[str, Losses] = {}
    for name in sorted(known.keys() | gone):
        before = known.get(name)
        if name in gone and (before is None or before.back is not None):
            recent = before is not None and now - before.lost < FORGET
            found[name] = Losses(before.count + 1 if before and recent else 1, now)
        elif before and name not in gone and before.back is None:
            found[name] = replace(before, back=now)
        elif before and (before.back is None or now - before.lost < FORGET):
            found[name] = before
    return found


def held(known: Mapping[str, Losses], members: tuple[str, ...], now: float) -> frozenset[str]:
    """Whom of the other `members` to keep out now. Nobody where those that are left, and this one, are no majority."""
    out = frozenset(
        name
        for name, losses in known.items()
        if name in members and (losses.back is None or now - losses.back < pause(losses.count))
    )
    return out if 2 * (len(members) + 1 - len(out)) > len(members) + 1 else frozenset()


def pause(count: int) -> float:
    """Seconds of answers that are asked for after so many losses."""
    return min(LONGEST, STEADY * 2.0 ** (count - 1))


class KeptOut:
    """One per agent. `tell(service, code, sentence)` when a member is kept out, and when it is let in.

    `primary()`: whether this node's own member is in a primary component.
    """

    def __init__(self, tell: Callable[[str, str, str], None], primary: Callable[[], bool]) -> None:
        self._tell, self._primary = tell, primary
        self._watch: Watch | None = None
        self._known: dict[str, Losses] = {}
        self._out: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._trouble = ""

    def adopt(self, watch: Watch | None) -> None:
        """A node without the database keeps nobody out."""
        self._watch, self._known, self._out = watch, {}, frozenset()

    def turn(self, gone: frozenset[str]) -> None:
        """One look at who has vanished."""
        if not self._watch or not self._watch.group:
            return
        now = time.monotonic()
        self._known = advance(self._known, gone, now)
        out = held(self._known, self._watch.grouped, now) if self._primary() else frozenset()
        for name in sorted(out - self._out):
            self._say(name)
        for name in sorted(self._out - out):
            why = "answers steadily" if self._primary() else "may be needed, as there is no primary component here"
            self._tell("galera", "member.let-in", f"{name} {why}: the database's group takes it back")
        if out != self._out:
            self._changed.set()
        self._out = out

    def _say(self, name: str) -> None:
        count = self._known[name].count
        what = f"{name} was lost" + (f" {count} times within {FORGET:g} s" if count > 1 else "")
        if reason := disk.paused():
            self._tell("galera", "member.unsteady", f"{what}: not kept out of the database's group, paused ({reason})")
            return
        words = f"kept out of the database's group until it has answered for {pause(count):g} s"
        self._tell("galera", "member.kept-out", f"{what}: {words}")

    async def watch(self) -> None:
        """Until cancelled. The kernel lets everybody in when nothing more is said for LEASE seconds."""
        said: tuple[str, ...] = ()
        while True:
            self._changed.clear()
            watch = self._watch
            wanted = () if disk.paused() else tuple(sorted(self._out))
            if watch and watch.group and (wanted or said):
                addresses = [address for name, address in watch.peers if name in wanted]
                trouble = await keep_out(addresses, watch.group)
                if trouble and trouble != self._trouble:
                    self._tell("galera", "member.heard", f"nobody can be kept out of the database's group: {trouble}")
                self._trouble = trouble
            said = wanted
            with suppress(TimeoutError):
                # Who is kept out and the pause of an operator are looked at again after RENEWED at the latest.
                await asyncio.wait_for(self._changed.wait(), RENEWED if said or self._out else None)


async def keep_out(addresses: list[str], port: int) -> str:
    """Drop what comes from these addresses only, from or to a port, for LEASE seconds. Why that was not possible."""
    # All in one transaction: at no time is one let in that was kept out and is to be.
    text = _RULES.format(table=TABLE, port=port)
    if addresses:
        elements = ", ".join(f"{address} timeout {LEASE:g}s" for address in addresses)
        text += f"add element ip {TABLE} members {{ {elements} }}\n"
    try:
        process = await asyncio.create_subprocess_exec(
            "nft", "-f", "-",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return str(error)
    _, said = await process.communicate(text.encode())
    return said.decode(errors="replace").strip().splitlines()[0] if process.returncode else ""
