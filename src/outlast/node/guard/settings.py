"""The guards' own settings: JSON files rendered with the configuration of the programs they guard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outlast.errors import InputError
from outlast.node.guard.decide import Limits
from outlast.node.guard.quorum import QuorumLimits


@dataclass(frozen=True)
class Listener:
    """A listening socket that the guard holds; `variable` tells the child its number."""

    variable: str
    address: str
    port: int


@dataclass(frozen=True)
class Single:
    """A backend of which one server at a time takes everything; `servers` in the order of the configuration file."""

    backend: str
    servers: tuple[str, ...]


@dataclass(frozen=True)
class BalancerSettings:
    """Everything the guard of HAProxy needs. `tcp_user_timeout` and `keepalive` in seconds (0: as the kernel does).

    `shut_after`: seconds from a server's going down to the end of its sessions; 0: HAProxy ends them itself.
    `put_off_seconds`: how long before the VIPs leave at an ordered stop new connections are put off; 0: they are not.
    """

    name: str
    binary: str
    file: str
    alive: str
    admin: str
    track: str
    state: str
    listeners: tuple[Listener, ...]
    singles: tuple[Single, ...]
    tcp_user_timeout: float
    keepalive: tuple[int, int, int]
    limits: Limits
    leave_seconds: float
    stop_seconds: float
    shut_after: float = 0.0
    put_off_seconds: float = 0.0


@dataclass(frozen=True)
class Instance:
    """A VRRP instance with its virtual address, and the networks without which this node may not hold it."""

    name: str
    address: str
    prefix: int
    interface: str
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network on which the node must hear most controllers: `peers` are the others, as (name, address)."""

    name: str
    interface: str
    address: str
    peers: tuple[tuple[str, str], ...]
    track: str


@dataclass(frozen=True)
class RouterSettings:
    """Everything the guard of Keepalived needs. `advert` in seconds; `rt_priority` 0: no real-time scheduling.

    `networks`: where the node is fenced when it hears no majority for `quorum.limit` seconds.
    """

    name: str
    binary: str
    file: str
    fifo: str
    state: str
    run: str
    instances: tuple[Instance, ...]
    advert: float
    rt_priority: int
    stop_seconds: float
    networks: tuple[Network, ...] = ()
    quorum: QuorumLimits = QuorumLimits(limit=0.0)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("guard-settings", f"cannot read the guard's settings {path}: {error}") from error
    if not isinstance(found, dict):
        raise InputError("guard-settings", f"{path} holds no JSON object")
    return found


def _known(made: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What this code knows of it: a guard outlives its code, and what newer files say on top must not stop a reload."""
    return {key: value for key, value in raw.items() if key in made.__annotations__}


def read_balancer(path: Path) -> BalancerSettings:
    """Settings of HAProxy's guard. Raises InputError when the file is missing, no JSON, or lacks a field."""
    raw = dict(_read(path))
    try:
        raw["listeners"] = tuple(Listener(**_known(Listener, item)) for item in raw["listeners"])
        raw["singles"] = tuple(Single(item["backend"], tuple(item["servers"])) for item in raw["singles"])
        raw["keepalive"] = tuple(raw["keepalive"])
        raw["limits"] = Limits(**_known(Limits, raw["limits"]))
        return BalancerSettings(**_known(BalancerSettings, raw))
    except (KeyError, TypeError) as error:
        raise InputError("guard-settings", f"{path}: {error}") from error


def read_router(path: Path) -> RouterSettings:
    """Settings of Keepalived's guard. Raises InputError when the file is missing, no JSON, or lacks a field."""
    raw = dict(_read(path))
    try:
        raw["instances"] = tuple(_instance(item) for item in raw["instances"])
        raw["networks"] = tuple(_network(item) for item in raw.get("networks", ()))
        raw["quorum"] = QuorumLimits(**_known(QuorumLimits, raw.get("quorum", {"limit": 0.0})))
        return RouterSettings(**_known(RouterSettings, raw))
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError("guard-settings", f"{path}: {error}") from error


def _instance(item: Mapping[str, Any]) -> Instance:
    return Instance(**{**_known(Instance, item), "networks": tuple(item.get("networks", ()))})


def _network(item: Mapping[str, Any]) -> Network:
    peers = tuple(sorted((str(name), str(where)) for name, where in item["peers"].items()))
    return Network(**{**_known(Network, item), "peers": peers})
