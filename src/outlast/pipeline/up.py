"""`outlast up`: from the cluster file to a running cluster; run again, it changes only what differs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from outlast.errors import MachineError, RolloutError
from outlast.lab import build as lab_build
from outlast.lab import runtime
from outlast.lab.image import build as image_build
from outlast.lab.image.recipe import Recipe, digest, load_recipe
from outlast.lab.preflight import preflight
from outlast.lab.topology import Topology
from outlast.observe.collect import Answer, Unreachable
from outlast.pipeline.budgets import keep_budgets
from outlast.pipeline.bundles import bundles
from outlast.pipeline.client import await_cloud
from outlast.pipeline.hosts import prepare
from outlast.pipeline.pause import refuse_paused
from outlast.pipeline.progress import Progress
from outlast.pipeline.target import NOTE, Target
from outlast.rollout.rollout import Rollout, roll
from outlast.services.registry import SPECS

HOST_NUMBER = 254
"""The operator's machine in a lab network, with --host-access: the last usable host number of a /24."""


@dataclass
class Report:
    """What `up` did: seconds of each phase, milestones in seconds since the roll-out began, and the changes made."""

    phases: dict[str, float] = field(default_factory=dict)
    milestones: dict[str, float] = field(default_factory=dict)
    rollout: Rollout | None = None

    @property
    def changed(self) -> bool:
        return bool(self.rollout and self.rollout.changes)


async def up(target: Target, progress: Progress, *, host_access: bool = False, deadline: float = 900.0) -> Report:
    """Raises MachineError, ImageError, LabError, RemoteError or RolloutError; run it again to continue.

    ClusterFileError, before anything is changed, where the settings break a budget; RolloutError rollout.paused where a
    node is paused.
    """
    report = Report()
    target.check_owner()
    keep_budgets(target)
    if target.is_lab:
        check_machine(target)
    with only_one(target):
        await refuse_paused(target)
        if target.is_lab:
            with _phase(report, progress, "image"):
                image_root = await asyncio.to_thread(node_image, target, progress)
            with _phase(report, progress, "lab"):
                await asyncio.to_thread(build_lab, target, image_root)
                if host_access:
                    _connect_host(target)
        else:
            with _phase(report, progress, "hosts"):
                await prepare(target)
        with _phase(report, progress, "cluster"):
            report.rollout = await _roll(target, progress, report, deadline)
    return report


def check_machine(target: Target) -> None:
    """Raises MachineError with everything that this machine lacks, before anything is changed."""
    needed = 1024 * len(target.plan.nodes)
    problems = preflight(home=target.state_dir.parent, memory_mib=_memory_mib(target), disk_mib=needed)
    if problems:
        raise MachineError("machine.unfit", "\n".join(str(problem) for problem in problems))


def _memory_mib(target: Target) -> int:
    """About what the lab needs: measured shares of a member's programs, rounded up."""
    heavy = sum(1 for member in target.plan.members if member.service not in ("keepalived", "memcached"))
    return 200 + 180 * heavy


def node_image(target: Target, progress: Progress) -> Path:
    """Root of the image for the lab's nodes: what they stand on, else the present one (built if need be).

    Raises ImageError as `outlast.lab.image.build.build` does.
    """
    standing = runtime.standing_image(_topology(target), target.state_dir)
    if standing is None:
        return build_image(progress).root
    if standing.parent.name != digest(_recipe()):
        # Minutes for an image that no node would use; a node changes its image only by being built anew.
        progress.say("the nodes stay on their image; only nodes built anew (outlast down, up) get the present one")
    return standing


def build_image(progress: Progress) -> image_build.Image:
    """The present image, built where it is not in the cache. Raises ImageError as `node_image` does."""
    return image_build.build(_recipe(), image_build.default_cache(), progress=progress.say)


def _recipe() -> Recipe:
    return load_recipe([package for spec in SPECS.values() for package in spec.packages])


def _topology(target: Target) -> Topology:
    return lab_build.topology(target.plan, str(target.state_dir))


def build_lab(target: Target, image_root: Path) -> runtime.Lab:
    """The lab's nodes, powered on; those that are there stay as they are."""
    lab = runtime.create(_topology(target), image_root, target.state_dir)
    (target.state_dir / NOTE).write_text(f"{target.path}\n")
    return lab


def _connect_host(target: Target) -> None:
    import ipaddress

    network = target.plan.networks["management"]
    address = ipaddress.ip_network(network.cidr)[HOST_NUMBER if network.prefix <= 24 else -2]
    target.lab.host_access("management", f"{address}/{network.prefix}")


async def _roll(target: Target, progress: Progress, report: Report, deadline: float) -> Rollout:
    new, code = bundles(target)
    begun = time.monotonic()

    def observe(answers: Mapping[str, Answer]) -> None:
        for name in _healthy_services(target, answers):
            report.milestones.setdefault(name, time.monotonic() - begun)
        progress.nodes(answers)

    async def cloud() -> None:
        async for milestone in await_cloud(target, deadline):
            report.milestones[milestone] = time.monotonic() - begun

    outside = asyncio.create_task(cloud()) if _offers_tokens(target) else None
    try:
        async with target.reached() as connectors:
            done = await roll(new, code, connectors, observe, deadline)
        if outside:
            await outside
        return done
    finally:
        if outside:
            outside.cancel()


def _offers_tokens(target: Target) -> bool:
    has_client = any("client" in node.roles for node in target.plan.nodes)
    return has_client and target.plan.has("keystone") and "external" in target.plan.vips


def _healthy_services(target: Target, answers: Mapping[str, Answer]) -> Iterator[str]:
    """Services all of whose members are well."""
    for name in target.plan.specs:
        members = target.plan.members_of(name)
        if members and all(_well(answers.get(member.node), name) for member in members):
            yield name


def _well(answer: Answer | None, service: str) -> bool:
    if answer is None or isinstance(answer, Unreachable):
        return False
    return any(state.service == service and state.health.status == "ok" for state in answer.members)


@contextmanager
def _phase(report: Report, progress: Progress, name: str) -> Iterator[None]:
    progress.phase(name)
    begun = time.monotonic()
    yield
    report.phases[name] = time.monotonic() - begun


@contextmanager
def only_one(target: Target) -> Iterator[None]:
    """Two roll-outs of one cluster from one machine exclude each other. Raises RolloutError for the second."""
    descriptor = os.open(target.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RolloutError("rollout.busy", "another `outlast up` works on this cluster; wait for it") from None
        try:
            yield
        finally:
            target.lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
