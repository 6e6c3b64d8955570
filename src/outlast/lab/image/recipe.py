"""What a node image is made of, and the digest that names it.

Pure but for reading the lock files and scripts shipped with the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# To be raised when build.py itself comes to build something else from the same lists and scripts.
RECIPE_VERSION = 1

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
SCRIPTS = HERE / "scripts"

# What every node needs, whichever services it runs; a real host gets these too.
BASE_PACKAGES: tuple[str, ...] = (
    "busybox-static",
    "ca-certificates",
    "curl",
    "ethtool",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "kmod",
    "less",
    "lsof",
    "netbase",
    "nftables",
    "openssl",
    "procps",
    "python3",
    "python3-venv",
    "openssh-server",
    "rsync",
    "socat",
    "tcpdump",
)

# The daemons of all services. The image holds them all, so that every cluster file shares one image.
SERVICE_PACKAGES: tuple[str, ...] = (
    "default-jre-headless",
    "frr",
    "galera-4",
    "galera-arbitrator-4",
    "genisoimage",
    "haproxy",
    "iptables",
    "keepalived",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "mariadb-backup",
    "mariadb-client",
    "mariadb-server",
    "memcached",
    "openvswitch-common",
    "openvswitch-switch",
    "ovn-central",
    "ovn-common",
    "ovn-host",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
    "rabbitmq-server",
    "zookeeper",
)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is in the image: packages (sorted) and the text of both environments' locks."""

    packages: tuple[str, ...]
    openstack_lock: str
    node_lock: str


def lock_stamp(recipe: Recipe) -> str:
    """The digest of the OpenStack lock: marks what was derived from it (schema, option list)."""
    return hashlib.sha256(recipe.openstack_lock.encode()).hexdigest()[:16]


def digest(recipe: Recipe, scripts: Mapping[str, str] | None = None) -> str:
    """Names the image: the same words give the same digest, any change another one.

    `scripts` (name to text) defaults to the build scripts shipped with this package.
    """
    shown = scripts if scripts is not None else build_scripts()
    whole = hashlib.sha256()
    parts = [str(RECIPE_VERSION), *recipe.packages, recipe.openstack_lock, recipe.node_lock]
    parts += [word for name in sorted(shown) for word in (name, shown[name])]
    for part in parts:
        # With its length before it no text can pass for the end of another.
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()[:16]


def build_scripts() -> dict[str, str]:
    """The scripts that run inside the image or on a host, and the build tools' lock, by name."""
    files = [*(f for f in SCRIPTS.iterdir() if f.is_file()), LOCKS / "build.txt"]
    files += [HERE / "knowledge.py", HERE / "forks.py"]
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(files)}


def load_recipe(service_packages: Iterable[str] = ()) -> Recipe:
    """The recipe of the image: the known packages, any further ones, and the locks shipped as package data."""
    return Recipe(
        packages=tuple(sorted({*BASE_PACKAGES, *SERVICE_PACKAGES, *service_packages})),
        openstack_lock=(LOCKS / "openstack.txt").read_text(encoding="utf-8"),
        node_lock=(LOCKS / "node.txt").read_text(encoding="utf-8"),
    )
