"""The same cluster under another timing profile: how the drills' comparisons are made."""

from __future__ import annotations

from outlast.errors import InputError
from outlast.model.cluster import Budgets
from outlast.pipeline.target import Target
from outlast.plan.build import plan as build_plan
from outlast.services.registry import SPECS
from outlast.spec.timing import PROFILES


def under(target: Target, profile: str) -> Target:
    """The target as if its file said `profile: …`. Its budgets are left out: they are promises of the file's own one.

    Raises InputError drill.profile.
    """
    if profile not in PROFILES:
        raise InputError("drill.profile", f"no timing profile is named {profile!r}; there are {', '.join(PROFILES)}")
    if profile == target.cluster.profile:
        return target
    cluster = target.cluster.model_copy(update={"profile": profile, "budgets": Budgets()})
    return Target(target.path, cluster, build_plan(cluster, SPECS))
