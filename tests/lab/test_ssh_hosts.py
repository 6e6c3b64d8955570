"""The same roll-out on hosts reached over SSH: here nodes with an SSH server, reached from outside like any host.

What this cannot show is host.sh on a machine with systemd and a package mirror: these hosts are prepared already, as
the image is made by the same scripts.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import labs
import pytest

from outlast.lab.image.recipe import digest, load_recipe
from outlast.services.registry import SPECS

pytestmark = pytest.mark.lab

NODES = {"c1": "10.64.0.11", "c2": "10.64.0.12", "c3": "10.64.0.13"}
FILE = """
networks:
  management: {{cidr: 10.64.0.0/24}}
services: [galera]
nodes:
  c1: {{roles: [service]{c1}}}
  c2: {{roles: [service]{c2}}}
  c3: {{roles: [service]{c3}}}
"""
SSHD = """
ListenAddress {address}
HostKey /etc/ssh/test_host_key
AuthorizedKeysFile /root/.ssh/authorized_keys
PasswordAuthentication no
UsePAM no
PidFile none
"""


@pytest.fixture(scope="module")
def hosts(
    new_lab: Callable[[str, str], labs.Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[labs.Cluster]:
    """A cluster file whose nodes are `root@address`, and a home folder whose key these let in."""
    from outlast.lab import build, runtime
    from outlast.pipeline.progress import Silent
    from outlast.pipeline.up import build_image

    machine = new_lab("hosts", FILE.format(c1="", c2="", c3=""))
    target = machine.target
    root = Path(labs.IMAGE) if labs.IMAGE else build_image(Silent()).root
    lab = runtime.create(build.topology(target.plan, str(target.state_dir)), root, target.state_dir)
    lab.host_access("management", "10.64.0.254/24")
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir(mode=0o700)
    key = home / ".ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    known = [
        f"{address} {_serve(machine, node, address, key.with_suffix('.pub').read_text())}"
        for node, address in NODES.items()
    ]
    (home / ".ssh/known_hosts").write_text("\n".join(known) + "\n")
    over_ssh = labs.Cluster(home, "hosts", name=f"{machine.name}-ssh")
    over_ssh.write(FILE.format(**{node: f", ssh: root@{address}" for node, address in NODES.items()}))
    before = os.environ.get("HOME", "")
    os.environ["HOME"] = str(home)
    try:
        yield over_ssh
    finally:
        os.environ["HOME"] = before


def _serve(machine: labs.Cluster, node: str, address: str, public: str) -> str:
    """Starts an SSH server on the node, which goes with the node; its host key."""
    recipe = digest(load_recipe(package for spec in SPECS.values() for package in spec.packages))
    machine.inside(
        node,
        "sh",
        "-c",
        "mkdir -p /run/sshd /root/.ssh && chmod 700 /root/.ssh && cat > /root/.ssh/authorized_keys"
        " && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/test_host_key"
        f" && echo {recipe} > /var/lib/outlast/prepared",
        given=public,
    )
    machine.inside(node, "sh", "-c", "cat > /etc/ssh/test_sshd", given=SSHD.format(address=address))
    machine.inside(node, "/usr/sbin/sshd", "-E", "/var/log/test_sshd.log", "-f", "/etc/ssh/test_sshd")
    labs.until(lambda: machine.inside(node, "ss", "-Hltn", "sport = :22"), 10, f"no SSH server on {node}")
    return " ".join(machine.inside(node, "cat", "/etc/ssh/test_host_key.pub").split()[:2])


def test_up_over_ssh(hosts: labs.Cluster) -> None:
    assert hosts.up()["changed"]
    hosts.await_settled(60)
    assert {fact.state for fact in hosts.galera().values()} == {"primary"}


def test_up_again_changes_nothing(hosts: labs.Cluster) -> None:
    before = hosts.programs()
    assert not hosts.up()["changed"]
    assert hosts.programs() == before


def test_down_leaves_hosts_alone(hosts: labs.Cluster) -> None:
    assert "real hosts" in hosts.run("down", status=2)
    assert not hosts.unsettled()
