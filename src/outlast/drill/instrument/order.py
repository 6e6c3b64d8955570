"""The order that the instrument gets on its standard input: one line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from outlast.drill.instrument.mix import MIX
from outlast.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Database:
    host: str
    port: int
    user: str
    password: str
    database: str = "outlast_drill"


@dataclass(frozen=True, kw_only=True)
class Broker:
    """hosts: "address:port" of every member."""

    hosts: tuple[str, ...]
    user: str
    password: str


@dataclass(frozen=True, kw_only=True)
class Stream:
    """period: seconds from one packet to the next."""

    name: str
    address: str
    period: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Server:
    """Ids of what a server is made of."""

    image: str
    flavor: str
    network: str


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send, and whither.

    action: run; prepare (makes what the workloads need: container, queues, table; `run` does it too); clean (removes
    everything whose name begins with the prefix). Ids of requests are first, first + step … rate: requests per second
    over all workloads; seconds: at most; deadline: seconds for one request. urls: service -> address up to the API's
    version.
    """

    action: Literal["run", "prepare", "clean"] = "run"
    folder: str = ""
    first: int = 0
    step: int = 1
    seed: int = 0
    rate: float = 40.0
    seconds: float = 600.0
    workloads: tuple[str, ...] = ()
    auth: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    sql: Database | None = None
    amqp: Broker | None = None
    streams: tuple[Stream, ...] = ()
    server: Server | None = None
    prefix: str = ""
    deadline: float = 30.0


def read(text: bytes | str) -> Order:
    """Raises InputError `instrument.order` with everything that is wrong with it."""
    try:
        order = msgspec.json.decode(text, type=Order)
    except msgspec.MsgspecError as error:
        raise InputError("instrument.order", f"the order cannot be read: {error}") from None
    wrong = _wrong(order)
    if wrong:
        raise InputError("instrument.order", "; ".join(wrong))
    return order


def _wrong(order: Order) -> list[str]:
    wrong = [f"no workload is named {name!r}" for name in order.workloads if name not in MIX]
    if order.action == "run" and not order.folder:
        wrong.append("`folder` is missing")
    if not order.prefix:
        wrong.append("`prefix` is missing")
    if order.rate <= 0 or order.seconds <= 0 or order.deadline <= 0 or order.step < 1:
        wrong.append("rate, seconds, deadline and step must be positive")
    return wrong + [line for name in order.workloads if name in MIX for line in _lacking(order, name)]


def _lacking(order: Order, workload: str) -> list[str]:
    service = MIX[workload].service
    if service == "galera":
        return [] if order.sql else [f"{workload} needs `sql`"]
    if service == "rabbitmq":
        return [] if order.amqp and order.amqp.hosts else [f"{workload} needs `amqp` with hosts"]
    lacking = [f"{workload} needs `urls` of {name}" for name in {service, "keystone"} if name not in order.urls]
    if not order.auth:
        lacking.append(f"{workload} needs `auth`")
    if workload == "nova-servers" and order.server is None:
        lacking.append("nova-servers needs `server`")
    return lacking
