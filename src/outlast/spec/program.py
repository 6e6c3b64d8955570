"""Programs and steps: what runs on a node, as data."""

from __future__ import annotations

from dataclasses import dataclass

from outlast.spec.probe import Probe

LEAVING = "/run/outlast/leaving"
"""Folder of the files that say who is on the way out: one per program, named like it."""


@dataclass(frozen=True)
class Leave:
    """How a program leaves the balancers before it is stopped on purpose.

    While its file in `LEAVING` is there, it fails the balancers' checks; requests are answered as ever.
    address, port: where its requests arrive. notice: seconds after which no balancer sends any more.
    """

    address: str
    port: int
    notice: float


STACKS = "WINCH"
"""Of the signals that end nobody who does not know them, one that uwsgi leaves alone; SIGUSR2 it takes for itself."""


@dataclass(frozen=True)
class Program:
    """A long-running program under supervisord (its name is unique on the node).

    `nice`: its share of a busy processor. Databases, message bus and balancers go before APIs, Keystone before the
    others: under overload, and at a boot when everything starts at once, what all wait for is ready first.
    `deaf_start`: a stop signal is lost on it until it serves, so that it is killed if it must be stopped before.
    `disposable`: it holds nothing that anybody would miss, and its clients wait for it: killed as soon as it leaves one
    question unanswered, which is asked when a request stays unread (node/unread.py).
    `fork`: the project whose loaded libraries it starts with, where the node's fork servers have them (decision 0026).
    Only for a Python script (argv[0]) of root's.
    `leave`: of one behind the balancers, where the timing profile has it.
    `stacks`: at the signal STACKS it writes to its log what each of its threads does, also while it hangs
    (faulthandler). It is asked for that before it is killed.
    `respawn`: supervisord restarts it by itself; False where only the agent may decide to (Galera).
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    user: str = "root"
    directory: str = "/"
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    priority: int = 50
    respawn: bool = True
    nice: int = 0
    deaf_start: bool = False
    disposable: bool = False
    leave: Leave | None = None
    fork: str = ""
    stacks: bool = False


@dataclass(frozen=True)
class Space:
    """MiB that must be free on the file system of `path`; with less a member is stopped while others can spare it."""

    path: str
    mib: int


@dataclass(frozen=True)
class Step:
    """A command that ends. It runs when its digest (all fields) was not yet recorded as done on this node.

    `unless`: a command whose exit 0 means that there is nothing to do (then the step counts as done).
    `every_boot`: recorded in memory only, so it runs again after each boot of the node.
    A setup step waits for `needs` if it has any, else for its member to be well.
    `stdin` may hold secret placeholders; argv must not (it is visible to every process of the node).
    """

    name: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    user: str = "root"
    stdin: str = ""
    timeout: float = 60.0
    unless: tuple[str, ...] = ()
    needs: tuple[Probe, ...] = ()
    every_boot: bool = False
