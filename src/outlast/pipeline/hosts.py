"""Real hosts: made into nodes over SSH, by the same package list, locks and scripts as the lab's image."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Mapping

from outlast.errors import RolloutError
from outlast.lab.image.recipe import HERE, Recipe, digest, load_recipe, lock_stamp
from outlast.pipeline.target import Target
from outlast.plan.kernel import SYSCTLS
from outlast.plan.plan import CONTROL_DATA, MANAGEMENT, Plan
from outlast.remote.base import Connector
from outlast.services.registry import SPECS

FOLDER = "/var/lib/outlast/prepare"
SECONDS = 3600.0
"""Time for one host: most of it is its mirror's."""


async def prepare(target: Target) -> tuple[str, ...]:
    """Makes every host of the cluster file into a node; those that are one already stay. The names of the new ones.

    Raises RolloutError naming the host and its last words, RemoteError for one out of reach.
    """
    recipe = load_recipe(package for spec in SPECS.values() for package in spec.packages)
    async with target.reached() as connectors:
        done = await asyncio.gather(*(_host(target.plan, node, item, recipe) for node, item in connectors.items()))
    return tuple(node for node, new in zip(connectors, done, strict=True) if new)


async def _host(plan: Plan, node: str, connector: Connector, recipe: Recipe) -> bool:
    await _settings(plan, connector)
    known = await connector.run(("cat", "/var/lib/outlast/prepared"), timeout=30)
    if known.status == 0 and known.text.strip() == digest(recipe):
        return False
    unpack = f"mkdir -p {FOLDER} && tar -x -C {FOLDER}"
    await _checked(node, connector, ("sh", "-c", unpack), 120, parts())
    script = ("sh", f"{FOLDER}/scripts/host.sh", FOLDER, digest(recipe), lock_stamp(recipe), *recipe.packages)
    await _checked(node, connector, script, SECONDS)
    return True


async def _settings(plan: Plan, connector: Connector) -> None:
    """Kernel settings and the nodes' names, which the lab gives its nodes when it builds them."""
    sysctl = "".join(f"{key} = {value}\n" for key, value in SYSCTLS)
    await connector.put("/etc/sysctl.d/90-outlast.conf", sysctl.encode(), mode=0o644)
    await connector.run(("sysctl", "--quiet", "--load", "/etc/sysctl.d/90-outlast.conf"), timeout=30)
    before = (await connector.get("/etc/hosts")).decode(errors="replace")
    wanted = hosts_file(before, names(plan))
    if wanted != before:
        await connector.put("/etc/hosts", wanted.encode(), mode=0o644)


def names(plan: Plan) -> Mapping[str, str]:
    """Node name → the address it is known by (control-data, else management)."""
    return {node.name: node.addresses.get(CONTROL_DATA, node.addresses[MANAGEMENT]) for node in plan.nodes}


BEGIN, END = "# outlast: begin", "# outlast: end"


def hosts_file(text: str, known: Mapping[str, str]) -> str:
    """/etc/hosts with our block in place of an older one; everything else stays as it is."""
    head, found, rest = text.partition(f"{BEGIN}\n")
    tail = rest.partition(f"{END}\n")[2] if found else ""
    block = "".join(f"{address} {name}\n" for name, address in known.items())
    if head and not head.endswith("\n"):
        head += "\n"
    return f"{head}{BEGIN}\n{block}{END}\n{tail}"


def parts() -> bytes:
    """A tar of scripts, locks, knowledge.py and forks.py, as host.sh wants them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("scripts", "locks", "knowledge.py", "forks.py"):
            archive.add(HERE / name, arcname=name, filter=lambda item: None if "__pycache__" in item.name else item)
    return buffer.getvalue()


async def _checked(
    node: str, connector: Connector, argv: tuple[str, ...], timeout: float, given: bytes | None = None
) -> None:
    output = await connector.run(argv, timeout=timeout, input=given)
    if output.status:
        words = (output.stderr or output.stdout).decode(errors="replace").strip().splitlines()
        raise RolloutError("host.prepare", f"{node}: {' / '.join(words[-3:]) or f'exit {output.status}'}")
