"""Holding agents back: on the nodes meant, durably, and with a word for each."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from fake_nodes import Nodes, node, plain

from outlast.errors import InputError, RolloutError
from outlast.node import disk
from outlast.pipeline import pause as verb

PATH = str(disk.PAUSE)


def three() -> Nodes:
    return Nodes({name: node(name) for name in ("c1", "c2", "c3")})


def paused(nodes: Nodes) -> dict[str, str]:
    return {name: one.files[PATH].content.decode() for name, one in nodes.nodes.items() if PATH in one.files}


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_all_nodes_or_those_named_once_each() -> None:
    nodes: Any = three()
    done = run(verb.pause(nodes, ("c3", "c1", "c3"), "new disk"))
    assert [(one.node, one.well, one.sentence) for one in done] == [
        ("c1", True, "paused: new disk"),
        ("c3", True, "paused: new disk"),
    ]
    assert paused(nodes) == {"c1": "new disk\n", "c3": "new disk\n"}
    assert all(one.well for one in run(verb.pause(nodes, (), "kernel")))
    assert set(paused(nodes).values()) == {"kernel\n"}
    said = [one.sentence for one in run(verb.resume(nodes, ("c1", "c2")))]
    assert said == ["resumed", "resumed"]
    assert set(paused(nodes)) == {"c3"}
    assert [one.sentence for one in run(verb.resume(nodes, ()))] == ["was not paused", "was not paused", "resumed"]


def test_a_node_out_of_reach_keeps_nobody_else_from_it() -> None:
    nodes: Any = Nodes({"c1": node("c1"), "c2": node("c2", off=True)})
    for done in (run(verb.pause(nodes, (), "why")), run(verb.resume(nodes, ()))):
        assert [one.well for one in done] == [True, False]
        assert done[1].sentence == "nothing was done: the node is off"


def test_an_agent_that_does_not_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "NOTICE", 0.05)
    nodes: Any = Nodes({"c1": node("c1", lambda one: plain("c1", type(one)()))})
    done = run(verb.pause(nodes, (), "why"))[0]
    assert not done.well
    assert "did not confirm" in done.sentence and PATH in nodes.nodes["c1"].files


def test_an_unknown_node_is_named_before_anything_is_done() -> None:
    nodes: Any = three()
    with pytest.raises(InputError, match="c9"):
        run(verb.pause(nodes, ("c1", "c9"), "why"))
    assert paused(nodes) == {}


def test_up_is_refused_with_nodes_reasons_and_the_way_out() -> None:
    nodes: Any = Nodes({"c1": node("c1"), "c2": node("c2"), "c3": node("c3", off=True)})
    run(verb.refuse_paused(nodes))
    run(verb.pause(nodes, ("c1", "c2"), "new disk"))
    with pytest.raises(RolloutError) as caught:
        run(verb.refuse_paused(nodes))
    assert caught.value.code == "rollout.paused"
    assert "c1, c2 (new disk)" in caught.value.message and "outlast resume c1 c2" in caught.value.message


def test_a_cluster_that_is_not_up_is_not_paused() -> None:
    class NotUp:
        def reached(self) -> AbstractAsyncContextManager[object]:
            raise InputError("cluster.not-up", "not yet")

    absent: Any = NotUp()
    run(verb.refuse_paused(absent))


def test_reasons_are_signed_and_on_one_line() -> None:
    said = verb.signed(" new\n disk ", 0.0)
    assert said.startswith("new disk (") and "@" in said and "19" in said and "\n" not in said
    assert "@" in verb.signed("", 0.0)
