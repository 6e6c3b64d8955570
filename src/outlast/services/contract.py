"""The shape of a service: its specification and how it describes one member. Services describe, stages do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from outlast.plan.plan import Member, Plan
from outlast.spec.service import MemberSpec, ServiceSpec


class Service(NamedTuple):
    """What a service is (`spec`), and what it needs on one node of a plan (`describe`, pure)."""

    spec: ServiceSpec
    describe: Callable[[Plan, Member], MemberSpec]
