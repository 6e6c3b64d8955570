"""Every single point of failure is told, with the nodes and the consequence."""

from __future__ import annotations

import pytest
from model_samples import GOOD, ONE_NODE, SPECS, damaged

from outlast.model.loader import examine

DOMAINS = GOOD.replace("c1: {", "c1: {domain: a, ").replace("c2: {", "c2: {domain: a, ")

CASES = [
    ("none", GOOD, ""),
    ("own domains", GOOD.replace("c1: {", "c1: {domain: a, ").replace("c2: {", "c2: {domain: b, "), ""),
    ("one node tells all", ONE_NODE, "spof.single-node:8"),
    (
        "two of three in one domain",
        DOMAINS,
        "spof.domain-quorum:11 spof.storage-domains:11",
    ),
    (
        "all in one domain",
        DOMAINS.replace("c3: {", "c3: {domain: a, "),
        "spof.domain-quorum:11 spof.domain:11 spof.endpoint-domain:11 spof.gateway-domain:11 spof.storage-domains:11",
    ),
    ("one compute node", damaged("  k2: {roles: [compute]}\n", ""), "spof.single-compute:14"),
    ("two gateways", damaged("c3: {roles: [controller, network]", "c3: {roles: [controller]"), "spof.gateway-pair:12"),
    (
        "one gateway",
        GOOD.replace(", network]", "]").replace("k1: {roles: [", "k1: {roles: [network, "),
        "spof.single-gateway:14",
    ),
    (
        "one endpoint",
        GOOD.replace("[controller", "[service, sdn, storage").replace("k1: {roles: [", "k1: {roles: [endpoint, "),
        "spof.single-endpoint:14",
    ),
    ("one holder", damaged("10.21.0.250}", "10.21.0.250, nodes: [c2]}"), "spof.single-vip-node:9"),
    (
        "one member",
        GOOD.replace("[controller", "[endpoint, service, storage").replace("k1: {roles: [", "k1: {roles: [sdn, "),
        "spof.single-member:14",
    ),
]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_single_points(text: str, expected: str) -> None:
    problems = [item for item in examine(text, "lab.yaml", SPECS).problems if item.code.startswith("spof.")]
    assert [f"{item.code}:{item.line}" for item in problems] == expected.split()
    assert {item.severity for item in problems} <= {"warning"}


def test_sentences_name_nodes_and_consequence() -> None:
    said = [item.sentence for item in examine(DOMAINS, "lab.yaml", SPECS).problems]
    assert said[0] == (
        "2 of 3 members of galera and zookeeper are in the failure domain 'a' (c1 and c2):"
        " its loss takes the majority, and the service stops"
    )
