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

BUSYBOX = Path("/bin/busybox")


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, as make test says before it begins")


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
