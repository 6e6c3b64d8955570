"""The hands of a drill on a small cluster, and looks that are not the drill's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labs import Cluster

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.strike import Strike
from outlast.drill.faults.verb import Order
from outlast.drill.undo import UndoJournal

CLIENT = "x1"
CHECK_PORT = 9200
_numbers = itertools.count()


class Drill:
    """A small cluster with the hands of a drill."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        target = cluster.target
        self.hands = Hands(target.lab, target.plan)
        self.address = {node.name: node.addresses["control-data"] for node in target.plan.nodes}
        self.mgmt = {node.name: node.addresses["management"] for node in target.plan.nodes}

    def order(self, verb: str, *nodes: str, **options: str | float | bool) -> Order:
        return Order(id=f"{verb}-{next(_numbers)}", verb=verb, nodes=nodes, options=options)

    def strike(self, verb: str, *nodes: str, **options: str | float | bool) -> Strike:
        return Strike(self.hands, self.folder, self.order(verb, *nodes, **options))

    @contextmanager
    def struck(self, verb: str, *nodes: str, **options: str | float | bool) -> Iterator[Strike]:
        """Broken, seen to be broken, and taken back at the end."""
        strike = self.strike(verb, *nodes, **options)
        begun = strike.begin()
        try:
            at = strike.took_effect(15)
            assert at is not None, f"{verb} took no effect"
            print(f"{verb}: took effect after {1000 * (at - begun):.0f} ms")
            yield strike
        finally:
            strike.undo()
        assert self.open() == []

    def open(self) -> list[str]:
        return [record["id"] for record in UndoJournal(self.folder).still_open()]

    def pid(self, node: str, program: str) -> int:
        return self.cluster.programs()[node, program][0]

    def state(self, node: str, pid: int) -> str:
        return self.cluster.inside(node, "ps", "-o", "stat=", "-p", str(pid), check=False).strip()[:1]

    def hears(self, node: str, address: str, count: int = 1) -> int:
        """How many of so many pings came back."""
        said = self.cluster.inside(
            node, "ping", "-n", "-q", "-i", "0.01", "-W", "0.4", "-c", str(count), address, check=False
        )
        return int(said.split(" received")[0].split()[-1])

    def curl(self, node: str, *words: str) -> tuple[str, str]:
        """Status and body that another node gets of the database's health check."""
        url = f"http://{self.address[node]}:{CHECK_PORT}/"
        argv = ("curl", "-s", "-m", "1", "-w", "\n%{http_code} %{exitcode}", *words, url)
        body, _, codes = self.cluster.inside(CLIENT, *argv, check=False).rpartition("\n")
        return codes, body
