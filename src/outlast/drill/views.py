"""What is there after a drill: asked of every node's own APIs, in every database member, and of the queues.

Not through the VIP: a node that disagrees with the others must not hide behind one that does not.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import amqp
import msgspec
from multidict import CIMultiDict

from outlast.drill.faults.hands import Hands
from outlast.drill.instrument import api
from outlast.drill.instrument.messages import connect, queues
from outlast.drill.instrument.mix import MIX
from outlast.drill.instrument.order import Broker
from outlast.errors import OutlastError
from outlast.record.history import Operation
from outlast.record.run import View

SECONDS = 20.0
DATABASE = "outlast_drill"
_SQL = ("mariadb", "--no-defaults", "--socket=/run/mysqld/mysqld.sock", "--batch", "--skip-column-names")

# Workload -> where its things are in the databases: key, value. Of LIKE's own signs only "_" is in a prefix (that of
# traits), and it matches itself too.
_TABLES: Mapping[str, str] = {
    "sql-rows": "SELECT k, v FROM outlast_drill.`rows` WHERE k LIKE '{prefix}-%'",
    "keystone-projects": "SELECT name, '' FROM keystone.project WHERE name LIKE '{prefix}-%'",
    "glance-images": "SELECT name, '' FROM glance.images WHERE deleted = 0 AND name LIKE '{prefix}-%'",
    "placement-traits": "SELECT name, '' FROM placement.traits WHERE name LIKE '{trait}%'",
    "nova-keypairs": "SELECT name, '' FROM nova_api.key_pairs WHERE name LIKE '{prefix}-%'",
    "nova-servers": "SELECT hostname, '' FROM nova.instances WHERE deleted = 0 AND hostname LIKE '{prefix}-%'",
    "neutron-networks": "SELECT name, '' FROM neutron.networks WHERE name LIKE '{prefix}-%'",
}
_PORTS = {"nova-servers": "nova", "nova-keypairs": "nova"}


def collect(
    hands: Hands, workloads: Sequence[str], prefix: str, order: Mapping[str, Any], operations: Sequence[Operation]
) -> tuple[View, ...]:
    """Views of all collections that the workloads wrote. A node that cannot be asked gives views that say so."""
    names = [name for name in workloads if "create" in MIX[name].steps]
    work: list[Callable[[], View]] = []
    for name in names:
        if name in _TABLES:
            work += [partial(_rows, hands, one.node, name, prefix) for one in hands.plan.members_of("galera")]
        if name in api.API:
            service = MIX[name].service
            members = hands.plan.members_of(service)
            keys = tuple(one.key for one in operations if one.workload == name and one.kind == "create")
            work += [partial(_listed, hands, one.node, name, prefix, order, keys) for one in members]
    if "mq-notices" in names and order.get("amqp"):
        work.append(partial(_queued, hands, prefix, msgspec.convert(order["amqp"], Broker)))
    with ThreadPoolExecutor(4) as pool:
        return tuple(pool.map(lambda one: one(), work))


def sql(hands: Hands, node: str, statement: str, timeout: float = SECONDS) -> list[list[str]]:
    """Rows of a statement asked by the member's own socket. Raises OutlastError."""
    return [line.split("\t") for line in hands.run(node, _SQL, given=statement, timeout=timeout).splitlines()]


def _rows(hands: Hands, node: str, workload: str, prefix: str) -> View:
    service = MIX[workload].service
    statement = _TABLES[workload].format(prefix=prefix, trait=api.trait(prefix))
    try:
        found = sql(hands, node, statement)
    except OutlastError:
        return View(node=node, service=service, collection=workload, entries=(), complete=False)
    entries = tuple((row[0], row[1] if len(row) > 1 else "") for row in found)
    return View(node=node, service=service, collection=workload, entries=entries)


def _listed(
    hands: Hands, node: str, workload: str, prefix: str, order: Mapping[str, Any], keys: tuple[str, ...]
) -> View:
    service = MIX[workload].service
    view = partial(View, node=f"{node} API", service=service, collection=workload)
    asker = Asker(hands, node, order)
    try:
        return view(entries=tuple((key, "") for key in asker.keys(workload, prefix, keys)))
    except (OutlastError, OSError, ValueError, KeyError):
        return view(entries=(), complete=False)


class Asker:
    """Asks one node's own APIs from within its network."""

    def __init__(self, hands: Hands, node: str, order: Mapping[str, Any]) -> None:
        self._hands, self._node, self._order = hands, node, order
        self._names: dict[str, str] = {}
        self._token = ""

    def keys(self, workload: str, prefix: str, known: Sequence[str]) -> list[str]:
        """Keys of ours that are there. Raises OSError, ValueError or KeyError where an answer is not whole."""
        return self._hands.in_network(self._node, lambda: self._keys(workload, prefix, known))

    def _keys(self, workload: str, prefix: str, known: Sequence[str]) -> list[str]:
        self._log_in()
        if workload == "swift-objects":
            return [key for key in dict.fromkeys(known) if self._there(workload, prefix, key)]
        call = api.API[workload]["list"]
        names = {**self._names, **api.names_of("", "", prefix)}
        status, headers, body = self._ask(workload, call, names)
        reply = api.judge(call, names, status, headers, body)
        if reply.outcome != "ok" or reply.value.endswith("..."):
            raise ValueError(reply.detail)
        return reply.value.split()

    def _there(self, workload: str, prefix: str, key: str) -> bool:
        """Objects are asked for one by one: their lists follow later by design."""
        call = api.API[workload]["read"]
        status, _, _ = self._ask(workload, call, {**self._names, **api.names_of(key, "", prefix)})
        if status not in (200, 404):
            raise ValueError(f"status {status}")
        return status == 200

    def _ask(self, workload: str, call: api.Call, names: api.Names) -> tuple[int, Mapping[str, str], bytes]:
        service = MIX[workload].service
        path = self._order["urls"][service].split("/", 3)[3:]
        base = f"http://{self._hands.plan.address(self._node)}:{self._port(service)}/{path[0] if path else ''}"
        request = urllib.request.Request(base.rstrip("/") + str(api.fill(call.path, names)), method=call.method)
        request.add_header("X-Auth-Token", self._token)
        for header, value in api.HEADERS.get(service, {}).items():
            request.add_header(header, value)
        return _open(request)

    def _port(self, service: str) -> int:
        frontend = next(item for item in self._hands.plan.frontends if item.frontend.name == service)
        return next(port for node, _, port in frontend.servers if node == self._node)

    def _log_in(self) -> None:
        auth = self._order["auth"]
        self._names = {
            "username": auth["OS_USERNAME"],
            "password": auth["OS_PASSWORD"],
            "project": auth["OS_PROJECT_NAME"],
            "user_domain": auth["OS_USER_DOMAIN_NAME"],
            "project_domain": auth["OS_PROJECT_DOMAIN_NAME"],
        }
        request = urllib.request.Request(
            self._order["internal"]["keystone"] + api.TOKEN.path,
            data=api.body_of(api.TOKEN, self._names),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        status, headers, body = _open(request)
        if status != 201:
            raise ValueError(f"no token: {status}")
        token = msgspec.json.decode(body)["token"]
        self._token = headers["X-Subject-Token"]
        self._names |= {"account": token["project"]["id"], "user": token["user"]["id"]}


def _open(request: urllib.request.Request) -> tuple[int, Mapping[str, str], bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return answer.status, CIMultiDict(answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, CIMultiDict(error.headers.items()), error.read()


def _queued(hands: Hands, prefix: str, broker: Broker) -> View:
    """What nobody has taken from the queue yet; it is left there."""
    view = partial(View, node="queue", service="rabbitmq", collection="mq-notices")
    place = hands.plan.members_of("nova-compute") or hands.plan.members_of("rabbitmq")
    try:
        return view(entries=hands.in_network(place[0].node, partial(_waiting, broker, queues(prefix)["notices"])))
    except (OSError, amqp.AMQPError):
        return view(entries=(), complete=False)


def _waiting(broker: Broker, queue: str) -> tuple[tuple[str, str], ...]:
    found = []
    for host in broker.hosts:
        with suppress(OSError, amqp.AMQPError):
            connection = connect(broker, host, SECONDS)
            try:
                channel = connection.channel()
                while (message := channel.basic_get(queue)) is not None:
                    found.append((str(message.body), ""))
            finally:
                connection.collect()
            return tuple(found)
    raise OSError("no broker answers")
