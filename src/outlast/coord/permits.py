"""Permits from ZooKeeper: at most one node holds one, and only while its session lives."""

from __future__ import annotations

import threading
from typing import Any

from outlast.errors import CoordError


class Permits:
    """Ephemeral nodes under /outlast/<cluster>/permits. A suspended or lost session holds nothing."""

    def __init__(self, servers: tuple[str, ...], cluster: str, me: str) -> None:
        self._servers = servers
        self._root = f"/outlast/{cluster}/permits"
        self._me = me
        self._client: Any = None
        self._held: set[str] = set()
        self._lock = threading.Lock()

    def held(self, name: str) -> bool:
        """Whether this node holds the permit now; never blocks."""
        return name in self._held and self._client is not None and self._client.state == "CONNECTED"

    def take(self, name: str, timeout: float = 5.0) -> bool:
        """Tries to get the permit; False where another node holds it. Raises CoordError without ZooKeeper."""
        from kazoo.client import KazooClient
        from kazoo.exceptions import KazooException, NodeExistsError
        from kazoo.handlers.threading import KazooTimeoutError

        if not self._servers:
            raise CoordError("coord.none", "the cluster has no ZooKeeper, so no permit can be had")
        with self._lock:
            try:
                if self._client is None:
                    client = KazooClient(hosts=",".join(self._servers), timeout=6.0)
                    client.add_listener(self._on_state)
                    client.start(timeout=timeout)
                    self._client = client
                self._client.create(f"{self._root}/{name}", self._me.encode(), ephemeral=True, makepath=True)
            except NodeExistsError:
                holder = self._client.get(f"{self._root}/{name}")[0].decode()
                if holder != self._me:
                    return False
            except (KazooException, KazooTimeoutError) as error:
                raise CoordError("coord.unreachable", f"ZooKeeper did not answer: {error or 'time-out'}") from error
            self._held.add(name)
            return True

    def _on_state(self, state: str) -> None:
        # SUSPENDED means "not the holder" at once; the session may yet survive, but then the permit is asked for anew.
        if state != "CONNECTED":
            self._held.clear()
