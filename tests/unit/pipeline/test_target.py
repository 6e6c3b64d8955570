"""Which cluster file is meant, and the ways to its nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_clusters import EXAMPLES, opened

from outlast.errors import ClusterFileError, InputError
from outlast.pipeline import target
from outlast.pipeline.shell import log_argv
from outlast.pipeline.target import NOTE, Target, find, open_target, ssh_target
from outlast.remote.ssh import SshConnector, SshTarget


@pytest.fixture(autouse=True)
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "labs"
    monkeypatch.setattr(target, "LABS", folder)
    monkeypatch.delenv("OUTLAST_CLUSTER", raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def lab_at(labs: Path, name: str) -> Path:
    (labs / name).mkdir(parents=True)
    (labs / name / NOTE).write_text(f"/clusters/{name}.yaml\n")
    return Path(f"/clusters/{name}.yaml")


def test_the_order_of_precedence(labs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = lab_at(labs, "one")
    assert find(None) == only
    (tmp_path / "cluster.yaml").write_text("")
    assert find(None) == (tmp_path / "cluster.yaml").resolve()
    monkeypatch.setenv("OUTLAST_CLUSTER", "/named.yaml")
    assert find(None) == Path("/named.yaml")
    assert find(Path("given.yaml")) == Path("given.yaml")


def test_two_labs_are_a_question(labs: Path) -> None:
    for name in ("one", "two"):
        lab_at(labs, name)
    with pytest.raises(InputError, match="cluster-file.which") as caught:
        find(None)
    assert "one, two" in caught.value.message


def test_a_lab_that_is_only_half_there_does_not_count(labs: Path) -> None:
    (labs / "half").mkdir(parents=True)
    assert find.__doc__
    with pytest.raises(InputError, match="no lab runs"):
        find(None)
    only = lab_at(labs, "one")
    assert find(None) == only


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("cluster: x\nnetworks: {}\nnodes: {}\n")
    with pytest.raises(ClusterFileError):
        open_target(None)


def test_unknown_nodes_are_named() -> None:
    with pytest.raises(InputError, match="node.unknown") as caught:
        opened("lab").connector("c9")
    assert "c1, c2, c3, k1, k2, client" in caught.value.message


def test_a_lab_that_is_not_there_says_how_to_get_one() -> None:
    fresh = open_target(EXAMPLES / "lab.yaml")
    with pytest.raises(InputError, match="cluster.not-up") as caught:
        fresh.connector("c1")
    assert "outlast up -f" in caught.value.message
    assert fresh.state_dir == target.LABS / "lab"


def test_real_hosts_are_reached_by_ssh() -> None:
    five = opened("five")
    assert not five.is_lab
    assert isinstance(five.connector("c1"), SshConnector)
    assert len(five.connectors()) == len(five.plan.nodes)
    assert opened("lab").is_lab


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("root@c1.example.org", SshTarget("c1.example.org", 22, "root")),
        ("ops@10.0.0.1:2222", SshTarget("10.0.0.1", 2222, "ops")),
    ],
)
def test_ssh_targets(text: str, wanted: SshTarget) -> None:
    assert ssh_target(text) == wanted


@pytest.mark.parametrize(
    ("node", "program", "logs"),
    [
        ("c1", "nova-api", ["nova-api"]),
        ("c1", "nova", ["nova-api", "nova-metadata", "nova-scheduler", "nova-conductor"]),
        ("c1", "galera", ["galera", "galera-responder"]),
        ("k1", "agent", ["agent"]),
    ],
)
def test_logs_by_program_or_service(lab: Target, node: str, program: str, logs: list[str]) -> None:
    argv = log_argv(lab, node, program, 50, follow=True)
    assert argv[:4] == ("tail", "-n", "50", "-F")
    assert argv[4:] == tuple(f"/var/log/outlast/{name}.log" for name in logs)


def test_an_unknown_log_lists_those_there_are(lab: Target) -> None:
    with pytest.raises(InputError, match="logs.unknown") as caught:
        log_argv(lab, "k1", "nova-api", 50, follow=False)
    assert "nova-compute" in caught.value.message
