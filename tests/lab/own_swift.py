"""One node's own Swift, past the VIP and past the other copies."""

from __future__ import annotations

from dataclasses import dataclass

from labs import Cluster

LISTED = """
import sys
from urllib.request import urlopen
from swift.common.ring import Ring
account, address = sys.argv[1:]
part, devices = Ring("/etc/swift", ring_name="container").get_nodes(account, "journey")
own = next(device for device in devices if device["ip"] == address)
try:
    print(urlopen(f"http://{address}:{own['port']}/{own['device']}/{part}/{account}/journey").read().decode())
except OSError:
    pass
"""


@dataclass(frozen=True)
class Swift:
    """A node's proxy and container server, with a token that is valid there."""

    node: str
    address: str
    token: str
    project: str

    def put(self, cloud: Cluster, thing: str) -> None:
        """An object that is there when this returns: its servers have acknowledged it."""
        url = f"http://{self.address}:8080/v1/AUTH_{self.project}/journey/{thing}"
        head = f"X-Auth-Token: {self.token}"
        cloud.inside(self.node, "curl", "-sS", "--fail", "-T", "-", "-H", head, url, given="it")

    def listed(self, cloud: Cluster) -> list[str]:
        """The names in the node's copy of the container's listing; none while it does not answer."""
        words = ("/opt/openstack/bin/python", "-", f"AUTH_{self.project}", self.address)
        return cloud.inside(self.node, *words, given=LISTED, check=False).split()
