"""The script on the client node: a second server, on another compute node than the first."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import outlast.pipeline

SCRIPT = Path(next(iter(outlast.pipeline.__path__))) / "scripts/demo.py"
ORDER = {"name": "demo", "server": "drill-1", "second": "drill-2", "seconds": 1}
ADDRESSES = {
    "demo": [
        {"addr": "10.63.0.101", "OS-EXT-IPS:type": "floating"},
        {"addr": "192.168.77.5", "OS-EXT-IPS:type": "fixed"},
    ]
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The SDK is on the client node only."""
    monkeypatch.setitem(sys.modules, "openstack", ModuleType("openstack"))
    spec = importlib.util.spec_from_file_location("demo_script", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


class _Compute:
    """Servers and hosts of a cloud, and what was done to it."""

    def __init__(self, hosts: dict[str, str], **servers: SimpleNamespace) -> None:
        self.hosts = hosts
        self.known = {name.replace("_", "-"): server for name, server in servers.items()}
        self.deleted: list[str] = []
        self.made: dict[str, Any] = {}

    def find_server(self, name: str) -> SimpleNamespace | None:
        return self.known.get(name)

    get_server = find_server

    def services(self, binary: str) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(host=host, state=state, status="enabled", availability_zone="nova")
            for host, state in self.hosts.items()
        ]

    def delete_server(self, server: SimpleNamespace) -> None:
        self.deleted.append(server.id)
        del self.known[server.id]

    def find_flavor(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(id="f")

    def create_server(self, **words: Any) -> SimpleNamespace:
        self.made = words
        return server(words["name"], words["availability_zone"].split(":")[1])

    def wait_for_server(self, made: SimpleNamespace, **_: object) -> SimpleNamespace:
        return made


def server(name: str, host: str, stream: str = "", status: str = "ACTIVE") -> SimpleNamespace:
    return SimpleNamespace(
        id=name, compute_host=host, status=status, addresses=ADDRESSES, metadata={"stream": stream} if stream else {}
    )


def told(script: ModuleType, compute: _Compute, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    find = SimpleNamespace(find_image=lambda name: SimpleNamespace(id="i"))
    networks = SimpleNamespace(find_network=lambda name: SimpleNamespace(id="n"))
    assert script.second(SimpleNamespace(compute=compute, image=find, network=networks), ORDER) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_it_is_made_elsewhere_and_told_whither_to_stream(script: ModuleType, capsys: Any) -> None:
    compute = _Compute({"k1": "up", "k2": "up", "k3": "up"}, drill_1=server("drill-1", "k1"))
    found = told(script, compute, capsys)
    assert (found["host"], found["to"], found["id"]) == ("k2", "k1", "drill-2")
    assert compute.made["availability_zone"] == "nova:k2"
    assert base64.b64decode(compute.made["user_data"]) == b"stream 192.168.77.5\n"


def test_one_that_streams_already_is_taken(script: ModuleType, capsys: Any) -> None:
    there = server("drill-2", "k2", "192.168.77.5")
    compute = _Compute({"k1": "up", "k2": "up"}, drill_1=server("drill-1", "k1"), drill_2=there)
    assert told(script, compute, capsys)["host"] == "k2"
    assert (compute.deleted, compute.made) == ([], {})


@pytest.mark.parametrize(
    "there",
    [
        server("drill-2", "k2", "192.168.77.9"),
        server("drill-2", "k1", "192.168.77.5"),
        server("drill-2", "k2", "192.168.77.5", "ERROR"),
    ],
    ids=["streams elsewhere", "same node", "broken"],
)
def test_any_other_is_made_anew(script: ModuleType, capsys: Any, there: SimpleNamespace) -> None:
    compute = _Compute({"k1": "up", "k2": "up"}, drill_1=server("drill-1", "k1"), drill_2=there)
    assert told(script, compute, capsys)["host"] == "k2"
    assert compute.deleted == ["drill-2"] and compute.made["name"] == "drill-2"


def test_without_another_node_there_is_none(script: ModuleType, capsys: Any) -> None:
    compute = _Compute({"k1": "up", "k2": "down"}, drill_1=server("drill-1", "k1"))
    found = told(script, compute, capsys)
    assert found["step"] == "no second server" and "but k1" in found["sentence"]
    assert compute.made == {}


class _Network:
    """Ports by network; what is deleted is forgotten."""

    def __init__(self, *ports: SimpleNamespace) -> None:
        self.all = list(ports)

    def find_network(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(id="n") if name == "demo" else None

    def find_router(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(id="demos-router")

    def ports(self, network_id: str) -> list[SimpleNamespace]:
        assert network_id == "n"
        return self.all


@pytest.mark.parametrize(
    ("owner", "device", "found"),
    [
        ("compute:nova", "demo-1", []),
        ("compute:nova", "web", ["server web"]),
        ("compute:nova", "already-gone", ["compute:nova already-gone"]),
        ("network:router_interface", "demos-router", []),
        ("network:router_interface", "another", ["network:router_interface another"]),
        ("network:distributed", "ovn", []),
        ("", "", []),
    ],
)
def test_what_is_not_the_demos_is_not_taken_from_its_owner(
    script: ModuleType, capsys: pytest.CaptureFixture[str], owner: str, device: str, found: list[str]
) -> None:
    demos, web = server("demo-1", "k1"), server("web", "k1")
    web.name = "web"
    compute = _Compute({}, **{"demo_1": demos, "web": web})
    cloud = SimpleNamespace(compute=compute, network=_Network(SimpleNamespace(device_owner=owner, device_id=device)))
    assert script.strangers(cloud, "demo", {"demo-1"}) == found
    if found:
        cloud.compute.servers = lambda: []
        assert script.clean(cloud, {"name": "demo"}) == 1
        assert "nothing was removed" in json.loads(capsys.readouterr().out)["sentence"]
        assert compute.deleted == []
