"""HAProxy's files as text: what each line is there for."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from endpoint_plan import SERVICES, files, overridden, sample

from outlast.node.guard.settings import read_balancer
from outlast.node.guard.writers import roles
from outlast.services.haproxy.service import CONFIG, GUARD_CONFIG
from outlast.spec.timing import CLASSIC, KOLLA


def sections(config: str) -> dict[str, list[str]]:
    """Lines by section heading."""
    found: dict[str, list[str]] = {}
    for line in config.splitlines():
        if line and not line.startswith((" ", "#")):
            found[line] = current = []
        elif line.strip() and not line.strip().startswith("#"):
            current.append(line.strip())
    return found


def test_one_backend_for_all_vips() -> None:
    found = sections(files(sample(), "haproxy")[CONFIG])
    assert [name for name in found if name.startswith("frontend")] == [
        "frontend alive",
        "frontend keystone.external",
        "frontend keystone.internal",
        "frontend galera.internal",
    ]
    assert [name for name in found if name.startswith("backend")] == ["backend keystone", "backend galera"]
    assert 'bind "fd@${OUTLAST_FD_KEYSTONE_EXTERNAL}"' in found["frontend keystone.external"]
    assert "default_backend keystone" in found["frontend keystone.external"]


def test_checks_ask_the_service_itself() -> None:
    lines = sections(files(sample(), "haproxy")[CONFIG])["backend keystone"]
    assert "option httpchk" in lines  # without it, http-check lines are ignored with a warning
    assert any(line.startswith("http-check send meth GET uri /v3 ver HTTP/1.1 hdr Host") for line in lines)
    assert "http-check expect status 200,300" in lines
    server = next(line for line in lines if line.startswith("server c2"))
    assert server.startswith(
        "server c2 10.21.0.12:5000 check inter 600ms fastinter 200ms downinter 500ms fall 2 rise 2"
    )
    # The guard closes what is left; HAProxy's own way also ends sessions that are still connecting.
    assert "on-error sudden-death" in server and "shutdown-sessions" not in server


def test_only_reads_are_sent_twice() -> None:
    lines = sections(files(sample(), "haproxy")[CONFIG])["backend keystone"]
    assert "http-request disable-l7-retry unless METH_GET" in lines


def test_galera_has_one_writer_checked_through_the_responder() -> None:
    lines = sections(files(sample(), "haproxy")[CONFIG])["backend galera"]
    assert "mode tcp" in lines and "stick on int(1)" in lines and "timeout server 3600000ms" in lines
    servers = [line for line in lines if line.startswith("server ")]
    assert all(" check port 9200 " in line for line in servers)
    assert [line.rsplit(" ", 1)[1] for line in servers] == [f'"${{OUTLAST_ROLE_GALERA_C{n}}}"' for n in (1, 2, 3)]


def test_when_all_fail_their_checks_all_are_asked() -> None:
    found = sections(files(sample(), "haproxy")[CONFIG])
    servers = [line for line in found["backend keystone"] if line.startswith("server ")]
    assert servers[3:] == [f"server c{n}-unchecked 10.21.0.1{n}:5000 backup" for n in (1, 2, 3)]
    assert "option allbackups" in found["backend keystone"]
    # Of databases one takes all: a member that is not in the cluster must never be asked.
    assert not any("unchecked" in line or "allbackups" in line for line in found["backend galera"])
    assert "unchecked" not in files(sample(KOLLA), "haproxy")[CONFIG]


def test_classic_profile_only_connects() -> None:
    found = sections(files(sample(CLASSIC), "haproxy")[CONFIG])
    assert not any("httpchk" in line or "http-check" in line for line in found["backend keystone"])
    server = next(line for line in found["backend galera"] if line.startswith("server c1"))
    assert " port " not in server and "observe" not in server
    assert "timeout connect 5000ms" in found["defaults"]
    assert not any("tcp-ut" in line for line in found["defaults"])


def test_kolla_profile_asks_but_does_not_observe() -> None:
    lines = sections(files(sample(KOLLA), "haproxy")[CONFIG])["backend keystone"]
    assert "option httpchk" in lines and not any("observe" in line or "retry-on" in line for line in lines)


def test_raw_settings_come_last_in_their_section() -> None:
    wishes = {
        "backend keystone": {"balance": "leastconn", "option forwardfor": True, "gone": None},
        "cache c": {"x": 1},
    }
    found = sections(files(overridden(sample(), "haproxy", wishes), "haproxy")[CONFIG])
    assert found["backend keystone"][-2:] == ["balance leastconn", "option forwardfor"]
    assert found["cache c"] == ["x 1"]


def test_client_connections_are_closed_unless_wanted() -> None:
    assert "option httpclose" in sections(files(sample(), "haproxy")[CONFIG])["frontend keystone.internal"]
    kept = files(sample(haproxy={"client_keepalive": True}), "haproxy")[CONFIG]
    assert "option httpclose" not in kept


def test_the_guard_can_read_what_is_rendered(tmp_path: Path) -> None:
    rendered = files(sample(), "haproxy")
    (tmp_path / "guard.json").write_text(rendered[GUARD_CONFIG])
    settings = read_balancer(tmp_path / "guard.json")
    variables = {item.variable for item in settings.listeners} | set(roles(settings.singles, {}))
    assert {(item.address, item.port) for item in settings.listeners} == {
        ("10.20.0.250", 5000),
        ("10.21.0.250", 5000),
        ("10.21.0.250", 3306),
    }
    # Every variable that the configuration uses is one that the guard sets, and the other way round.
    assert {part.split("}")[0] for part in rendered[CONFIG].split("${")[1:]} == variables


def test_every_configuration_is_checked_anew() -> None:
    first, second = (
        SERVICES["haproxy"].describe(plan, plan.members_of("haproxy")[0])
        for plan in (sample(), sample(haproxy={"maxconn": 5000}))
    )
    assert first.prepare[0].argv[-1] == "--check" and first.prepare != second.prepare


def test_a_server_that_is_back_begins_slowly() -> None:
    found = sections(files(sample(), "haproxy")[CONFIG])
    servers = [line for line in found["backend keystone"] if line.startswith("server c")]
    assert ["slowstart 30000ms" in line for line in servers] == ["unchecked" not in line for line in servers]
    assert not any("slowstart" in line for line in found["backend galera"]), "one writer has all, or nobody has"
    classic = sections(files(sample(CLASSIC), "haproxy")[CONFIG])
    assert not any("slowstart" in line for line in classic["backend keystone"])
