"""Fork servers: OpenStack's programs start from processes that have their libraries loaded (node/forkserver.py).

An accelerator only. Where it does not run, or does not answer, supervisord executes the programs as it does any other.
"""

from __future__ import annotations

import json

from outlast.plan.plan import Member, Plan
from outlast.services import oslo
from outlast.services.contract import Service
from outlast.services.forkserver.modules import COMMON, FIRST_NICE, PROJECTS, READ
from outlast.services.sdn import ring_file
from outlast.spec.file import File, Text
from outlast.spec.probe import UNIX, Probe
from outlast.spec.program import Program
from outlast.spec.service import MemberSpec, ServiceSpec

CONFIG = "/etc/outlast/forkserver.json"

SPEC = ServiceSpec(
    name=oslo.FORKSERVER,
    title="Fork servers (Python loaded ahead)",
    kind="stateless",
    mode="active-active",
    roles=("service",),
)


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One node's fork servers: one program, a process for each project that the node runs."""
    here = {one.service for one in plan.members_on(member.node) if usable(plan, one.service)}
    projects = [[name, nice, modules] for name, (nice, modules) in PROJECTS.items() if name in here]
    config = {"folder": oslo.FORKS, "common": COMMON, "projects": projects}
    path = ":".join(("/var/lib/outlast/code", oslo.PYTHON_CODE))
    argv = (f"{oslo.HOME}/bin/python", "-P", "-W", "ignore", "-m", "outlast.node.forkserver", CONFIG)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        files=(
            File(CONFIG, Text(json.dumps(config, indent=1) + "\n")),
            oslo.VALIDATORS,
            oslo.KEYSTONE_LAZY,
            oslo.LOGINS,
            *((ring_file(plan),) if "neutron" in here else ()),
        ),
        programs=(
            Program(
                "forkserver",
                argv,
                env=(("PYTHONPATH", path), *oslo.ENV),
                stop_seconds=2,
                priority=6,
                nice=FIRST_NICE,
            ),
        ),
        probes=(Probe("http", f"{UNIX}{oslo.FORKS}/status", statuses=(200,), program="forkserver", interval=3.0),),
    )


def usable(plan: Plan, project: str) -> bool:
    """Whether no override concerns an option that a project reads while it loads."""
    read = READ.get(project, {})
    return not any(
        section in read and (not read[section] or not set(read[section]).isdisjoint(keys))
        for sections in plan.overrides.get(project, {}).values()
        for section, keys in sections.items()
    )


SERVICE = Service(SPEC, describe)
