"""What the lab ring needs: root, and a node image."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BUSYBOX = Path("/bin/busybox")


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("the lab ring needs root")


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of one program (busybox-static): all that namespaces, volumes and power need, and made in no time."""
    if not BUSYBOX.exists():
        pytest.skip("install busybox-static")
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
    """The root of the real node image; built first, which takes minutes, if the cache does not have it."""
    from outlast.lab.image.build import build, default_cache
    from outlast.lab.image.recipe import load_recipe

    def progress(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    return build(load_recipe(), default_cache(), progress=progress).root
