"""All rules across fields: what a well-formed cluster file may still get wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from outlast.errors import Problem
from outlast.model.address_rules import address_rules
from outlast.model.budget_rules import budget_rules
from outlast.model.cluster import NAME_PATTERN, Cluster
from outlast.model.listeners import listener_rules
from outlast.model.service_rules import service_rules
from outlast.model.vip_rules import vip_rules
from outlast.spec.service import ServiceSpec

# Problems of something that is not there: worthless while parts of the file had to be left out.
ABSENCES = frozenset(
    {
        "endpoint.missing",
        "frontend.nowhere",
        "quorum.even",
        "quorum.too-small",
        "role.nobody",
        "service.none",
        "ssh.mixed",
        "tunnel.missing",
        "vip.missing",
    }
)

# Problems of a value by itself: true whatever nodes and networks had to be left out.
LOCAL = frozenset(
    {
        "frontend.unknown",
        "gateway.outside-network",
        "interface.duplicate",
        "name.invalid",
        "network.overlap",
        "network.too-small",
        "option.choice",
        "option.range",
        "option.type",
        "option.unknown",
        "pool.outside-network",
        "pool.reversed",
        "port.range",
        "service.unknown",
        "vip.duplicate",
    }
)


def check(cluster: Cluster, specs: Mapping[str, ServiceSpec]) -> tuple[Problem, ...]:
    """Every broken rule: path instead of line. Severity "error" refuses the file, "warning" does not."""
    return (
        *_names(cluster),
        *address_rules(cluster),
        *vip_rules(cluster, specs),
        *service_rules(cluster, specs),
        *listener_rules(cluster, specs),
        *budget_rules(cluster, specs),
    )


def _names(cluster: Cluster) -> Iterator[Problem]:
    hint = "use at most 31 lower-case letters, digits and hyphens, a letter first"
    for section, found in (("nodes", cluster.nodes), ("vips", cluster.vips)):
        for name in found:
            if not re.fullmatch(NAME_PATTERN, name):
                sentence = f"{section} has the key {name!r}, which cannot be a host's or an instance's name"
                yield Problem("name.invalid", sentence, hint=hint, path=(section, name))
