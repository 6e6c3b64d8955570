"""Every problem code by the damage that causes it: what is replaced in the good file, code:line of what is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from model_samples import GOOD, ONE_NODE, SPECS, damaged

import outlast.model.loader as loader_module
from outlast.errors import ClusterFileError, Problem
from outlast.model.loader import advise, examine, load, parse

# (what, old, new, code:line …)
DAMAGES = [
    ("unclosed bracket", "cluster: lab\n", "cluster: [lab\n", "file.yaml:2"),
    ("tab", "  management", "\tmanagement", "file.yaml:3"),
    ("two documents", "vips:", "---\nvips:", "file.yaml:7"),
    ("control character", "lab", "l\x00b", "file.yaml:1"),
    ("impossible escape", "lab", '"\\UFFFFFFFF"', "file.yaml:1"),
    ("alias", "cluster: lab", "cluster: *x", "file.yaml:1"),
    ("anchor", "  management: {", "  management: &m {", "yaml.anchor:3"),
    ("merge", "c1: {", "c1: {<<: {}, ", "yaml.merge:11"),
    ("tag", "cluster: lab", "cluster: !lab lab", "yaml.tag:1"),
    ("duplicate key", "  tunnel:", "  management:", "key.duplicate:5"),
    ("a list as key", "c1:", "? [c1]\n  :", "key.type:11"),
    ("unknown", "vips:", "vpis:", "key.unknown:7"),
    ("unknown nested", "gateway:", "gatway:", "key.unknown:6"),
    ("Python's name of a key", "control-data:", "control_data:", "key.unknown:4"),
    ("missing", "cluster: lab\n", "", "key.missing:1"),
    ("missing nested", "{cidr: 10.20.0.0/24}", "{interface: eth0}", "key.missing:3"),
    ("type", "c1: {roles: [controller, network]}", "c1: {roles: controller}", "value.type:11"),
    ("null node", "k2: {roles: [compute]}", "k2:", "value.type:15"),
    ("address number", "address: 10.20.0.250", "address: 5", "value.type:8"),
    ("network with host bits", "10.22.0.0/24", "10.22.0.9/24", "value.type:5"),
    ("too few values", "[10.23.0.100, 10.23.0.199]", "[10.23.0.100]", "value.length:6"),
    ("num", "k1: {", "k1: {number: '7', ", "value.type:14"),
    ("bool number", "k1: {", "k1: {number: true, ", "value.type:14"),
    ("nested option", "nodes:", "options: {galera: {port: [1]}}\nnodes:", "value.type:10"),
    ("literal", "k1: {roles: [compute]", "k1: {roles: [compute, netwrok]", "value.unknown:14"),
    ("profile", "networks:", "profile: fast\nnetworks:", "value.unknown:2"),
    ("range", "k1: {", "k1: {number: 0, ", "value.range:14"),
    ("pattern", "cluster: lab", "cluster: Lab", "value.pattern:1"),
    ("empty roles", "k1: {roles: [compute]", "k1: {roles: []", "value.empty:14"),
    ("name", "  k1:", "  K_1:", "name.invalid:14"),
    ("vipname", "  internal:", "  Internal:", "vip.missing:7 name.invalid:9 vip.unused:9"),
    ("ssh pattern", "k1: {", "k1: {ssh: 10.0.0.1, ", "value.pattern:14"),
    ("overlap", "10.22.0.0/24", "10.21.0.0/16", "network.overlap:5"),
    ("small", "10.22.0.0/24", "10.22.0.0/30", "network.too-small:5 number.too-large:11"),
    ("gw", "gateway: 10.23.0.1,", "gateway: 10.24.0.1,", "gateway.outside-network:6"),
    ("gwres", "gateway: 10.23.0.1,", "gateway: 10.23.0.0,", "address.reserved:6"),
    ("gwmissing", "gateway: 10.23.0.1, ", "", "gateway.missing:6"),
    ("pool net", "{cidr: 10.22.0.0/24}", "{cidr: 10.22.0.0/24, pool: [10.22.0.5, 10.22.0.6]}", "pool.unused:5"),
    ("poolrev", "[10.23.0.100, 10.23.0.199]", "[10.23.0.199, 10.23.0.100]", "pool.reversed:6"),
    ("poolout", "10.23.0.199]", "10.24.0.199]", "pool.outside-network:6"),
    ("poolcol gw", "[10.23.0.100", "[10.23.0.1", "pool.collision:6"),
    ("poolcol node", "[10.23.0.100", "[10.23.0.16", "pool.collision:6"),
    ("poolcol bc", "10.23.0.199]", "10.23.0.255]", "pool.collision:6"),
    ("addr out", "k1: {", "k1: {addresses: {tunnel: 10.99.0.5}, ", "address.outside-network:14"),
    ("addr res", "k1: {", "k1: {addresses: {tunnel: 10.22.0.255}, ", "address.reserved:14"),
    ("addr dup", "k1: {", "k1: {addresses: {tunnel: 10.22.0.11}, ", "address.duplicate:14"),
    ("addr gw", "gateway: 10.23.0.1,", "gateway: 10.23.0.16,", "address.duplicate:16"),
    ("numdup", "k1: {", "k1: {number: 11, ", "number.duplicate:14"),
    ("numlarge", "k1: {", "k1: {number: 255, ", "number.too-large:14"),
    ("numlarge2", "10.22.0.0/24", "10.22.0.0/29", "number.too-large:11"),
    ("address in an unknown network", "k1: {", "k1: {addresses: {tunel: 10.22.0.77}, ", "address.unknown-network:14"),
    ("addr unused", "k1: {", "k1: {addresses: {external: 10.23.0.77}, ", "address.unused:14"),
    ("vip out", "10.21.0.250", "10.20.0.251", "vip.outside-network:9"),
    ("vip res", "10.21.0.250", "10.21.0.255", "address.reserved:9"),
    ("vip node", "10.21.0.250", "10.21.0.12", "vip.taken:9 listener.clash:9"),
    ("vip gw", "10.20.0.0/24}", "10.20.0.0/24, gateway: 10.20.0.250}", "vip.taken:8"),
    ("vip dup", "10.21.0.250}", "10.20.0.250, network: management}", "vip.duplicate:9 listener.clash:9"),
    ("vip unknown node", "10.21.0.250}", "10.21.0.250, nodes: [c1, c4]}", "vip.unknown-node:9"),
    ("not endpoint", "10.21.0.250}", "10.21.0.250, nodes: [c1, c2, k1]}", "vip.not-endpoint:9"),
    ("repeated", "10.21.0.250}", "10.21.0.250, nodes: [c1, c1]}", "vip.repeated-node:9"),
    ("fe unknown", "10.21.0.250}", "10.21.0.250, frontends: [keyston, galera, keystone, swift]}", "frontend.unknown:9"),
    ("roles for nothing", "nodes:", "services: [keystone]\nnodes:", "role.idle:12 role.idle:15"),
    (
        "vrrp",
        "10.21.0.250}",
        "10.21.0.250}\n  a: {address: 10.21.0.251, router_id: 7, frontends: [galera]}\n"
        "  b: {address: 10.21.0.252, router_id: 7, frontends: [galera]}",
        "vrrp.duplicate-id:11",
    ),
    ("vip missing", "  internal: {address: 10.21.0.250}\n", "", "vip.missing:7"),
    ("vip unused", "nodes:", "  spare: {address: 10.21.0.251}\nnodes:", "vip.unused:10"),
    ("frontends without a VIP", "10.21.0.250}", "10.21.0.250, frontends: [keystone]}", "frontend.nowhere:9"),
    ("svc unknown", "nodes:", "services: [galerra, keystone]\nnodes:", "service.unknown:10 role.idle:12 role.idle:15"),
    ("opt svc", "nodes:", "options: {galra: {port: 1}}\nnodes:", "service.unknown:10"),
    ("ovr svc", "nodes:", "overrides: {galra: {f: {s: {k: 1}}}}\nnodes:", "service.unknown:10"),
    (
        "opt absent",
        "nodes:",
        "services: [galera]\noptions: {swift: {}}\nnodes:",
        "service.absent:11 role.idle:13 role.idle:16",
    ),
    ("opt unk", "nodes:", "options: {galera: {prt: 1}}\nnodes:", "option.unknown:10"),
    ("opt type", "nodes:", "options: {galera: {port: '1'}}\nnodes:", "option.type:10"),
    ("opt type bool", "nodes:", "options: {galera: {port: true}}\nnodes:", "option.type:10"),
    ("opt range", "nodes:", "options: {galera: {timeout: 9}}\nnodes:", "option.range:10"),
    ("opt choice", "nodes:", "options: {galera: {method: rsyn}}\nnodes:", "option.choice:10"),
    ("quorum even", "k1: {roles: [compute]", "k1: {roles: [service]", "quorum.even:14"),
    ("q small", "c3: {roles: [controller, network]", "c3: {roles: [network]", "quorum.too-small:12"),
    ("tunnel", "  tunnel: {cidr: 10.22.0.0/24}\n", "", "tunnel.missing:2"),
    ("ssh mixed", "k1: {", "k1: {ssh: root@h, ", "ssh.mixed:11"),
    ("port clash", "nodes:", "options: {galera: {port: 5000}}\nnodes:", "listener.clash:9 listener.clash:10"),
    ("port range", "nodes:", "options: {galera: {check_port: 70000}}\nnodes:", "port.range:10"),
    (
        "interfaces",
        "tunnel: {cidr: 10.22.0.0/24}\n  external: {",
        "tunnel: {cidr: 10.22.0.0/24, interface: eth1}\n  external: {interface: eth1, ",
        "interface.duplicate:6",
    ),
    (
        "frontend of an absent service",
        "10.21.0.250}\nnodes:",
        "10.21.0.250, frontends: [galera, keystone, swift]}\nservices: [keystone]\nnodes:",
        "frontend.absent:9 role.idle:12 role.idle:15",
    ),
    ("budget of nothing", "nodes:", "budgets: {broker: 3}\nnodes:", "budget.absent:10"),
    ("budget unknown", "nodes:", "budgets: {api-kiled: 3}\nnodes:", "key.unknown:10"),
    ("too many values", "10.23.0.199]", "10.23.0.199, 10.23.0.200]", "value.length:6"),
    ("every port option out of place", "nodes:", "options: {galera: {port: 0}}\nnodes:", "port.range:10"),
]

# (what, the whole text, code:line …)
TEXTS = [
    ("nothing", "", "file.empty:1"),
    ("only a comment", "# soon\n", "file.empty:1"),
    ("a list", "- a\n- b\n", "file.not-mapping:1"),
    ("nested too deeply", "[" * 5000, "file.yaml:1"),
    ("one node", ONE_NODE, "quorum.too-small:8"),
    ("only a client", ONE_NODE.replace("controller", "client"), "service.none:7"),
    ("no endpoint", ONE_NODE.replace("controller", "service"), "role.nobody:7 quorum.too-small:8"),
    ("no endpoint for storage", ONE_NODE.replace("controller", "storage"), "endpoint.missing:7"),
    ("nobody for a service", ONE_NODE + "services: [ovn, openvswitch]\n", "role.nobody:9"),
    (
        "several damages, all told",
        damaged("k1: {roles: [compute]", "k1: {roles: [compuet]").replace("vips:", "options: {galera: {p: 3}}\nvips:"),
        "option.unknown:7 value.unknown:15",
    ),
    ("what a gap may cause is not told", damaged("vips:", "vpis:"), "key.unknown:7"),
    (
        "an invalid name hides nothing",
        damaged("cluster: lab", "cluster: L").replace("21.0.250", "9.0.250"),
        "value.pattern:1 vip.outside-network:9",
    ),
    ("empty sections are absent ones", GOOD + "options:\noverrides:\nservices:\nlab:\n", ""),
    ("a few services need no VIP", ONE_NODE.split("vips:")[0] + "nodes: {a: {roles: [sdn]}}\nservices: [ovn]\n", ""),
    (
        "services split over two VIPs",
        damaged("10.21.0.250}", "10.21.0.250, frontends: [keystone, swift]}").replace(
            "nodes:", "  db: {address: 10.21.0.251, frontends: [galera]}\nnodes:"
        ),
        "",
    ),
]


def told(text: str) -> list[str]:
    problems = examine(text, "lab.yaml", SPECS).problems
    assert all(problem.file == "lab.yaml" and problem.sentence for problem in problems)
    assert not any("pydantic" in str(problem) or "://" in str(problem) for problem in problems)
    return [f"{item.code}:{item.line}" for item in problems if not item.code.startswith("spof.")]


def test_the_good_file_has_no_problem() -> None:
    assert examine(GOOD, "lab.yaml", SPECS).problems == ()


@pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_damage(old: str, new: str, expected: str) -> None:
    assert told(damaged(old, new)) == expected.split()


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS])
def test_text(text: str, expected: str) -> None:
    assert told(text) == expected.split()


def test_every_code_in_the_source_has_a_case() -> None:
    folder = Path(loader_module.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "spof.py")
    codes = set(re.findall(r'"((?:[a-z]+)\.[a-z]+(?:-[a-z]+)*)"', source)) - {"lab.yaml"}
    cases = " ".join(case[-1] for case in (*DAMAGES, *TEXTS))
    files = {"file.missing", "file.unreadable", "file.encoding"}  # below: they need a real file
    assert codes - files == {case.rpartition(":")[0] for case in cases.split()}


def _refused(path: Path) -> Problem:
    with pytest.raises(ClusterFileError) as caught:
        load(path, SPECS)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.yaml").code == "file.missing"
    assert _refused(tmp_path).code == "file.unreadable"
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("cluster: lab\nregion: Köln\n".encode("latin-1"))
    assert (_refused(latin).code, _refused(latin).line) == ("file.encoding", 2)


def test_load_takes_a_good_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path, SPECS).cluster == "lab"


def test_parse_raises_all_errors_but_no_warnings() -> None:
    text = damaged("gateway: 10.23.0.1, ", "").replace("k1: {", "k1: {number: 11, ")
    with pytest.raises(ClusterFileError) as caught:
        parse(text, "lab.yaml", SPECS)
    assert [problem.code for problem in caught.value.problems] == ["number.duplicate"]
    assert str(caught.value).startswith("lab.yaml:14: number.duplicate: c1 and k1 have the same number 11 (")
    assert parse(damaged("gateway: 10.23.0.1, ", ""), "lab.yaml", SPECS).networks.external is not None


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("[compute]", "[compuet]", "did you mean 'compute'?"),
        ("vips:", "vpis:", "did you mean 'vips'?"),
        ("10.22.0.0/24", "10.22.0.9/24", "the network of that address is 10.22.0.0/24"),
        ("[compute]", "compute", "write it as a list: [compute]"),
        ("10.21.0.250", "10.20.0.9", "it belongs to networks.management"),
        ("nodes:", "services: [keystnoe]\nnodes:", "did you mean 'keystone'?"),
        ("nodes:", "services: [x]\nnodes:", "services: galera, haproxy, keepalived, keystone, openvswitch"),
    ],
)
def test_hints_say_what_to_write(old: str, new: str, hint: str) -> None:
    problems = examine(damaged(old, new), "lab.yaml", SPECS).errors
    assert any(hint in problem.hint for problem in problems)


def test_advise_tells_warnings_with_lines_and_raises_errors(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(ONE_NODE)
    assert [(item.code, item.line) for item in advise(path, SPECS)] == [
        ("quorum.too-small", 8),
        ("spof.single-node", 8),
    ]
    path.write_text(damaged("vips:", "vpis:"))
    with pytest.raises(ClusterFileError):
        advise(path, SPECS)
