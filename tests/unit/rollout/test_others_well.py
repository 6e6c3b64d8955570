"""When a member may go down: what counts as well on the other nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outlast.observe.answer import Unreachable
from outlast.rollout.rollout import _ill
from outlast.rollout.waves import unreadable
from outlast.spec.bundle import Bundle
from outlast.spec.probe import Health
from outlast.spec.snapshot import MemberState, Snapshot

OLD = Bundle("lab", "c2", "old", "code", "10.0.0.2", 8900, "safe", (), (), ())
NEW = replace(OLD, digest="new")
SERVICES = frozenset({"galera"})


def says(phase: str, bundle: str = "old") -> Snapshot:
    members = (MemberState("galera", Health("ok", "", ""), phase, "", True, True),)
    return Snapshot("lab", "c2", bundle, "code", "boot", 1, "", members)


@pytest.mark.parametrize(
    ("answer", "handed", "ill"),
    [
        (says("settled"), OLD, False),
        (says("starting"), OLD, True),
        (Unreachable("no answer"), OLD, True),
        # `up` was killed right after it wrote the bundle: "settled" is said of the one before, its restart is to come.
        (says("settled"), NEW, True),
        (says("settled", "new"), NEW, False),
        (says("settled"), None, False),
        (says("settled"), unreadable(), False),
    ],
)
def test_who_is_ill(answer: Snapshot | Unreachable, handed: Bundle | None, ill: bool) -> None:
    assert _ill(answer, SERVICES, handed) is ill


def test_other_services_do_not_matter() -> None:
    assert not _ill(says("starting"), frozenset({"nova"}), OLD)
