"""Keepalived's files as text."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from endpoint_plan import files, overridden, sample

from outlast.node.guard.settings import Instance, read_router
from outlast.services.keepalived.service import CONFIG, GUARD_CONFIG
from outlast.spec.timing import KOLLA


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
    assert settings.instances[1] == Instance("internal", "10.21.0.250", 24, "ctl") and settings.advert == 0.1


def test_one_instance_may_be_told_not_to_follow_the_balancer() -> None:
    plan = overridden(sample(), "keepalived", {"vrrp_instance internal": {"track_file": False}})
    config = files(plan, "keepalived")[CONFIG]
    assert not [line for line in block(config, "vrrp_instance internal") if "track_file" in line]
    assert "track_file {" in block(config, "vrrp_instance external")
