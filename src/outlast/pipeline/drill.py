"""`outlast drill run`: one scenario, or several, against the running cluster."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import platform
import secrets as chance
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from outlast.drill.scenario_file import write
from outlast.drill.undo import Healed, heal
from outlast.errors import InputError, MachineError, OutlastError
from outlast.lab.topology import node_namespace
from outlast.pipeline import tenants
from outlast.pipeline.bundles import own_code
from outlast.pipeline.client import client_node, credentials
from outlast.pipeline.demo import demo
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
                run_id = f"{session}-{number:02d}-{scenario.name}-{target.plan.timing.name}"
                yield one(target, scenario, tell, run_id, seed)
        finally:
            if has_servers(target):
                tenants.forget(target, tenants.SECOND, tell)


def one(target: Target, scenario: Scenario, tell: Callable[[str], None], run_id: str, seed: int) -> Outcome:
    """One drill: healthy before, evidence, verdict."""
    hands, folder = hands_of(target), RunFolder(home(target) / run_id)
    look = looker(target)
    await_healthy(look, tell)
    prefix = f"d{chance.token_hex(3)}"
    workloads = scenario.workloads or fitting_workloads(target)
    password = chance.token_hex(16)
    prepare_database(hands, target, password)
    part = part_of(target, scenario, tell)
    orders = orders_of(target, folder, (scenario.rate, part), workloads, prefix, password)
    loads = Loads(orders, folder.path, tell)
    server = f"again-{prefix}"
    between, missing = between_servers(target, hands)
    bench = Bench(
        hands=hands,
        loads=loads,
        between=between,
        missing=missing,
        folder=folder,
        journal=home(target),
        look=look,
        works_again=lambda: works_again(target, server),
        tell=tell,
    )
    drill = Drill(scenario, bench, seed, run_id)
    record = record_of(target, scenario, run_id, seed)
    folder.write("run.json", record)
    begun = time.time()
    try:
        drill.run()
    finally:
        folder.write("run.json", RunRecord(**{**vars(record), "targets": drill.targets()}))
        save_events(target, folder, begun)
    tell("reconciling")
    known: dict[str, Any] = {key: value for place in orders for key, value in place.order.items()}
    if target.plan.has("keystone"):
        known["internal"] = {"keystone": target.plan.url("keystone")}
    folder.write("views.json", views.collect(hands, workloads, prefix, known, folder.history()))
    verdict = conclude(folder)
    folder.write("verdict.json", verdict)
    loads.clean(120)
    remove_database(hands, target, tell)
    if target.plan.has("nova"):
        tenants.forget(target, server, tell)
    return Outcome(folder.path, verdict)


# --- before ----------------------------------------------------------------------------------------------------------


def between_servers(target: Target, hands: Hands) -> tuple[ConsoleStream | None, str]:
    """The stream between two servers, or why there is none; "" for a cluster that has no servers."""
    if not has_servers(target):
        return None, ""
    try:
        return tenants.between(target, hands), ""
    except OutlastError as error:
        return None, f"no stream between servers was measured: {error.message}"


def looker(target: Target) -> Callable[[], tuple[str, str]]:
    """The cluster's status in two words. Nodes without power count: they are not well."""

    def ask() -> tuple[str, str]:
        seen, _ = asyncio.run(look_at(target))
        return seen.code, seen.sentence

    return ask


def await_healthy(look: Callable[[], tuple[str, str]], tell: Callable[[str], None], seconds: float = 60.0) -> None:
    """A drill of a sick cluster proves nothing. Raises InputError drill.unhealthy."""
    end = time.monotonic() + seconds
    code, sentence = look()
    if code != "ok":
        tell(f"waiting for health: {sentence}")
    while code != "ok":
        if time.monotonic() > end:
            raise InputError("drill.unhealthy", f"the cluster is {code}: {sentence}; see: outlast status")
        time.sleep(0.5)
        code, sentence = look()


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
            f"this machine is slow: {scenario.rate * part:.0f} instead of {scenario.rate:.0f} requests/s, "
            f"{packets} instead of {all_packets} tenant packets/s"
        )
    return part


def orders_of(
    target: Target,
    folder: RunFolder,
    load: tuple[float, float],
    workloads: Sequence[str],
    prefix: str,
    password: str,
) -> tuple[Place, ...]:
    """One order for each place from which clients speak: outside for the APIs, a compute node for database and bus.

    load: the scenario's requests per second, and which part of them is sent.
    """
    rate, part = load
    plan, stored = target.plan, secrets.read(secrets.path_for(target.path))
    tenant = tenants.first(target) if has_servers(target) else {}
    common: dict[str, Any] = {"folder": str(folder.path), "prefix": prefix, "seconds": LONGEST, "deadline": 30.0}
    found = []
    shares = by_origin(workloads, rate * part)
    for number, (origin, (names, own)) in enumerate(shares.items()):
        order = {**common, "first": number, "step": len(shares), "seed": number, "rate": own, "workloads": list(names)}
        if origin == "client":
            node = client_node(target)
            urls = {
                one.frontend.name: f"http://{one.address}:{one.port}" for one in plan.frontends if one.vip == "external"
            }
            urls["nova"] = f"{urls['nova']}/v2.1" if "nova" in urls else ""
            order |= {"auth": dict(credentials(target)), "urls": {name: url for name, url in urls.items() if url}}
            if tenant:
                floating = {"name": "floating", "address": tenant["address"], "period": pace.period(part)}
                order |= {"streams": [floating], "server": tenant["server"]}
        else:
            node = inner_node(target)
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
        found.append(Place(node, NETNS / node_namespace(target.lab.topology.lab_id, node), order))
    return tuple(found)


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


def record_of(target: Target, scenario: Scenario, run_id: str, seed: int) -> RunRecord:
    text = scenario.text or write(scenario)
    return RunRecord(
        id=run_id,
        scenario=scenario.name,
        text=text,
        profile=target.plan.timing.name,
        cluster=target.path.read_text(),
        commit=commit(),
        inputs=inputs(target, scenario),
        started=time.time(),
        seed=seed,
        machine=machine(),
        title=scenario.title,
        fault_class=scenario.fault_class,
        covers=scenario.covers,
        suites=scenario.suites,
    )


def inputs(target: Target, scenario: Scenario) -> str:
    """Digest of all that a scorecard row depends on: our code, the cluster file, the scenario, the profile."""
    parts = (own_code().digest, target.path.read_text(), scenario.text or write(scenario), target.plan.timing.name)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def commit() -> str:
    """The commit of the code in use, "" outside a clone."""
    folder = Path(__file__).parent
    argv = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def machine() -> Mapping[str, str]:
    """What figures in seconds depend on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory.split()[1]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "processor": models[0].partition(":")[2].strip() if models else platform.machine(),
    }
