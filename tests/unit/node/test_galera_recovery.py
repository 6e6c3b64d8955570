"""Eyes and hands around Galera's rule: status variables → fact, the rule's words → directions, what peers say."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from member_views import STOPPED

from outlast.coord.permits import Permits
from outlast.errors import CoordError
from outlast.node import galera
from outlast.node.view import MemberView
from outlast.services.galera import facts, recovery
from outlast.spec import snapshot as snapshots
from outlast.spec.bundle import Bundle, BundleMember, Peer
from outlast.spec.program import Program
from outlast.spec.snapshot import GaleraFact, ProgramState, Snapshot

UUID = "11111111-2222-3333-4444-555555555555"
MEMBER = BundleMember(
    service="galera",
    index=0,
    files=(),
    directories=(),
    programs=(Program("galera", ("galera-start",)),),
    prepare=(),
    setup=(),
    needs=(),
    probes=(),
    start="galera",
    reload=(),
    restart_digest="new",
    reload_digest="",
    facts=(("members", "c1,c2,c3"), ("socket", "/nowhere/mysqld.sock")),
)
BUNDLE = Bundle(
    cluster="lab",
    node="c1",
    digest="d",
    code="c",
    agent_address="127.0.0.1",
    agent_port=1,
    recovery="safe",
    members=(MEMBER,),
    peers=(
        Peer("c2", "127.0.0.2", ("galera",)),
        Peer("c3", "127.0.0.3", ("galera", "nova")),
        Peer("k1", "x", ("nova",)),
    ),
    zookeeper=(),
)
SYNCED = {
    "wsrep_local_state_uuid": UUID,
    "wsrep_last_committed": "42",
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state": "4",
    "wsrep_cluster_conf_id": "7",
    "wsrep_cluster_size": "3",
}


class Memo:
    def __init__(self) -> None:
        self.views: list[tuple[tuple[str, ...], int]] = []
        self.starts: list[str] = []

    def started(self, view: MemberView) -> None:
        self.starts.append(view.member.service)

    def remember_view(self, members: tuple[str, ...], number: int) -> None:
        self.views.append((members, number))


@pytest.fixture
def memo() -> Memo:
    return Memo()


@pytest.fixture
def rule(memo: Memo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> galera.GaleraRecovery:
    """One that neither looks nor asks, on an empty disk."""
    monkeypatch.setattr(galera, "FIRST_PERMIT", tmp_path / "permit")
    for name in ("GRASTATE", "VIEW", "GVWSTATE", "DATA", "BOOTSTRAP", "RUN", "GIVEN_UP"):
        monkeypatch.setattr(facts, name, str(tmp_path / name))
    monkeypatch.setattr(galera.GaleraRecovery, "_look", lambda self, running, eager: None)
    return galera.GaleraRecovery(BUNDLE, MEMBER, memo)


def test_one_late_answer_is_no_change_of_state(rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(socket: str, timeout: float) -> dict[str, str]:
        raise OSError("timed out")

    def look() -> GaleraFact:
        asyncio.run(rule._look_at_own(True))
        return rule.own

    monkeypatch.setattr(galera, "status", lambda socket, timeout: SYNCED)
    assert look().state == "primary"
    seen = rule.own_at
    monkeypatch.setattr(galera, "status", late)
    assert look().state == "primary"
    assert rule.own_at == seen, "and its age grows"
    assert look().state == "joining"


@pytest.mark.parametrize(
    ("changes", "state", "has_data"),
    [
        ({}, "primary", True),
        ({"wsrep_local_state": "2"}, "primary", True),
        ({"wsrep_local_state": "3"}, "primary", True),
        ({"wsrep_local_state": "1"}, "joining", True),
        ({"wsrep_local_state": ""}, "joining", True),
        ({"wsrep_cluster_status": "non-Primary"}, "non-primary", False),
        ({"wsrep_cluster_status": "Disconnected"}, "non-primary", False),
    ],
)
def test_status_variables_become_a_fact(changes: dict[str, str], state: str, has_data: bool) -> None:
    fact = galera._from_status(GaleraFact(view=("c1", "c2")), SYNCED | changes)
    assert (fact.state, fact.has_data) == (state, has_data)
    assert (fact.uuid, fact.seqno) == (UUID, 42)
    assert fact.view == ("c1", "c2"), "the note on disk stays"


def test_an_empty_status_is_no_primary() -> None:
    fact = galera._from_status(GaleraFact(), {})
    assert (fact.state, fact.uuid, fact.seqno) == ("non-primary", "", -1)


def test_a_fact_becomes_what_the_rule_reads() -> None:
    known = galera._member_fact(GaleraFact("down", True, UUID, 42, ("c1", "c2"), 7), 1.5)
    assert (known.reachable, known.state, known.has_data, known.age) == (True, "down", True, 1.5)
    assert known.position == (UUID, 42)
    assert known.last_view == ("c1", "c2")
    nothing = galera._member_fact(GaleraFact(), -3.0)
    assert (nothing.position, nothing.last_view, nothing.age) == (None, None, 0.0)


def test_every_word_of_the_rule_has_a_direction() -> None:
    names = ("START", "BOOTSTRAP", "PC_BOOTSTRAP", "RECOVER", "RESTART", "WAIT", "ASK", "NONE", "RENEW", "RETURN")
    words = {getattr(recovery, name) for name in names}
    assert words == set(galera._KINDS) | {recovery.NONE}


@pytest.mark.parametrize(("word", "kind"), galera._KINDS.items())
def test_directions(rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch, word: str, kind: str) -> None:
    step = recovery.next_step(rule._view(False))
    monkeypatch.setattr(recovery, "next_step", lambda view: replace(step, kind=word, code="rule.x", sentence="so"))
    found = rule.direction(down())
    assert found is not None
    assert (found.kind, found.code, found.sentence) == (kind, "rule.x", "so")


def test_nothing_to_say_is_no_direction(rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    step = recovery.next_step(rule._view(False))
    monkeypatch.setattr(recovery, "next_step", lambda view: replace(step, kind=recovery.NONE))
    assert rule.direction(down()) is None


def down() -> MemberView:
    return replace(STOPPED, member=MEMBER, programs={"galera": ProgramState("galera", "STOPPED")})


def up() -> MemberView:
    return replace(STOPPED, member=MEMBER, programs={"galera": ProgramState("galera", "RUNNING")})


def test_only_members_of_the_database_are_peers(rule: galera.GaleraRecovery) -> None:
    assert [peer.node for peer in rule.peers] == ["c2", "c3"]
    assert rule.order == ("c1", "c2", "c3")


def test_a_fresh_cluster_waits_for_a_permit_and_bootstraps_with_it(rule: galera.GaleraRecovery) -> None:
    found = rule.direction(down())
    assert found is not None
    assert found.kind != "bootstrap"
    galera.FIRST_PERMIT.write_text("first bootstrap\n")
    found = rule.direction(down())
    assert found is not None
    assert found.kind == "wait", "the others might have data"
    for name in ("c2", "c3"):
        rule.heard[name] = galera.Heard(GaleraFact("down"), time.monotonic() + 1)
    found = rule.direction(down())
    assert found is not None
    assert found.kind == "bootstrap", found


def test_a_started_member_is_not_judged_by_its_former_position(rule: galera.GaleraRecovery) -> None:
    rule._became(GaleraFact("down", True, UUID, 42, ("c1", "c2", "c3"), 7))
    rule.direction(up())
    assert (rule.fact().state, rule.fact().uuid, rule.fact().seqno) == ("joining", "", -1)


def test_a_stopped_member_is_down_at_once(rule: galera.GaleraRecovery, memo: Memo) -> None:
    rule._became(GaleraFact("primary", True, UUID, 42, ("c1", "c2", "c3"), 7))
    assert memo.views == [(("c1", "c2", "c3"), 7)], "a primary view is remembered durably"
    rule.direction(down())
    assert rule.fact().state == "down"


def test_a_bootstrap_uses_the_permit_up(
    rule: galera.GaleraRecovery, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    galera.FIRST_PERMIT.write_text("first bootstrap\n")
    written: list[Path] = []
    monkeypatch.setattr(galera.disk, "write", lambda path, content: written.append(path))
    asyncio.run(rule.act("bootstrap", down()))
    assert not galera.FIRST_PERMIT.exists()
    assert written == [Path(facts.BOOTSTRAP)]
    assert memo.starts == ["galera"]


def test_a_permit_that_another_holds_is_a_failure(rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the agent backs off instead of asking ZooKeeper as fast as it can."""
    monkeypatch.setattr(Permits, "take", lambda self, name: False)
    with pytest.raises(CoordError, match="another node"):
        asyncio.run(rule.act("permit", down()))
    monkeypatch.setattr(Permits, "take", lambda self, name: True)
    asyncio.run(rule.act("permit", down()))


def test_peers_are_heard_with_the_age_of_what_they_say(rule: galera.GaleraRecovery) -> None:
    told = Snapshot("lab", "c2", "d", "c", "b", 1, "s", galera=GaleraFact("down", True, UUID, 41, age=2.0), age=1.0)
    foreign = replace(told, cluster="another")

    async def hear(said: bytes) -> galera.Heard | None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + said)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        rule.bundle = replace(BUNDLE, agent_port=server.sockets[0].getsockname()[1])
        rule.heard.clear()
        await rule._hear(Peer("c2", "127.0.0.1", ("galera",)))
        server.close()
        return rule.heard.get("c2")

    async def go() -> None:
        begun = asyncio.get_running_loop().time()
        found = await hear(snapshots.encode(told))
        assert found is not None
        assert found.fact.seqno == 41
        assert found.at <= begun + 5 - 3.0
        assert await hear(snapshots.encode(foreign)) is None
        assert await hear(b"not json") is None

    asyncio.run(go())


def test_a_peer_that_falls_silent_is_not_believed_any_longer(rule: galera.GaleraRecovery) -> None:
    rule.heard["c2"] = galera.Heard(GaleraFact("down", True), 0.0)
    rule.bundle = replace(BUNDLE, agent_port=1)
    asyncio.run(rule._hear(Peer("c2", "127.0.0.1", ("galera",))))
    assert rule.heard == {}


@pytest.mark.parametrize(
    ("number", "said"), [(0, [galera.PC_BOOTSTRAP]), (1193, [galera.PC_BOOTSTRAP, galera.PC_BOOTSTRAP_WITHOUT_PLUGIN])]
)
def test_pc_bootstrap_with_and_without_the_plugin(
    rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch, number: int, said: list[str]
) -> None:
    """With the plugin, the provider's options cannot be set as one string; without it, its variables do not exist."""
    import pymysql

    told: list[str] = []

    class Server:
        def __enter__(self) -> Server:
            return self

        def __exit__(self, *_: object) -> None: ...

        def close(self) -> None: ...

        def cursor(self) -> Server:
            return self

        def execute(self, statement: str) -> None:
            told.append(statement)
            if number and len(told) == 1:
                raise pymysql.OperationalError(number, "Unknown system variable")

    monkeypatch.setattr(pymysql, "connect", lambda **_: Server())
    rule._pc_bootstrap()
    assert told == said


def test_who_is_given_up_is_told_with_the_time(rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(galera.time, "monotonic", lambda: clock[0])
    asyncio.run(rule._look_at_own(False))
    assert (rule.fact().given_up, rule.fact().given_seconds) == ((), 0.0)
    Path(facts.GIVEN_UP).write_text("c3\n")
    asyncio.run(rule._look_at_own(False))
    clock[0] = 107.0
    asyncio.run(rule._look_at_own(False))
    told = rule.fact()
    assert (told.given_up, told.given_seconds) == (("c3",), 7.0)
    assert rule._view(False).own.given_up == ("c3",)


def test_a_note_that_is_over_is_removed_by_a_primary_member(
    rule: galera.GaleraRecovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galera, "status", lambda socket, timeout: SYNCED)
    Path(facts.GIVEN_UP).write_text("c3\n")
    asyncio.run(rule._look_at_own(True))
    assert Path(facts.GIVEN_UP).exists(), "c3 is not back"
    Path(facts.VIEW).write_text(f"uuid: {UUID}\nmembers: c1 c3\nids: x y\n")
    asyncio.run(rule._look_at_own(True))
    assert not Path(facts.GIVEN_UP).exists()
