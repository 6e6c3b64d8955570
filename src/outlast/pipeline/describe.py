"""The plan for people and for programs."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from outlast.plan.plan import Plan


def plan_table(plan: Plan) -> Table:
    """Services by node, with their classification (A2)."""
    nodes = [node.name for node in plan.nodes if plan.members_on(node.name)]
    table = Table(title=f"{plan.cluster}: what runs where", title_justify="left", title_style="bold")
    table.add_column("service")
    for name in nodes:
        table.add_column(name, justify="center")
    table.add_column("kind", style="dim")
    for name, spec in plan.specs.items():
        holders = {member.node: "●" for member in plan.members_of(name)}
        if holders:
            table.add_row(name, *(holders.get(node, "") for node in nodes), f"{spec.kind}, {spec.mode}")
    return table


def plan_json(plan: Plan) -> dict[str, object]:
    """The plan as plain values."""
    return {
        "cluster": plan.cluster,
        "profile": plan.timing.name,
        "nodes": [asdict(node) for node in plan.nodes],
        "vips": [asdict(vip) for vip in plan.vips.values()],
        "services": {
            name: {
                "title": spec.title,
                "kind": spec.kind,
                "mode": spec.mode,
                "nodes": [member.node for member in plan.members_of(name)],
                "ports": {port.name: port.number for port in spec.ports},
                "options": dict(plan.options.get(name, {})),
            }
            for name, spec in plan.specs.items()
        },
        "frontends": [
            {"name": item.frontend.name, "vip": item.vip, "address": item.address, "port": item.port}
            for item in plan.frontends
        ],
    }
