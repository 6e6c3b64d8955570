"""OVN's databases (NB and SB, RAFT clusters) and its translator northd (one active, the others standing by)."""

from __future__ import annotations

import json

from outlast.plan.plan import Member, Plan
from outlast.services.contract import Service
from outlast.services.sdn import probe_ms, remotes
from outlast.spec.file import Directory, File, Template, Text
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Space
from outlast.spec.service import MemberSpec, Option, Port, ServiceSpec

SPEC = ServiceSpec(
    name="ovn",
    title="OVN databases and northd",
    kind="stateful",
    mode="active-active",
    roles=("sdn",),
    packages=("ovn-central",),
    ports=(Port("nb", 6641), Port("sb", 6642), Port("nb-raft", 6643), Port("sb-raft", 6644)),
    options=(
        Option(
            "election_timer",
            1.5,
            "Seconds without a word from the leader until a new one is elected (one to two times that). Counts when "
            "the databases are created; change it later with cluster/change-election-timer.",
            minimum=0.5,
            maximum=60,
        ),
        Option(
            "probe_interval",
            3.0,
            "Seconds of silence after which databases and their clients question a connection; it is given up after "
            "another such time.",
            minimum=1,
            maximum=60,
        ),
    ),
    quorum=True,
)
NAMES = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}
SCRIPT = "/usr/local/lib/outlast/ovn-db"


STARTS_IN_VAIN = 3
"""Starts in a row that ended before the server answered, after which its file counts as unreadable."""
SPACE_MIB = 50
"""Many times what a database grows by before it compacts itself."""


def describe(plan: Plan, member: Member) -> MemberSpec:
    """One node's pair of database members and its northd."""
    address = plan.address(member.node)
    return MemberSpec(
        service=SPEC.name,
        node=member.node,
        directories=(Directory("/run/ovn"), Directory("/var/lib/ovn"), Directory("/etc/ovn")),
        files=(
            File(SCRIPT, Template("ovn", "ovn-db.sh.j2", _variables(plan, member)), mode=0o755),
            *(File(f"/etc/ovn/{db}.json", Text(_server(plan, address, db))) for db in NAMES),
        ),
        programs=(
            Program("ovn-nb", (SCRIPT, "nb"), priority=20),
            Program("ovn-sb", (SCRIPT, "sb"), priority=20),
            Program("ovn-northd", _northd(plan), priority=21),
        ),
        space=Space("/var/lib/ovn", SPACE_MIB),
        probes=(
            *(
                Probe("ovsdb", address, plan.port("ovn", db), contains=name, program=f"ovn-{db}", interval=2.0)
                for db, name in NAMES.items()
            ),
            Probe(
                "unixctl",
                path="/run/ovn/ovn-northd.ctl",
                argv=("status",),
                contains="Status:",
                program="ovn-northd",
                interval=2.0,
                timeout=2.0,
            ),
        ),
    )


def _variables(plan: Plan, member: Member) -> dict[str, object]:
    address = plan.address(member.node)
    return {
        "address": address,
        "peers": tuple(peer for peer in plan.addresses("ovn") if peer != address),
        "majority": len(plan.members_of("ovn")) // 2 + 1,
        "founder": member.founder,
        "starts": STARTS_IN_VAIN,
        "election_ms": round(float(plan.option("ovn", "election_timer") or 0) * 1000),
        "ports": {port.name.replace("-", "_"): port.number for port in SPEC.ports},
    }


def _server(plan: Plan, address: str, db: str) -> str:
    """ovsdb-server's configuration file. Only here a listener can be given a probe interval without a row in the
    database itself, and only a file holds before the first election."""
    remote = {"inactivity-probe": probe_ms(plan)}
    configuration = {
        "remotes": {f"punix:/run/ovn/ovn{db}_db.sock": {}, f"ptcp:{plan.port('ovn', db)}:{address}": remote},
        "databases": {f"/var/lib/ovn/ovn{db}_db.db": {"service-model": "clustered"}},
    }
    return json.dumps(configuration, indent=2) + "\n"


def _northd(plan: Plan) -> tuple[str, ...]:
    return (
        "/usr/bin/ovn-northd",
        f"--ovnnb-db={remotes(plan, 'nb')}",
        f"--ovnsb-db={remotes(plan, 'sb')}",
        "--unixctl=/run/ovn/ovn-northd.ctl",
        "--pidfile=/run/ovn/ovn-northd.pid",
        "-vconsole:info",
        "-vsyslog:off",
        "-vfile:off",
    )


SERVICE = Service(SPEC, describe)
