"""A node's tree and the secrets' values → the bundle its agent converges. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from outlast.plan.plan import CONTROL_DATA, MANAGEMENT, Plan
from outlast.render.tree import NodeTree, RenderedFile, RenderedMember
from outlast.spec.bundle import Bundle, BundleFile, BundleMember, Peer, Watch, encode
from outlast.spec.digest import digest as stable_digest
from outlast.spec.probe import Probe
from outlast.spec.program import Program, Step
from outlast.spec.secret import PLACEHOLDER, SecretRef

AGENT_PORT = 8900
"""The agents' port on the management network: snapshots only."""


@dataclass(frozen=True)
class Code:
    """Our own code as it travels: a zip of the package and its digest."""

    digest: str
    archive: bytes


def secrets_in(trees: Iterable[NodeTree]) -> frozenset[SecretRef]:
    """Every secret that the trees name, wherever it stands."""
    found: set[SecretRef] = set()
    for tree in trees:
        for member in tree.members:
            # repr() of plain frozen values holds every string in them, steps and probes included.
            for source in (*(rendered.text for rendered in member.files), repr(replace(member.spec, files=()))):
                found.update(SecretRef(name, kind) for name, kind in PLACEHOLDER.findall(source))
    return frozenset(found)


def bundle(plan: Plan, tree: NodeTree, secrets: Mapping[str, str], code: Code) -> Bundle:
    """What the node is handed. Raises KeyError where `secrets` lacks a name."""
    members = tuple(_member(plan, member, secrets, code.digest) for member in tree.members)
    network = MANAGEMENT
    value = Bundle(
        cluster=plan.cluster,
        node=tree.node,
        digest="",
        code=code.digest,
        agent_address=plan.address(tree.node, network),
        agent_port=AGENT_PORT,
        recovery=plan.recovery,
        members=members,
        peers=_peers(plan, tree.node),
        zookeeper=_zookeeper(plan),
        vips=tuple(vip.address for vip in plan.vips.values() if tree.node in vip.priorities),
        repair_after=plan.timing.repair_after,
        watch=_watch(plan, tree.node) if plan.timing.repair_after else None,
    )
    return replace(value, digest=hashlib.sha256(encode(value)).hexdigest()[:16])


def _zookeeper(plan: Plan) -> tuple[str, ...]:
    if not plan.has("zookeeper"):
        return ()
    port = plan.port("zookeeper", "client")
    return tuple(f"{address}:{port}" for address in plan.addresses("zookeeper"))


GUARD = "guard"
"""Fact of a member that a guard of ours runs: its state file."""

LISTED = (
    ("rabbitmq", "amqp"),
    ("rabbitmq", "epmd"),
    ("rabbitmq", "distribution"),
    ("memcached", "memcached"),
    ("ovn", "nb"),
    ("ovn", "sb"),
    ("zookeeper", "client"),
)
"""Ports whose clients are told all members (decision 0003), or are the other members: no balancer ends what they have
with one that is gone."""

SHARED = ("rabbitmq", "amqp")
"""What takes calls without a majority of its members and cannot carry them out. Galera refuses them by itself, OVN's
databases and ZooKeeper leave their clients, memcached needs no majority."""

GROUP = ("galera", "cluster")
"""Whose group one unsteady member can bring down (node/kept_out.py)."""


def _watch(plan: Plan, me: str) -> Watch | None:
    listed = [(service, port) for service, port in LISTED if plan.has(service)]
    services = {service for service, _ in (*listed, GROUP) if plan.has(service)}
    members = {member.node for service in services for member in plan.members_of(service)}
    peers = tuple((node.name, plan.address(node.name)) for node in plan.nodes if node.name in members - {me})
    if not peers:
        return None
    ports = tuple(plan.port(service, port) for service, port in listed)
    voters, grouped = _voters(plan, me, SHARED[0]), _voters(plan, me, GROUP[0])
    return Watch(
        plan.networks[CONTROL_DATA].interface,
        plan.address(me),
        peers,
        ports,
        voters,
        shared=(plan.port(*SHARED),) if voters else (),
        group=plan.port(*GROUP) if grouped else 0,
        grouped=grouped,
    )


def _voters(plan: Plan, me: str, service: str) -> tuple[str, ...]:
    """The service's other members; nobody where this node has none of it, or a majority is all of them."""
    members = [member.node for member in plan.members_of(service)] if plan.has(service) else []
    return tuple(name for name in members if name != me) if me in members and len(members) > 2 else ()


def _peers(plan: Plan, me: str) -> tuple[Peer, ...]:
    """The nodes an agent asks: those that share a clustered service with it (computes never ask each other)."""
    mine = {member.service for member in plan.members_on(me)}
    clustered = {name for name in mine if plan.specs[name].quorum}
    if not clustered:
        return ()
    found = []
    for node in plan.nodes:
        services = tuple(member.service for member in plan.members_on(node.name))
        if node.name != me and clustered.intersection(services):
            found.append(Peer(node.name, plan.address(node.name, MANAGEMENT), services))
    return tuple(found)


def _member(plan: Plan, member: RenderedMember, secrets: Mapping[str, str], code: str) -> BundleMember:
    spec = member.spec
    filled = replace(spec, files=())
    # The filled description travels through JSON once, so that placeholders anywhere in it are replaced in one place.
    raw = msgspec.json.encode({name: getattr(filled, name) for name in _FILLED}).decode()
    described = msgspec.json.decode(_fill_json(raw, secrets), type=_Described)
    files = tuple(_file(rendered, secrets) for rendered in member.files)
    index = next(item.index for item in plan.members_on(spec.node) if item.service == spec.service)
    return BundleMember(
        service=spec.service,
        index=index,
        files=files,
        directories=spec.directories,
        programs=described.programs,
        prepare=described.prepare,
        setup=described.setup if index == 0 else (),
        needs=described.needs,
        probes=described.probes,
        start=spec.start,
        reload=spec.reload,
        restart_digest=_digest("restart", files, described),
        # A guard makes way for the next one at a reload that finds other code, and only then; what it guards stays.
        reload_digest=_digest("reload", files, described, code if GUARD in dict(spec.facts) else ""),
        after=tuple(name for name in plan.specs[spec.service].after),
        facts=spec.facts,
        quorum=plan.specs[spec.service].quorum,
        space=spec.space,
    )


_FILLED = ("programs", "prepare", "setup", "needs", "probes")


class _Described(msgspec.Struct):
    programs: tuple[Program, ...]
    prepare: tuple[Step, ...]
    setup: tuple[Step, ...]
    needs: tuple[Probe, ...]
    probes: tuple[Probe, ...]


def _file(rendered: RenderedFile, secrets: Mapping[str, str]) -> BundleFile:
    file = rendered.file
    text = fill(rendered.text, secrets)
    kept = "once" if file.once else text
    digest = hashlib.sha256(f"{file.path}\0{file.mode}\0{file.owner}\0{file.group}\0{kept}".encode()).hexdigest()[:16]
    return BundleFile(file.path, text, file.mode, file.owner, file.group, file.on_change, file.once, digest)


def _digest(on_change: str, files: tuple[BundleFile, ...], described: _Described, code: str = "") -> str:
    parts = [file.digest for file in files if file.on_change == on_change] + ([code] if code else [])
    if on_change == "restart":
        # Probes and steps are the agent's business: changing one restarts nothing. A changed prepare step runs again
        # beside the running programs (the check of a configuration before its reload, Swift's rings).
        parts.append(stable_digest(described.programs))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def fill(text: str, secrets: Mapping[str, str]) -> str:
    """The text with every secret's value in its place."""
    return PLACEHOLDER.sub(lambda match: secrets[match.group(1)], text)


def _fill_json(text: str, secrets: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: msgspec.json.encode(secrets[match.group(1)]).decode()[1:-1], text)
