"""Keeps a member of the database whose network comes and goes out of the others' group until it stays.

Galera takes everybody back who answers, and each return is a change of all members' view of each other. A member that
is back for a second, and gone before it is done with that, does not only fail to join: in a drill with a link that went
down and up five times the two healthy members lost their majority at the fourth time, and with it the database, for
five seconds. The balancer's VIPs follow the same rule already (guard/quorum.py): who was lost again must stay longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from outlast.node import disk
from outlast.spec.bundle import Watch

STEADY, LONGEST = 3.0, 24.0
"""Seconds for which a member must answer after its second loss before it is let in, doubled with each further one."""
FORGET = 60.0
"""Seconds after which a loss is forgotten: a member that was lost once is let in at once."""
LEASE, RENEWED = 2.0, 0.7
"""Seconds for which the kernel keeps a member out without another word, and after which that is said again."""
TABLE = "outlast_kept_out"

_RULES = """add table ip {table}
add set ip {table} members {{ type ipv4_addr; flags timeout; }}
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
        if name in members and losses.count > 1 and (losses.back is None or now - losses.back < pause(losses.count))
    )
    return out if 2 * (len(members) + 1 - len(out)) > len(members) + 1 else frozenset()


def pause(count: int) -> float:
    """Seconds of answers that are asked for after so many losses."""
    return 0.0 if count < 2 else min(LONGEST, STEADY * 2.0 ** (count - 2))


class KeptOut:
    """One per agent. `tell(service, code, sentence)` when a member is kept out, and when it is let in."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
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
        out = held(self._known, self._watch.grouped, now)
        for name in sorted(out - self._out):
            self._say(name)
        for name in sorted(self._out - out):
            self._tell("galera", "member.let-in", f"{name} answers steadily: the database's group takes it back")
        if out - self._out:
            self._changed.set()
        self._out = out

    def _say(self, name: str) -> None:
        count = self._known[name].count
        what = f"{name} was lost {count} times within {FORGET:g} s"
        if reason := disk.paused():
            self._tell("galera", "member.unsteady", f"{what}: not kept out of the database's group, paused ({reason})")
            return
        words = f"kept out of the database's group until it has answered for {pause(count):g} s"
        self._tell("galera", "member.kept-out", f"{what}: {words}")

    async def watch(self) -> None:
        """Until cancelled. The kernel lets everybody in when nothing more is said for LEASE seconds."""
        while True:
            if not self._out or disk.paused():
                self._changed.clear()
                await self._changed.wait()
            watch, out = self._watch, self._out
            if watch and out and not disk.paused():
                addresses = [address for name, address in watch.peers if name in out]
                trouble = await keep_out(addresses, watch.group)
                if trouble and trouble != self._trouble:
                    self._tell("galera", "member.heard", f"nobody can be kept out of the database's group: {trouble}")
                self._trouble = trouble
            await asyncio.sleep(RENEWED)


async def keep_out(addresses: list[str], port: int) -> str:
    """Drop what comes from these addresses from or to a port, for LEASE seconds from now. Why that was not possible."""
    # An element is given a new end by taking it out and putting it in, all in one transaction.
    new = ", ".join(f"{address} timeout {LEASE:g}s" for address in addresses)
    old = ", ".join(addresses)
    members = f"element ip {TABLE} members"
    text = _RULES.format(table=TABLE, port=port) + (
        f"add {members} {{ {new} }}\ndelete {members} {{ {old} }}\nadd {members} {{ {new} }}\n"
    )
    try:
        process = await asyncio.create_subprocess_exec(
            "nft", "-f", "-",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return str(error)
    _, said = await process.communicate(text.encode())
    return said.decode(errors="replace").strip().splitlines()[0] if process.returncode else ""
