"""Permits: one holder, never by hearsay. ZooKeeper is a dictionary here; the real one is tried in the lab."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("kazoo")

from kazoo import client as kazoo_client
from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from outlast.coord.permits import Permits
from outlast.errors import CoordError


class Tree(dict[str, bytes]):
    """What all clients see; `down` makes every call fail."""

    down = False


class Client:
    """As much of kazoo's client as permits use."""

    tree: Tree
    made: list[Client]

    def __init__(self, hosts: str, timeout: float) -> None:
        self.hosts = hosts
        self.listeners: list[Any] = []
        self.stopped = False
        Client.made.append(self)

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def start(self, timeout: float) -> None:
        if self.tree.down:
            raise KazooTimeoutError("Connection time-out")

    def stop(self) -> None:
        self.stopped = True

    def create(self, path: str, value: bytes, makepath: bool) -> None:
        if self.tree.down:
            raise ConnectionLoss
        if path in self.tree:
            raise NodeExistsError
        self.tree[path] = value

    def get(self, path: str) -> tuple[bytes, Any]:
        if self.tree.down:
            raise ConnectionLoss
        if path not in self.tree:
            raise NoNodeError
        return self.tree[path], SimpleNamespace(version=0)

    def delete(self, path: str, version: int) -> None:
        assert version == 0
        if self.tree.down:
            raise ConnectionLoss
        if path not in self.tree:
            raise NoNodeError
        del self.tree[path]


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Tree:
    Client.tree, Client.made = Tree(), []
    monkeypatch.setattr(kazoo_client, "KazooClient", Client)
    return Client.tree


def permits(me: str) -> Permits:
    return Permits(("10.0.0.1:2181", "10.0.0.2:2181"), "lab", me)


def test_one_holder(tree: Tree) -> None:
    first, second = permits("c1"), permits("c2")
    assert first.take("galera")
    assert not second.take("galera")
    assert (first.held("galera"), second.held("galera")) == (True, False)
    assert tree == {"/outlast/lab/permits/galera": b"c1"}
    assert Client.made[0].hosts == "10.0.0.1:2181,10.0.0.2:2181"


def test_taking_it_again_is_holding_it(tree: Tree) -> None:
    assert permits("c1").take("galera")
    again = permits("c1")
    assert not again.held("galera"), "a restarted agent knows nothing until it has read its own name"
    assert again.take("galera")
    assert again.held("galera")


def test_given_back_it_is_free(tree: Tree) -> None:
    first, second = permits("c1"), permits("c2")
    first.take("galera")
    first.give_back("galera")
    assert not first.held("galera")
    assert second.take("galera")


@pytest.mark.parametrize("state", ["SUSPENDED", "LOST"])
def test_a_lost_session_holds_nothing_until_it_has_read_again(tree: Tree, state: str) -> None:
    mine = permits("c1")
    mine.take("galera")
    for listener in Client.made[0].listeners:
        listener(state)
    assert not mine.held("galera")
    assert mine.take("galera")
    assert mine.held("galera")


def test_two_permits_do_not_know_each_other(tree: Tree) -> None:
    mine = permits("c1")
    assert mine.take("galera")
    assert not mine.held("rabbitmq")
    assert mine.take("rabbitmq")


def test_no_answer_is_an_error_and_no_permit(tree: Tree) -> None:
    tree.down = True
    mine = permits("c1")
    with pytest.raises(CoordError, match="coord.unreachable"):
        mine.take("galera")
    assert not mine.held("galera")
    assert Client.made[0].stopped, "no client is left behind"
    tree.down = False
    assert mine.take("galera"), "the next try begins anew"


def test_a_connection_lost_in_between(tree: Tree) -> None:
    mine = permits("c1")
    mine.take("galera")
    tree.down = True
    with pytest.raises(CoordError, match="coord.failed"):
        mine.give_back("galera")
    assert mine.held("galera"), "it stays held until it is known to be given back"
    with pytest.raises(CoordError):
        permits("c2").take("galera")


def test_a_taken_permit_is_not_believed_without_reading_it(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    permits("c1").take("galera")

    def lost(self: Client, path: str) -> tuple[bytes, None]:
        raise ConnectionLoss

    monkeypatch.setattr(Client, "get", lost)
    mine = permits("c1")
    with pytest.raises(CoordError, match="coord.failed"):
        mine.take("galera")
    assert not mine.held("galera")


def test_a_permit_that_was_removed_is_given_back(tree: Tree) -> None:
    mine = permits("c1")
    mine.take("galera")
    tree.clear()
    mine.give_back("galera")
    assert not mine.held("galera")
    assert Client.made[0].stopped, "no session is kept for it"


def test_what_is_another_ones_is_not_given_back(tree: Tree) -> None:
    permits("c1").take("galera")
    other = permits("c2")
    assert not other.read("galera")
    other.give_back("galera")
    assert other.read("galera")
    assert tree == {"/outlast/lab/permits/galera": b"c1"}


def test_one_from_a_former_run_is_given_back(tree: Tree) -> None:
    permits("c1").take("galera")
    permits("c1").give_back("galera")
    assert tree == {}


def test_an_interruption_just_after_the_gift_counts(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    created = Client.create

    def create(self: Client, path: str, value: bytes, makepath: bool) -> None:
        created(self, path, value, makepath)
        self.listeners[0]("SUSPENDED")

    monkeypatch.setattr(Client, "create", create)
    mine = permits("c1")
    with pytest.raises(CoordError, match="coord.suspended"):
        mine.take("galera")
    assert not mine.held("galera")


def test_no_zookeeper_at_all() -> None:
    with pytest.raises(CoordError, match="coord.none"):
        Permits((), "lab", "c1").take("galera")
