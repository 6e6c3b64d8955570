"""Keepalived's files as text."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from endpoint_plan import files, overridden, sample

from outlast.node.guard.quorum import QuorumLimits
from outlast.node.guard.settings import Instance, Network, RouterSettings, read_router
from outlast.plan.plan import Plan
from outlast.services.keepalived.service import CONFIG, GUARD_CONFIG
from outlast.spec.timing import CLASSIC, KOLLA


def block(config: str, heading: str) -> list[str]:
    """Stripped lines between a heading and the brace that closes it."""
    lines = config.splitlines()
    start = lines.index(f"{heading} {{")
    return [line.strip() for line in lines[start + 1 : lines.index("}", start)]]


def test_an_instance_per_vip_with_this_nodes_priority() -> None:
    config = files(sample(), "keepalived", "c2")[CONFIG]
    lines = block(config, "vrrp_instance external")
    for line in (
        "state BACKUP",
        "nopreempt",
        "interface mgmt",
        "virtual_router_id 61",
        "priority 100",
        "advert_int 0.1",
    ):
        assert line in lines
    assert "10.20.0.250/24 dev mgmt" in lines
    assert config.count("vrrp_instance") == 2 and "vrrp_version 3" in config


def test_a_vip_needs_the_network_that_leads_to_the_servers() -> None:
    config = files(sample(), "keepalived")[CONFIG]
    external, internal = block(config, "vrrp_instance external"), block(config, "vrrp_instance internal")
    assert external[external.index("track_interface {") + 1] == "ctl"
    assert "track_interface {" not in internal


def test_a_balancer_that_does_not_serve_is_a_fault() -> None:
    config = files(sample(), "keepalived")[CONFIG]
    assert block(config, "track_file haproxy") == ["file /run/outlast/track/haproxy", "weight 0", "init_file 1"]


def test_unicast_names_the_other_nodes() -> None:
    lines = block(files(sample(keepalived={"unicast": True}), "keepalived", "c2")[CONFIG], "vrrp_instance internal")
    start = lines.index("unicast_peer {")
    assert lines[start - 1 : start + 4] == [
        "unicast_src_ip 10.21.0.12",
        "unicast_peer {",
        "10.21.0.11",
        "10.21.0.13",
        "}",
    ]


def test_profile_with_old_timers() -> None:
    config = files(sample(KOLLA), "keepalived")[CONFIG]
    assert "vrrp_version 2" in config and "advert_int 1\n" in config and "priority 3\n" in config


def test_real_time_priority_is_left_to_the_guard() -> None:
    config = files(sample(), "keepalived")[CONFIG]
    assert not [line for line in config.splitlines() if line.strip().startswith(("vrrp_rt_priority", "vrrp_rlimit"))]


def test_raw_settings_and_guard(tmp_path: Path) -> None:
    plan = overridden(sample(), "keepalived", {"vrrp_instance internal": {"advert_int": 2}})
    rendered = files(plan, "keepalived")
    assert block(rendered[CONFIG], "vrrp_instance internal")[-1] == "advert_int 2"
    (tmp_path / "guard.json").write_text(rendered[GUARD_CONFIG])
    settings = read_router(tmp_path / "guard.json")
    assert settings.instances[1] == Instance("internal", "10.21.0.250", 24, "ctl", ("control-data",))
    assert settings.advert == 0.1


def test_the_guard_knows_whose_majority_each_vip_needs(tmp_path: Path) -> None:
    settings = guard(tmp_path, sample(), "c2")
    assert settings.networks == (
        Network(
            "management", "mgmt", "10.20.0.12", (("c1", "10.20.0.11"), ("c3", "10.20.0.13")),
            "/run/outlast/track/network-management",
        ),
        Network(
            "control-data", "ctl", "10.21.0.12", (("c1", "10.21.0.11"), ("c3", "10.21.0.13")),
            "/run/outlast/track/network-control-data",
        ),
    )  # fmt: skip
    assert settings.quorum == QuorumLimits(
        interval=0.1, limit=0.6, gap=4, doubt=1, within=100, hold=20, hold_most=160, forget=600
    )
    assert settings.instances[0].networks == ("management", "control-data")
    config = files(sample(), "keepalived", "c2")[CONFIG]
    external, internal = block(config, "vrrp_instance external"), block(config, "vrrp_instance internal")
    assert external[-4:] == ["haproxy", "network-management", "network-control-data", "}"]
    assert internal[-3:] == ["haproxy", "network-control-data", "}"]
    lines = block(config, "track_file network-management")
    assert lines == ["file /run/outlast/track/network-management", "weight 0", "init_file 0"]


def test_networks_that_share_an_interface_are_one(tmp_path: Path) -> None:
    plan = sample()
    shared = {**plan.networks, "control-data": replace(plan.networks["management"], role="control-data")}
    settings = guard(tmp_path, replace(plan, networks=shared))
    assert [network.name for network in settings.networks] == ["management"]
    assert settings.instances[0].networks == ("management",)


@pytest.mark.parametrize(
    "plan",
    [
        sample(KOLLA),
        sample(CLASSIC),
        sample(keepalived={"fencing": False}),
        replace(sample(), nodes=sample().nodes[:2]),
        replace(sample(), nodes=(*sample().nodes[:2], replace(sample().nodes[2], roles=("compute",)))),
    ],
    ids=["kolla", "classic", "switched-off", "two", "two-and-a-compute"],
)
def test_without_three_voters_or_where_it_is_switched_off_nothing_is_fenced(tmp_path: Path, plan: Plan) -> None:
    settings = guard(tmp_path, plan)
    assert settings.networks == () and not any(item.networks for item in settings.instances)
    assert "track_file network" not in files(plan, "keepalived")[CONFIG]


def test_settings_of_another_code_are_read(tmp_path: Path) -> None:
    """Newer ones say more, older ones less."""
    raw = json.loads(files(sample(), "keepalived")[GUARD_CONFIG])
    older = {key: value for key, value in raw.items() if key not in ("networks", "quorum")}
    older["instances"] = [{k: v for k, v in item.items() if k != "networks"} for item in raw["instances"]]
    (tmp_path / "guard.json").write_text(json.dumps({**older, "news": 1}))
    settings = read_router(tmp_path / "guard.json")
    assert settings.networks == () and settings.quorum.limit == 0.0


def guard(folder: Path, plan: Plan, node: str = "c1") -> RouterSettings:
    (folder / "guard.json").write_text(files(plan, "keepalived", node)[GUARD_CONFIG])
    return read_router(folder / "guard.json")


def test_one_instance_may_be_told_not_to_follow_the_balancer() -> None:
    plan = overridden(sample(), "keepalived", {"vrrp_instance internal": {"track_file": False}})
    config = files(plan, "keepalived")[CONFIG]
    assert not [line for line in block(config, "vrrp_instance internal") if "track_file" in line]
    assert "track_file {" in block(config, "vrrp_instance external")
