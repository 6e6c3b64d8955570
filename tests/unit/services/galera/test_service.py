"""Galera's configuration and what its setup may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outlast.plan.plan import Member, Plan, PlannedNode
from outlast.services.galera.service import SERVICE, databases, describe, evs, users_sql
from outlast.services.memcached.service import SERVICE as MEMCACHED
from outlast.services.rabbitmq.service import SERVICE as RABBITMQ
from outlast.services.zookeeper.service import SERVICE as ZOOKEEPER
from outlast.services.zookeeper.service import hosts
from outlast.spec.file import Ini, Text
from outlast.spec.service import ServiceSpec
from outlast.spec.timing import OUTLAST, PROFILES, Timing

SERVICES = {service.spec.name: service for service in (SERVICE, RABBITMQ, ZOOKEEPER, MEMCACHED)}
NOVA = ServiceSpec("nova", "Nova", "stateless", "active-active", ("service",), databases=("nova_api", "nova"))


def sample(nodes: int = 3) -> Plan:
    specs = {name: service.spec for name, service in SERVICES.items()} | {"nova": NOVA}
    planned = tuple(
        PlannedNode(f"c{number}", number - 1, ("service",), f"d{number}", {"control-data": f"10.21.0.{10 + number}"})
        for number in range(1, nodes + 1)
    )
    members = tuple(Member(name, node.name, node.index) for name in specs for node in planned)
    options = {name: {option.name: option.default for option in spec.options} for name, spec in specs.items()}
    return Plan("lab", "RegionOne", OUTLAST, "safe", planned, {}, {}, specs, members, (), options)


@pytest.mark.parametrize("timing", PROFILES.values(), ids=list(PROFILES))
def test_galera_accepts_the_timers(timing: Timing) -> None:
    assert timing.galera_check_period <= timing.galera_suspect / 2
    assert timing.galera_keepalive <= timing.galera_suspect / 3
    assert timing.galera_install < timing.galera_inactive
    assert evs(timing)["evs.suspect_timeout"] == f"PT{timing.galera_suspect}S"


def test_the_config_binds_the_own_address_and_follows_the_profile() -> None:
    plan = replace(sample(), timing=replace(OUTLAST, flush_at_commit=0))
    member = describe(plan, plan.members_of("galera")[1])
    content = member.files[0].content
    assert isinstance(content, Ini)
    keys = content.sections["mariadbd"]
    assert keys["bind-address"] == "10.21.0.12"
    assert keys["wsrep_cluster_address"] == "gcomm://10.21.0.11,10.21.0.12,10.21.0.13"
    assert keys["innodb_flush_log_at_trx_commit"] == 0
    assert keys["wsrep_sst_donor"] == "c3,c1,"
    assert content.sections["sst"]["sockopt"] == '",bind=10.21.0.12"'


def test_services_own_their_databases_only_and_no_secret_is_an_argument() -> None:
    plan = sample()
    sql = users_sql(plan)
    assert databases(plan) == ("nova_api", "nova")
    assert "GRANT ALL PRIVILEGES ON `nova\\_api`.* TO 'nova'@'%';" in sql
    assert "*.*" not in sql
    for name, service in SERVICES.items():
        member = service.describe(plan, plan.members_of(name)[0])
        words = [word for program in member.programs for word in program.argv]
        words += [word for step in (*member.prepare, *member.setup) for word in step.argv]
        assert not [word for word in words if "⟦secret" in word], name


def test_without_other_services_there_is_no_setup() -> None:
    plan = sample()
    alone = replace(plan, members=tuple(member for member in plan.members if member.service != "nova"))
    assert describe(alone, alone.members_of("galera")[0]).setup == ()


def test_rabbitmq_names_all_peers_and_keeps_its_secrets_closed() -> None:
    plan = sample()
    member = RABBITMQ.describe(plan, plan.members_of("rabbitmq")[0])
    content = member.files[0].content
    assert isinstance(content, Ini)
    peers = [value for key, value in content.sections[""].items() if "classic_config.nodes" in key]
    assert peers == ["rabbit@c1", "rabbit@c2", "rabbit@c3"]
    assert "khepri_db" in dict(member.programs[0].env)["RABBITMQ_FEATURE_FLAGS"]
    secret = [file for file in member.files if "⟦secret" in str(file.content)]
    assert {file.mode for file in secret} == {0o640, 0o400}
    assert all(file.owner == "rabbitmq" for file in secret)


def test_zookeeper_numbers_its_members() -> None:
    plan = sample()
    member = ZOOKEEPER.describe(plan, plan.members_of("zookeeper")[2])
    content = member.files[0].content
    assert isinstance(content, Ini)
    assert content.sections[""]["server.3"] == "10.21.0.13:2888:3888"
    assert member.files[1].content == Text("3\n")
    assert hosts(plan) == "10.21.0.11:2181,10.21.0.12:2181,10.21.0.13:2181"
