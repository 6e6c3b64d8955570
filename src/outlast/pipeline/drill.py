"""`outlast drill run`: one scenario, or several, against the running cluster."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets as chance
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from outlast.drill import pace, views
from outlast.drill.conclude import conclude
from outlast.drill.console_stream import ConsoleStream
from outlast.drill.faults.hands import Hands
from outlast.drill.fitting import fits
from outlast.drill.instrument.mix import MIX, by_origin
from outlast.drill.load import Loads, Place
from outlast.drill.run import Bench, Drill
from outlast.drill.scenario import Scenario
from outlast.drill.undo import Healed, heal
from outlast.errors import InputError, MachineError, OutlastError
from outlast.lab.topology import node_namespace
from outlast.observe.status import ClusterStatus
from outlast.pipeline import tenants
from outlast.pipeline.client import client_node, credentials
from outlast.pipeline.demo import demo
from outlast.pipeline.drill_record import record_of
from outlast.pipeline.events import Wanted, find
from outlast.pipeline.target import Target
from outlast.pipeline.verbs import look as look_at
from outlast.plan.plan import CONTROL_DATA
from outlast.record.run import HOME, RunFolder, RunRecord
from outlast.record.verdict import Verdict
from outlast.rollout import secrets

NETNS = Path("/run/netns")
LONGEST = 3600.0


@dataclass(frozen=True)
class Outcome:
    """A run that was carried to its end."""

    folder: Path
    verdict: Verdict


def home(target: Target) -> Path:
    """Where the runs of a cluster are kept, and its undo journal."""
    return HOME / target.cluster.cluster


def hands_of(target: Target) -> Hands:
    """Raises InputError for a cluster on real hosts: faults are made by the lab's levers."""
    if not target.is_lab:
        raise InputError("drill.hosts", f"{target.path} names real hosts; drills break labs only")
    return Hands(target.lab, target.plan)


@contextmanager
def alone(target: Target) -> Iterator[None]:
    """Only one drill at a time breaks a cluster. Raises MachineError drill.busy."""
    folder = home(target)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise MachineError("drill.busy", f"another drill runs against {target.cluster.cluster}") from None
    try:
        yield
    finally:
        os.close(lock)


def heal_all(target: Target) -> Healed:
    """Takes back what an earlier drill left broken."""
    return heal(hands_of(target), home(target))


def session_id(now: float) -> str:
    """What runs of one session have in common: comparisons between profiles are made within it."""
    return time.strftime("%Y%m%dt%H%M%S", time.localtime(now))


def run(
    target: Target, scenarios: Sequence[Scenario], tell: Callable[[str], None], *, session: str = "", seed: int = 0
) -> Iterator[Outcome]:
    """Each scenario in turn; one that does not fit is told and left out.

    Raises InputError drill.unhealthy where the cluster is not well before one, and OutlastError where a drill cannot
    begin or the cluster could not be healed after it.
    """
    session = session or session_id(time.time())
    afterwards = Afterwards()
    with alone(target):
        left = heal_all(target)
        for sentence in (*left.undone, *left.failed):
            tell(sentence)
        try:
            for number, scenario in enumerate(scenarios, start=1):
                reason = fits(scenario, target.plan)
                if reason:
                    tell(f"{scenario.name}: left out: {reason}")
                    continue
                tell(f"{scenario.name} ({number} of {len(scenarios)}): {scenario.title}")
                known = f"{scenario.name}-{target.plan.timing.name}"
                run_id = unused_id(home(target), session, known, range(number, sys.maxsize, len(scenarios)))
                yield one(target, scenario, tell, Numbers(run_id, seed), afterwards)
        finally:
            afterwards.wait()
            if has_servers(target):
                tenants.forget(target, tenants.SECOND, tell)


def unused_id(folder: Path, session: str, known: str, numbers: Iterable[int]) -> str:
    """The first id of a run that has no evidence yet: a profile may come twice in one session."""
    ids = (f"{session}-{number:02d}-{known}" for number in numbers)
    return next(one for one in ids if not (folder / one).exists())


@dataclass(frozen=True)
class Numbers:
    """What tells a run from others of its scenario."""

    run_id: str
    seed: int


class Afterwards:
    """What is left to do after a drill, and can be done while the next is prepared; never while one measures."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="afterwards")
        self._left: list[Future[None]] = []

    def do(self, work: Callable[[], None]) -> None:
        self._left.append(self._pool.submit(work))

    def wait(self) -> None:
        """Raises what the work raised."""
        while self._left:
            self._left.pop().result()


def one(
    target: Target, scenario: Scenario, tell: Callable[[str], None], numbers: Numbers, afterwards: Afterwards
) -> Outcome:
    """One drill: healthy before, evidence, verdict."""
    hands, folder = hands_of(target), RunFolder(home(target) / numbers.run_id)
    look = looker(target)
    await_healthy(look, tell)
    folder.path.mkdir(parents=True)  # never among another run's evidence
    tenant = tenants.first(target) if has_servers(target) else {}
    between, missing = between_servers(target, hands)
    afterwards.wait()
    own = Own(f"d{chance.token_hex(3)}", chance.token_hex(16), scenario.workloads or fitting_workloads(target))
    prepare_database(hands, target, own.password)
    part = part_of(target, scenario, tell)
    places = orders_of(target, folder, own, (scenario.rate, part), tenant)
    server = f"again-{own.prefix}"
    bench = Bench(
        hands=hands,
        loads=Loads(places, folder.path, tell),
        between=between,
        missing=missing,
        folder=folder,
        journal=home(target),
        look=look,
        works_again=lambda: works_again(target, server),
        tell=tell,
    )
    drill = Drill(scenario, bench, numbers.seed, numbers.run_id)
    record = record_of(target, scenario, numbers.run_id, numbers.seed)
    folder.write("run.json", record)
    begun = time.time()
    try:
        drill.run()
        tell("reconciling")
        # Nothing is measured any more: both at once, a new server takes half a minute to boot where cores are slow.
        with ThreadPoolExecutor(1) as beside:
            reconciled = beside.submit(reconcile, target, bench, own, places)
            drill.try_it()
            reconciled.result()
    finally:
        folder.write("run.json", RunRecord(**{**vars(record), "targets": drill.targets()}))
        save_events(target, folder, begun)
    verdict = conclude(folder)
    folder.write("verdict.json", verdict)
    if has_servers(target):
        afterwards.do(lambda: tenants.forget(target, server, tell))
    return Outcome(folder.path, verdict)


def reconcile(target: Target, bench: Bench, own: Own, places: Sequence[Place]) -> None:
    """What is there of what the load wrote, seen from every node; then all of it is removed."""
    known: dict[str, Any] = {key: value for place in places for key, value in place.order.items()}
    if target.plan.has("keystone"):
        known["internal"] = {"keystone": target.plan.url("keystone")}
    found = views.collect(bench.hands, own.workloads, own.prefix, known, bench.folder.history())
    bench.folder.write("views.json", found)
    bench.loads.clean(120)
    remove_database(bench.hands, target, bench.tell)


# --- before ----------------------------------------------------------------------------------------------------------


def between_servers(target: Target, hands: Hands) -> tuple[ConsoleStream | None, str]:
    """The stream between two servers, or why there is none; "" for a cluster that has no servers."""
    if not has_servers(target):
        return None, ""
    try:
        return tenants.between(target, hands), ""
    except OutlastError as error:
        return None, f"no stream between servers was measured: {error.message}"


def looker(target: Target) -> Callable[[], ClusterStatus]:
    """The cluster's status. Nodes without power count: they are not well."""

    def ask() -> ClusterStatus:
        seen, _ = asyncio.run(look_at(target))
        return seen

    return ask


def await_healthy(look: Callable[[], ClusterStatus], tell: Callable[[str], None], seconds: float = 60.0) -> None:
    """A drill of a sick cluster proves nothing. Raises InputError drill.unhealthy."""
    end = time.monotonic() + seconds
    seen = look()
    if seen.code != "ok":
        tell(f"waiting for health: {seen.sentence}")
    while seen.code != "ok":
        if time.monotonic() > end:
            raise InputError("drill.unhealthy", f"the cluster is {seen.code}: {seen.sentence}; see: outlast status")
        time.sleep(0.5)
        seen = look()


def fitting_workloads(target: Target) -> tuple[str, ...]:
    """All workloads whose service is in this cluster, and that have a place to be sent from."""
    plan = target.plan
    computes = bool(plan.members_of("nova-compute"))
    return tuple(
        name
        for name, share in MIX.items()
        if plan.has(share.service)
        and (share.origin != "client" or plan.has("keystone"))
        and (name != "nova-servers" or computes)
    )


def prepare_database(hands: Hands, target: Target, password: str) -> None:
    """A database and a user of the drill's own; the password is new for every run."""
    members = target.plan.members_of("galera")
    if not members:
        return
    user = f"'{views.DATABASE}'@'%'"
    views.sql(
        hands,
        members[0].node,
        f"CREATE DATABASE IF NOT EXISTS {views.DATABASE};\n"
        f"CREATE OR REPLACE USER {user} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON {views.DATABASE}.* TO {user};\n",
    )


def remove_database(hands: Hands, target: Target, tell: Callable[[str], None]) -> None:
    members = target.plan.members_of("galera")
    if not members:
        return
    statements = f"DROP USER IF EXISTS '{views.DATABASE}'@'%';\nDROP DATABASE IF EXISTS {views.DATABASE};\n"
    try:
        views.sql(hands, members[0].node, statements)
    except OutlastError as error:
        tell(f"the drill's database could not be removed: {error.message}")


def part_of(target: Target, scenario: Scenario, tell: Callable[[str], None]) -> float:
    """Which part of the scenario's requests is sent: not all where a machine is too slow for a whole cloud and them."""
    part = pace.measured() if has_servers(target) else 1.0
    if part < 1.0:
        packets, all_packets = (round(1 / seconds) for seconds in (pace.period(part), pace.PERIOD))
        tell(
            f"this machine is slow: {scenario.rate * part:.3g} instead of {scenario.rate:.3g} requests/s, "
            f"{packets} instead of {all_packets} tenant packets/s"
        )
    return part


@dataclass(frozen=True)
class Own:
    """What is one run's own: all that it makes begins with the prefix; the password is its database user's."""

    prefix: str
    password: str
    workloads: Sequence[str]


def orders_of(
    target: Target, folder: RunFolder, own: Own, load: tuple[float, float], tenant: Mapping[str, Any]
) -> tuple[Place, ...]:
    """One order for each place from which clients speak: outside for the APIs, a compute node for database and bus.

    load: the scenario's requests per second, and which part of them is sent. tenant: of `tenants.first`, or empty.
    """
    rate, part = load
    common: dict[str, Any] = {"folder": str(folder.path), "prefix": own.prefix, "seconds": LONGEST, "deadline": 30.0}
    found = []
    shares = by_origin(own.workloads, rate * part)
    for number, (origin, (names, mine)) in enumerate(shares.items()):
        order = {**common, "first": number, "step": len(shares), "seed": number, "rate": mine, "workloads": list(names)}
        if origin == "client":
            node = client_node(target)
            order |= from_outside(target)
            if tenant:
                floating = {"name": "floating", "address": tenant["address"], "period": pace.period(part)}
                order |= {"streams": [floating], "server": tenant["server"]}
        else:
            node = inner_node(target)
            order |= from_inside(target, own.password)
        found.append(Place(node, NETNS / node_namespace(target.lab.topology.lab_id, node), order))
    return tuple(found)


def from_outside(target: Target) -> Mapping[str, Any]:
    urls = {
        one.frontend.name: f"http://{one.address}:{one.port}" for one in target.plan.frontends if one.vip == "external"
    }
    urls["nova"] = f"{urls['nova']}/v2.1" if "nova" in urls else ""
    return {"auth": dict(credentials(target)), "urls": {name: url for name, url in urls.items() if url}}


def from_inside(target: Target, password: str) -> Mapping[str, Any]:
    plan, stored = target.plan, secrets.read(secrets.path_for(target.path))
    order: dict[str, Any] = {}
    if plan.has("galera"):
        host, port = plan.vip("galera")
        order["sql"] = {
            "host": host,
            "port": port,
            "user": views.DATABASE,
            "password": password,
            "database": views.DATABASE,
        }
    if plan.has("rabbitmq"):
        hosts = [f"{address}:{plan.port('rabbitmq', 'amqp')}" for address in plan.addresses("rabbitmq")]
        order["amqp"] = {"hosts": hosts, "user": "openstack", "password": stored["rabbitmq/openstack"]}
    return order


def inner_node(target: Target) -> str:
    """Whence services speak to database and bus: a compute node where there is one, else the client."""
    nodes = [node for node in target.plan.nodes if CONTROL_DATA in node.addresses]
    return min(nodes, key=lambda node: ("compute" not in node.roles, "client" not in node.roles)).name


# --- during and after ------------------------------------------------------------------------------------------------


def has_servers(target: Target) -> bool:
    return target.plan.has("nova") and bool(target.plan.members_of("nova-compute"))


def works_again(target: Target, server: str) -> None:
    """A new server on a new floating address, reached from outside; without Nova, nothing new can be tried."""
    if has_servers(target):
        asyncio.run(demo(target, lambda told: None, server=server, seconds=60))


def save_events(target: Target, folder: RunFolder, begun: float) -> None:
    """The agents' and guards' events since the drill began, on the run's clock."""
    offset = time.time() - time.monotonic()
    try:
        found = asyncio.run(find(target, Wanted(since=begun))).events
    except (OutlastError, OSError):
        return
    folder.append("events.jsonl", [replace(event, at=event.at - offset) for event in found])
