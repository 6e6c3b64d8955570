"""Permits from ZooKeeper: at most one node holds one until it gives it back."""

from __future__ import annotations

import threading
from typing import Any

from outlast.errors import CoordError


class Permits:
    """Nodes under /outlast/<cluster>/permits, each with its holder's name.

    They are not ephemeral on purpose: two majorities may name two winners, so a permit to bootstrap must outlive its
    holder's session and end only when the holder's primary component is whole again. A suspended or lost session
    counts as not holding anything until the holder has read its own name again.
    """

    def __init__(self, servers: tuple[str, ...], cluster: str, me: str) -> None:
        self._servers = servers
        self._root = f"/outlast/{cluster}/permits"
        self._me = me
        self._client: Any = None
        self._held: set[str] = set()
        self._read: set[str] = set()
        self._losses = 0
        self._lock = threading.Lock()

    def held(self, name: str) -> bool:
        """Whether this node is known to hold the permit now; never blocks."""
        return name in self._held

    def read(self, name: str) -> bool:
        """Whether this object ever asked ZooKeeper for this permit: until then it may be this node's from before."""
        return name in self._read

    def take(self, name: str, timeout: float = 5.0) -> bool:
        """Tries to get the permit; False where another node holds it. Raises CoordError without ZooKeeper."""
        from kazoo.exceptions import KazooException

        with self._lock:
            client = self._connected(timeout)
            losses = self._losses
            try:
                mine = self._create(client, f"{self._root}/{name}")
            except KazooException as error:
                raise CoordError("coord.failed", f"ZooKeeper did not give the permit: {error!r}") from error
            if losses != self._losses:
                raise CoordError("coord.suspended", "the session was interrupted just after it gave the permit")
            self._read.add(name)
            if mine:
                self._held.add(name)
            return mine

    def give_back(self, name: str, timeout: float = 5.0) -> None:
        """Gives the permit back if it is this node's, also from a former run.

        Raises CoordError without ZooKeeper; what was held then stays held.
        """
        from kazoo.exceptions import KazooException, NoNodeError

        with self._lock:
            client = self._connected(timeout)
            path = f"{self._root}/{name}"
            try:
                value, stat = client.get(path)
                if value.decode() == self._me:
                    client.delete(path, version=stat.version)
            except NoNodeError:
                pass  # free already
            except KazooException as error:
                raise CoordError("coord.failed", f"ZooKeeper kept the permit: {error!r}") from error
            self._held.discard(name)
            self._read.add(name)
            # Nobody needs ZooKeeper again until the next total loss.
            client.stop()
            self._client = None

    def _create(self, client: Any, path: str) -> bool:
        from kazoo.exceptions import NodeExistsError

        try:
            client.create(path, self._me.encode(), makepath=True)
        except NodeExistsError:
            return bool(client.get(path)[0].decode() == self._me)
        return True

    def _connected(self, timeout: float) -> Any:
        from kazoo.client import KazooClient
        from kazoo.handlers.threading import KazooTimeoutError

        if not self._servers:
            raise CoordError("coord.none", "the cluster has no ZooKeeper, so no permit can be had")
        if self._client is None:
            client = KazooClient(hosts=",".join(self._servers), timeout=6.0)
            client.add_listener(self._on_state)
            try:
                client.start(timeout=timeout)
            except KazooTimeoutError as error:
                client.stop()
                raise CoordError("coord.unreachable", "no ZooKeeper member answered") from error
            self._client = client
        return self._client

    def _on_state(self, state: str) -> None:
        if state != "CONNECTED":
            self._losses += 1
            self._held.clear()
