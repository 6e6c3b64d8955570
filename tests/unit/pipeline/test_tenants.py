"""The stream between two servers: when there is one, and what is said when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from outlast.drill.faults.hands import Hands
from outlast.errors import InputError, MachineError
from outlast.pipeline import drill, tenants
from outlast.pipeline.target import Target

SERVER = {"step": "second server", "id": "0f3e", "host": "k2", "to": "k1"}
NONE = {"step": "no second server", "sentence": "no compute node is up but k1"}


class _Stream:
    """A console on which an answer is heard, or none."""

    heard = True

    def __init__(self, name: str, hands: object, node: str, path: str) -> None:
        self.place = (name, node, path)

    def speaks(self, seconds: float) -> bool:
        return self.heard


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], list[str]]:
    """What the client node answers; the actions that it was asked for."""

    def answering(answer: dict[str, str]) -> list[str]:
        asked: list[str] = []

        async def demo(target: Target, told: Callable[[Any], None], *, action: str = "run", **_: object) -> None:
            asked.append(action)
            told(answer)

        monkeypatch.setattr(tenants, "demo", demo)
        monkeypatch.setattr(tenants, "ConsoleStream", _Stream)
        return asked

    return answering


def test_it_is_heard_on_the_console_of_the_server_that_sends(cloud: Any, lab: Target) -> None:
    cloud(SERVER)
    found: Any = tenants.between(lab, Hands(None, lab.plan))  # type: ignore[arg-type]
    assert found.place == ("between", "k2", "/var/lib/nova/instances/0f3e/console.log")


def test_one_compute_node_has_no_stream_and_the_drill_runs_without(cloud: Any, lab: Target) -> None:
    cloud(NONE)
    hands = Hands(None, lab.plan)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two compute nodes are needed: no compute node is up but k1"):
        tenants.between(lab, hands)
    stream, missing = drill.between_servers(lab, hands)
    assert stream is None and missing.startswith("no stream between servers was measured: two compute nodes are needed")


def test_a_server_that_gets_no_answer_is_made_anew_by_the_next_drill(
    cloud: Any, lab: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = cloud(SERVER)
    monkeypatch.setattr(_Stream, "heard", False)
    with pytest.raises(MachineError, match="drill-2 on k2 got no answer from drill-1 on k1"):
        tenants.between(lab, Hands(None, lab.plan))  # type: ignore[arg-type]
    assert asked == ["second", "forget"]
