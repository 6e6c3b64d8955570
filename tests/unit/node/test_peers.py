"""Since when the others of a service have been a majority: one look at which they were none begins it anew."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.node import peers
from outlast.node.peers import Peers

BUNDLE: Any = SimpleNamespace(peers=[SimpleNamespace(node=name, services=("ovn",)) for name in ("c2", "c3")])


def said(status: str) -> Any:
    return SimpleNamespace(members=[SimpleNamespace(service="ovn", health=SimpleNamespace(status=status))])


def test_a_majority_is_counted_from_its_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        one, now = Peers(BUNDLE), 1000.0
        monkeypatch.setattr(one, "_look", lambda: asyncio.sleep(0))
        monkeypatch.setattr(peers.time, "monotonic", lambda: now)
        assert (one.others("ovn").well, one.others("ovn").since) == (0, 0.0)
        one.heard = {"c2": (now, said("ok")), "c3": (now, said("ok"))}
        assert (one.others("ovn").well, one.others("ovn").since) == (2, 1000.0)
        now = 1002.0
        assert one.others("ovn").since == 1000.0
        one.heard["c3"] = (now, said("failed"))
        assert (one.others("ovn").well, one.others("ovn").since) == (1, 0.0)
        now = 1003.0
        one.heard = {"c2": (now, said("ok")), "c3": (now, said("ok"))}
        assert one.others("ovn").since == 1003.0

    asyncio.run(run())
