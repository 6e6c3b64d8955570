"""Computes Swift's three rings on a node: `python -m outlast.node.swift_rings DIRECTORY < JSON`.

Runs in OpenStack's environment. The same input gives byte-identical files on every node (fixed seed, fixed order of
devices, Swift's own fixed time stamp), so no ring is ever copied. Servers read a changed ring within 15 s.
Input: {part_power, replicas, seed, ports: {ring: port}, devices: [{id, region, zone, ip, device, weight}]}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any


def devices(settings: Mapping[str, Any], ring: str) -> list[dict[str, Any]]:
    """The ring's devices as Swift's builder takes them (pure)."""
    port = settings["ports"][ring]
    return [
        {**device, "port": port, "replication_ip": device["ip"], "replication_port": port, "meta": ""}
        for device in sorted(settings["devices"], key=lambda item: int(item["id"]))
    ]


def build(settings: Mapping[str, Any], ring: str) -> Any:
    """The ring's data. Raises Swift's own exceptions for impossible settings."""
    from swift.common.ring import RingBuilder  # type: ignore[import-not-found]

    builder = RingBuilder(settings["part_power"], settings["replicas"], 0)
    for device in devices(settings, ring):
        builder.add_dev(device)
    builder.rebalance(seed=str(settings["seed"]))
    builder.validate()
    return builder.get_ring()


def write(data: Any, path: str) -> bool:
    """Writes a ring in one step; False when the file already holds the same bytes."""
    fresh = f"{path}.new"
    data.save(fresh)
    with open(fresh, "rb") as new:
        content = new.read()
    if os.path.exists(path):
        with open(path, "rb") as old:
            if old.read() == content:
                os.unlink(fresh)
                return False
    os.chmod(fresh, 0o644)
    os.replace(fresh, path)
    return True


def main() -> None:
    directory = sys.argv[1]
    settings = json.load(sys.stdin)
    os.makedirs(directory, exist_ok=True)
    for ring in sorted(settings["ports"]):
        changed = write(build(settings, ring), os.path.join(directory, f"{ring}.ring.gz"))
        sys.stdout.write(f"{ring}: {'written' if changed else 'unchanged'}\n")


if __name__ == "__main__":
    main()
