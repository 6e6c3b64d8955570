"""Eyes and hands of Galera's recovery rule on this node: the rule itself is services/galera/recovery.py."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from outlast.coord.permits import Permits
from outlast.errors import CoordError
from outlast.node import disk, hands
from outlast.node.peers import hear
from outlast.node.recovery import Memo
from outlast.node.view import UP, Direction, MemberView
from outlast.services.galera import facts, recovery
from outlast.services.galera.recovery import GaleraView, MemberFact
from outlast.spec.bundle import Bundle, BundleMember, Peer
from outlast.spec.snapshot import GaleraFact

PROGRAM = "galera"
LOOK = 0.4
"""Seconds between two looks at the own member and at the peers while there is no primary component."""
CALM = 2.0
"""The same for the own member while all is well; peers are not asked then."""
MISSES = 2
"""Questions in a row that a primary member may leave unanswered: one late answer on a busy node is no change of state.
Its age grows meanwhile, so that nobody takes the old answer for a new one."""
FIRST_PERMIT = disk.PERMITS / "galera"

PC_BOOTSTRAP = "SET GLOBAL wsrep_provider_pc_bootstrap = ON"
"""With the plugin wsrep-provider, which MariaDB 11.8 loads, the provider's options are variables, and only that."""
PC_BOOTSTRAP_WITHOUT_PLUGIN = "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'"
_UNKNOWN_VARIABLE = 1193

_KINDS = {
    recovery.START: "start",
    recovery.BOOTSTRAP: "bootstrap",
    recovery.PC_BOOTSTRAP: "pc-bootstrap",
    recovery.RECOVER: "position",
    recovery.RESTART: "restart",
    recovery.WAIT: "wait",
    recovery.ASK: "permit",
    recovery.RENEW: "renew",
    recovery.RETURN: "return-permit",
}


def status(socket: str, timeout: float) -> dict[str, str]:
    """wsrep status variables by name. Raises OSError where the server does not answer in time (seconds)."""
    import pymysql

    try:
        connection = pymysql.connect(
            unix_socket=socket,
            user="root",
            connect_timeout=2,
            read_timeout=timeout,
            write_timeout=timeout,
            ssl_disabled=True,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute("SHOW GLOBAL STATUS LIKE 'wsrep%'")
                return {str(name): str(value) for name, value in cursor.fetchall()}
        finally:
            connection.close()
    except pymysql.MySQLError as error:
        raise OSError(str(error)[:200]) from error


@dataclass(frozen=True)
class Heard:
    """What a peer said of itself; `at` monotonic seconds of this node when it was true at the latest."""

    fact: GaleraFact
    at: float


class GaleraRecovery:
    """One per agent that owns a database member."""

    def __init__(self, bundle: Bundle, member: BundleMember, memo: Memo) -> None:
        self.bundle = bundle
        self.member = member
        self.memo = memo
        self.peers = tuple(peer for peer in bundle.peers if member.service in peer.services)
        self.order = tuple(dict(member.facts)["members"].split(","))
        self.socket = dict(member.facts)["socket"]
        self.own = GaleraFact()
        self.own_at = 0.0
        self.since = time.monotonic()
        self.given_at = self.since
        self.heard: dict[str, Heard] = {}
        self.looking: asyncio.Task[None] | None = None
        self.looked_at = 0.0
        self.missed = 0
        self.giving: asyncio.Task[None] | None = None
        self.permits = Permits(bundle.zookeeper, bundle.cluster, bundle.node)

    # --- eyes ----------------------------------------------------------------------------------------------------

    def direction(self, view: MemberView) -> Direction | None:
        running = view.state(PROGRAM) in UP or view.state(PROGRAM) == "STOPPING"
        if not running and self.own.state != "down":
            self._became(replace(self._on_disk(), state="down"))
        elif running and self.own.state in ("down", "unknown"):
            # Nothing learned while it was down may be held against a member that has only just started.
            self._became(replace(self.own, state="joining", uuid="", seqno=-1))
        self._look(running, eager=view.health.status == "ok")
        step = recovery.next_step(self._view(running))
        if step.kind == recovery.NONE:
            return None
        return Direction(_KINDS[step.kind], step.code, step.sentence)

    def _view(self, running: bool) -> GaleraView:
        now = time.monotonic()
        known = {name: _member_fact(heard.fact, now - heard.at) for name, heard in self.heard.items()}
        known[self.bundle.node] = _member_fact(self.fact(), now - self.own_at)
        return GaleraView(
            node=self.bundle.node,
            members=self.order,
            facts=known,
            running=running,
            permit=self._permit() or self._unread(),
            policy=self.bundle.recovery,
            seconds=now - self.since,
        )

    def _permit(self) -> str:
        return "recovery" if self.permits.held("galera") else "first" if FIRST_PERMIT.exists() else ""

    def _unread(self) -> str:
        wanted = self.bundle.recovery == "majority" and self.bundle.zookeeper
        return recovery.UNREAD if wanted and not self.permits.read("galera") else ""

    def fact(self) -> GaleraFact:
        now = time.monotonic()
        told = now - self.given_at if self.own.given_up else 0.0
        return replace(self.own, age=now - self.own_at, given_seconds=told, permit=self._permit())

    def _look(self, running: bool, eager: bool) -> None:
        """`eager`: the probes say well; what we know of ourselves must not lag behind."""
        calm = self.own.state == "primary"
        pause = CALM if calm and not self.missed else 0.0 if eager and not calm else LOOK
        if self.looking or time.monotonic() - self.looked_at < pause:
            return
        self.looking = asyncio.create_task(self._look_once(running, calm))

    async def _look_once(self, running: bool, calm: bool) -> None:
        try:
            own = self._look_at_own(running)
            others = [] if calm else [self._hear(peer) for peer in self.peers]
            await asyncio.gather(own, *others)
        finally:
            self.looked_at = time.monotonic()
            self.looking = None

    async def _look_at_own(self, running: bool) -> None:
        at = time.monotonic()
        stored = await asyncio.to_thread(self._on_disk)
        if not running:
            self._became(replace(stored, state="down"), at)
            return
        try:
            seen = await asyncio.to_thread(status, self.socket, 1.0)
        except OSError:
            self.missed += 1
            if self.own.state == "primary" and self.missed < MISSES:
                return
            # It starts, receives a state, or hangs: its data may be changing, so no position counts.
            self._became(replace(stored, state="joining", uuid="", seqno=-1), at)
            return
        self.missed = 0
        self._became(_from_status(stored, seen), at)
        if self.own.state == "primary" and not self.own.given_up:
            await asyncio.to_thread(disk.remove, Path(facts.GIVEN_UP))
        whole = int(seen.get("wsrep_cluster_size", "0")) == len(self.order)
        wanted = whole and (self.permits.held("galera") or self._unread())
        if self.own.state == "primary" and wanted and (self.giving is None or self.giving.done()):
            self.giving = asyncio.create_task(self._give_back())

    async def _give_back(self) -> None:
        # A task of its own: ZooKeeper may be slow, and what we say of ourselves must not grow old meanwhile.
        with contextlib.suppress(CoordError):
            await asyncio.to_thread(self.permits.give_back, "galera")

    def _became(self, fact: GaleraFact, at: float | None = None) -> None:
        at = time.monotonic() if at is None else at
        if fact.state != self.own.state:
            self.since = at
        if fact.given_up != self.own.given_up:
            self.given_at = time.monotonic()
        self.own, self.own_at = fact, at
        if fact.state == "primary":
            # That there is a database is what `up` asks before it permits a first bootstrap.
            self.memo.remember_view(fact.view or self.order, fact.view_number)

    def _on_disk(self) -> GaleraFact:
        grastate, note = _text(facts.GRASTATE), _text(facts.VIEW)
        view = facts.last_view(note, _text(facts.GVWSTATE))
        position = facts.parse_position(_text(f"{facts.RUN}/position"))
        uuid, seqno = position or ("", -1)
        return GaleraFact(
            has_data=facts.has_data(Path(facts.DATA).is_dir(), grastate, note),
            uuid=uuid,
            seqno=seqno,
            view=view or (),
            unreadable=tuple(_text(facts.UNREADABLE).splitlines()[-recovery.UNREADABLE :]),
            given_up=facts.given_up(_text(facts.GIVEN_UP), note),
        )

    async def _hear(self, peer: Peer) -> None:
        said = await hear(self.bundle, peer)
        if said is None:
            self.heard.pop(peer.node, None)
        elif said.galera is not None:
            self.heard[peer.node] = Heard(said.galera, time.monotonic() - said.age - said.galera.age)
            if peer.node in self.own.given_up and said.galera.state != "down":
                self.given_at = time.monotonic()  # it runs: nobody goes on without it on our word

    # --- hands ---------------------------------------------------------------------------------------------------

    async def act(self, kind: str, view: MemberView) -> None:
        match kind:
            case "bootstrap":
                FIRST_PERMIT.unlink(missing_ok=True)
                disk.write(Path(facts.BOOTSTRAP), b"")
                await asyncio.to_thread(self.memo.started, view)
            case "renew":
                disk.write(Path(facts.RENEW), b"", durable=False)
                await asyncio.to_thread(self.memo.started, view)
            case "position":
                try:
                    await hands.run(facts.POSITION, timeout=300)
                finally:
                    await self._look_at_own(False)
            case "pc-bootstrap":
                await asyncio.to_thread(self._pc_bootstrap)
            case "return-permit":
                await asyncio.to_thread(self.permits.give_back, "galera")
            case "permit":
                if not await asyncio.to_thread(self.permits.take, "galera"):
                    raise CoordError("coord.taken", "another node holds the permit")

    def _pc_bootstrap(self) -> None:
        import pymysql

        connection = pymysql.connect(unix_socket=self.socket, user="root", read_timeout=10, ssl_disabled=True)
        with contextlib.closing(connection), connection.cursor() as cursor:
            try:
                cursor.execute(PC_BOOTSTRAP)
            except pymysql.MySQLError as error:
                if error.args[0] != _UNKNOWN_VARIABLE:
                    raise
                cursor.execute(PC_BOOTSTRAP_WITHOUT_PLUGIN)


def _from_status(stored: GaleraFact, seen: Mapping[str, str]) -> GaleraFact:
    fact = replace(
        stored, uuid=seen.get("wsrep_local_state_uuid", ""), seqno=int(seen.get("wsrep_last_committed", "-1"))
    )
    if seen.get("wsrep_cluster_status") != "Primary":
        return replace(fact, state="non-primary")
    # Joining (1) means that the state is still on its way.
    state = "primary" if seen.get("wsrep_local_state") in ("2", "3", "4") else "joining"
    return replace(fact, state=state, has_data=True, view_number=int(seen.get("wsrep_cluster_conf_id", "-1")))


def _member_fact(fact: GaleraFact, age: float) -> MemberFact:
    return MemberFact(
        reachable=True,
        state=fact.state,
        has_data=fact.has_data,
        position=(fact.uuid, fact.seqno) if fact.uuid else None,
        last_view=fact.view or None,
        view_number=fact.view_number,
        age=max(0.0, age),
        unreadable=fact.unreadable,
        given_up=fact.given_up,
        given_seconds=fact.given_seconds,
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
