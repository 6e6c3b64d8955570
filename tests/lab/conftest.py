"""What the lab ring needs: root, and a node image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import labs
import pytest
from turns import Turns

BUSYBOX = Path("/bin/busybox")
TURNS = pytest.StashKey[Turns]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What must be alone comes last: before, it would keep the other process waiting, and after it nobody waits.

    What is long begins first, and waits for the node image while the other process runs the unit ring.
    """
    items.sort(key=lambda item: (_alone(item), item.get_closest_marker("long") is None))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A module's turn (`turns`). Not a fixture: a test's time limit starts when its turn has come."""
    turns = item.config.stash.get(TURNS, None)
    if turns is None:
        item.config.stash[TURNS] = turns = Turns(Path(__file__).parent)
    turns.take(_module(item), _alone(item))
    try:
        return (yield)
    finally:
        if nextitem is None or _module(nextitem) != _module(item):
            turns.end()


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, as make test says before it begins")
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        sys.stderr.writelines(f"{sentence}\n" for sentence in labs.sweep())


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of one program (busybox-static): all that namespaces, volumes and power need, and made in no time."""
    assert BUSYBOX.exists(), "install busybox-static (make test does)"
    root = tmp_path_factory.mktemp("small-root")
    for folder in ("bin", "etc", "var"):
        (root / folder).mkdir()
    shutil.copy(BUSYBOX, root / "bin/busybox")
    subprocess.run(["chroot", str(root), "/bin/busybox", "--install", "-s", "/bin"], check=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ntty:x:5:\n")
    # As in a distribution's image: links that lead into the host if followed from outside.
    (root / "etc/resolv.conf").symlink_to("/run/resolver/resolv.conf")
    (root / "var/run").symlink_to("/run")
    root.chmod(0o755)
    return root


@pytest.fixture(scope="session")
def image_root() -> Path:
    """The root of the very image that `up` takes; built first, which takes minutes, if the cache does not have it."""
    from outlast.pipeline.progress import Silent
    from outlast.pipeline.up import build_image

    class Told(Silent):
        def say(self, sentence: str) -> None:
            sys.stderr.write(f"{sentence}\n")

    return Path(labs.IMAGE) if labs.IMAGE else build_image(Told()).root


@pytest.fixture(scope="module")
def new_lab(image_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], labs.Cluster]]:
    """Makes a cluster file (label, body) with a name of its own; whatever came of it is removed after the module."""
    made: list[labs.Cluster] = []

    def make(label: str, body: str) -> labs.Cluster:
        cluster = labs.Cluster(tmp_path_factory.mktemp(label), label)
        cluster.write(body)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.remove()
