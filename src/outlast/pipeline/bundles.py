"""Plan → a bundle for every node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import outlast.errors
from outlast.pipeline.target import Target
from outlast.render.bundle import Code, bundle, secrets_in
from outlast.render.tree import NodeTree, render_node
from outlast.rollout import code as packing
from outlast.rollout import secrets
from outlast.services.registry import DESCRIBE
from outlast.spec.bundle import Bundle


def trees(target: Target) -> Mapping[str, NodeTree]:
    """Every node's files, secrets still by name."""
    return {node.name: render_node(target.plan, node.name, DESCRIBE) for node in target.plan.nodes}


def own_code() -> Code:
    """This very package, packed for the nodes."""
    return packing.pack(Path(outlast.errors.__file__).parent)


def bundles(target: Target, *, dry: bool = False) -> tuple[Mapping[str, Bundle], Code]:
    """Bundles of all nodes that run members; missing secrets are made, and stored beside the file unless `dry`."""
    rendered = trees(target)
    values = secrets.complete(secrets.path_for(target.path), secrets_in(rendered.values()), store=not dry)
    code = own_code()
    return {name: bundle(target.plan, tree, values, code) for name, tree in rendered.items() if tree.members}, code
