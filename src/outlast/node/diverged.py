"""Replaces a replica of a queue that can never follow its leader again.

RabbitMQ 4.0's Raft (ra 2.14) may take an entry for written by a follower that has it in an older term. A leader that is
cut off just then carries out what only it has, and is refused for good when it is back: what it has done is not what
the others agreed on (decision 0037). It says so in its log every half minute, and goes on counting as a replica:
clients that it serves get nothing from that queue, and with one more broker away the queue stands still.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from outlast.node import disk
from outlast.spec.bundle import BundleMember

LOG, REPLACE = "raft-log", "replace-replica"
"""Facts of a broker: its log, and what replaces its replica of a queue (arguments: virtual host, queue)."""
LOOK = 1.0
"""Seconds between two looks."""
MOST = 1 << 20
"""Bytes that are read of the log at a time."""
PATIENCE = 60.0
"""Seconds for one replica to be replaced."""
STORE = "RabbitMQ metadata store"
"""What the log calls the replica of the broker's own records, which is no queue."""

_MISMATCH = re.compile(
    rf"\[\w+\] (<[\d.]+>) (?:queue '(.+)' in vhost '(.+)'|({STORE})): term mismatch - follower had entry at (\d+) "
)
_ASKS = re.compile(r"\[\w+\] (<[\d.]+>) Asking leader .* to resend from (\d+)")

Tell = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Diverged:
    """A replica that has carried out entry `entry` while its leader has another one there. `queue` "": STORE."""

    vhost: str
    queue: str
    entry: int
    applied: int


def proofs(lines: Iterable[str]) -> list[Diverged]:
    """What the log proves, each replica once, the latest word of each.

    A follower that has *not* carried out the entry in question drops it and goes on: that is Raft's daily bread. The
    second line names the first entry that it has not carried out.
    """
    found: dict[tuple[str, str], Diverged] = {}
    said: dict[str, tuple[str, str, int]] = {}
    for line in lines:
        if first := _MISMATCH.search(line):
            process, queue, vhost, _, entry = first.groups()
            said[process] = (vhost or "", queue or "", int(entry))
        elif second := _ASKS.search(line):
            process, wanted = second.groups()
            if process in said:
                vhost, queue, entry_at = said.pop(process)
                if entry_at < int(wanted):
                    found[vhost, queue] = Diverged(vhost, queue, entry_at, int(wanted) - 1)
    return list(found.values())


class Tail:
    """New whole lines of a file that grows and may be exchanged. What was there at first is not told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file, self._at = self._now()
        self._rest = b""

    def lines(self) -> list[str]:
        """Since the last call; nothing where it cannot be read."""
        file, size = self._now()
        if file != self._file or size < self._at:
            self._file, self._at, self._rest = file, 0, b""
        if size <= self._at:
            return []
        try:
            with self.path.open("rb") as source:
                source.seek(self._at)
                new = source.read(MOST)
        except OSError:
            return []
        self._at += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def _now(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size


class Replicas:
    """One per agent. `tell(service, code, sentence)` for each proof, and for what came of it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._tail: Tail | None = None
        self._service = self._script = ""

    def adopt(self, members: Iterable[BundleMember]) -> None:
        """Of a node without a broker nothing is read."""
        facts = {member.service: dict(member.facts) for member in members}
        self._service, path, self._script = next(
            ((name, known[LOG], known[REPLACE]) for name, known in facts.items() if LOG in known), ("", "", "")
        )
        if not path:
            self._tail = None
        elif self._tail is None or self._tail.path != Path(path):
            self._tail = Tail(Path(path))

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK)

    async def turn(self) -> None:
        """One look, and one replica after the other."""
        for proof in proofs(self._tail.lines()) if self._tail else ():
            await self._mend(proof)

    async def _mend(self, proof: Diverged) -> None:
        name = f"the replica of queue {proof.queue}" if proof.queue else f"the replica of the {STORE}"
        what = f"{name} has carried out entry {proof.applied}, and its leader has another entry {proof.entry}"
        if reason := disk.paused():
            # It says so again in half a minute.
            self._tell(self._service, "replica.diverged", f"{what}; not replaced, paused ({reason})")
            return
        way = "replacing it by a copy of the others" if proof.queue else "the broker joins the others as a new one"
        self._tell(self._service, "replica.diverged", f"{what}: {way}")
        # A new member has copies of everything.
        trouble = await replaced(self._script, *((proof.vhost, proof.queue) if proof.queue else ()))
        if trouble:
            sentence = f"{name} was not replaced, to be tried again when the broker complains again: {trouble}"
            self._tell(self._service, "replica.kept", sentence)
        else:
            done = "is a copy of the others now" if proof.queue else "is set aside with the broker's other data"
            self._tell(self._service, "replica.replaced", f"{name} {done}")


async def replaced(script: str, *words: str) -> str:
    """Why it could not be done; nothing where it was."""
    try:
        process = await asyncio.create_subprocess_exec(
            script, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return str(error)
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"no end within {PATIENCE:g} s"
    words_said = said.decode(errors="replace").strip().splitlines()
    return "" if process.returncode == 0 else (words_said[-1] if words_said else f"exit {process.returncode}")
