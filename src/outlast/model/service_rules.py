"""Rules about services: names, members, roles, options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from outlast.errors import Problem
from outlast.model import derive
from outlast.model.cluster import Cluster
from outlast.model.document import Path
from outlast.model.wording import meant, names, shown
from outlast.spec.service import Option, ServiceSpec

Specs = Mapping[str, ServiceSpec]


def service_rules(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    """Everything about `services:`, `options:`, `overrides:` and the roles that services need."""
    chosen = derive.chosen_services(cluster, specs)
    yield from _services(cluster, specs)
    for section, named in (("options", cluster.options), ("overrides", cluster.overrides)):
        yield from _named(section, tuple(named), specs, chosen)
    yield from _options(cluster, specs)
    yield from _roles(cluster, specs, chosen)
    yield from _quorum(cluster, specs, chosen)
    if "openvswitch" in chosen:
        yield from _tunnel(cluster)
    yield from _ssh(cluster)


def _services(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    for position, name in enumerate(cluster.services or ()):
        if name not in specs:
            yield _unknown_service(name, specs, ("services", position))
    if not derive.chosen_services(cluster, specs) and specs:
        hint = "give nodes roles such as controller, or name services"
        yield Problem("service.none", "no service would run on any node", hint=hint, path=("nodes",))


def _unknown_service(name: str, specs: Specs, path: Path) -> Problem:
    return Problem("service.unknown", f"there is no service {name!r}", hint=meant(name, specs, "services"), path=path)


def _named(section: str, named: tuple[str, ...], specs: Specs, chosen: tuple[str, ...]) -> Iterator[Problem]:
    for name in named:
        path: Path = (section, name)
        if name not in specs:
            yield _unknown_service(name, specs, path)
        elif name not in chosen:
            sentence = f"{section}.{name} has no effect: {name} is not in this cluster"
            hint = "remove it, or choose the service"
            yield Problem("service.absent", sentence, hint=hint, severity="warning", path=path)


def _options(cluster: Cluster, specs: Specs) -> Iterator[Problem]:
    for service, given in cluster.options.items():
        if service not in specs:
            continue
        known = {option.name: option for option in specs[service].options}
        for name, value in given.items():
            path: Path = ("options", service, name)
            if name in known:
                yield from _option(service, known[name], value, path)
            else:
                sentence = f"{service} has no option {name!r}"
                yield Problem("option.unknown", sentence, hint=meant(name, known, "options"), path=path)


def _option(service: str, option: Option, value: object, path: Path) -> Iterator[Problem]:
    said = f"options.{service}.{option.name} is {shown(value)}"
    if not fits(option, value):
        expected = f"{said}; expected {kind_of(option)} such as {shown(option.default)}"
        yield Problem("option.type", expected, hint=option.help.removesuffix("."), path=path)
    elif option.choices and str(value) not in option.choices:
        hint = meant(str(value), option.choices, "choices")
        yield Problem("option.choice", f"{said}; expected {limits(option)}", hint=hint, path=path)
    elif isinstance(value, int | float) and not _inside(option, value):
        yield Problem(
            "option.range", f"{said}; expected {limits(option)}", hint=option.help.removesuffix("."), path=path
        )


def fits(option: Option, value: object) -> bool:
    """Whether the value has the type of the option's default; a whole number may stand for a fraction."""
    if option.default is None:
        return True
    if isinstance(option.default, float):
        return type(value) in (int, float)
    return type(value) is type(option.default)


def kind_of(option: Option) -> str:
    """The option's type in words."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(type(option.default), "a value")


def _inside(option: Option, value: float) -> bool:
    low, high = option.minimum, option.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def limits(option: Option) -> str:
    """What values the option takes, in words; "" when any of its type will do."""
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return f"{_plain(low)} to {_plain(high)}"
    if low is not None:
        return f"at least {_plain(low)}"
    return f"at most {_plain(high)}" if high is not None else ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _roles(cluster: Cluster, specs: Specs, chosen: tuple[str, ...]) -> Iterator[Problem]:
    used = {role for service in chosen for role in specs[service].roles}
    held: dict[str, list[str]] = {}
    for name, node in cluster.nodes.items():
        for role in derive.expand_roles(node.roles):
            held.setdefault(role, []).append(name)
    needed: dict[tuple[str, ...], list[str]] = {}
    for service in chosen:
        needed.setdefault(specs[service].roles, []).append(service)
    for roles, services in needed.items():
        if held.keys().isdisjoint(roles):
            yield Problem(
                "role.nobody",
                f"no node has the role {' or '.join(roles)}, which {names(services)} cannot do without",
                hint=_role_hint(roles),
                path=("services",) if cluster.services else ("nodes",),
            )
    for role, holders in held.items():
        # `controller` is a bundle; nobody asks for each of its parts.
        said = [name for name in holders if role in cluster.nodes[name].roles]
        if said and role not in used and role != "client":
            yield Problem(
                "role.idle",
                f"{names(said)} would run nothing for the role {role}: no chosen service uses it",
                hint="remove the role, or choose a service that uses it",
                severity="warning",
                path=("nodes", said[0], "roles"),
            )


def _role_hint(roles: tuple[str, ...]) -> str:
    bundled = [role for role in roles if role in derive.CONTROLLER_ROLES]
    return f"add {roles[0]}{' or controller' if bundled else ''} to the roles of some nodes"


def _quorum(cluster: Cluster, specs: Specs, chosen: tuple[str, ...]) -> Iterator[Problem]:
    """Services that need a majority: those with the same members are told together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for service in chosen:
        if specs[service].quorum:
            groups.setdefault(derive.nodes_with(cluster, specs[service].roles), []).append(service)
    machines = [name for name, node in cluster.nodes.items() if set(node.roles) != {"client"}]
    for members, services in groups.items():
        if members:
            yield from _members(members, services, len(machines))


def _members(members: tuple[str, ...], services: list[str], machines: int) -> Iterator[Problem]:
    count = len(members)
    path: Path = ("nodes", members[-1], "roles")
    have = "has" if len(services) == 1 else "have"
    said = f"{names(services)} {have} {count} member{'s' if count > 1 else ''}: {names(members)}"
    if count == 1 and machines == 1:
        sentence = f"{said}; the cluster survives no failure"
        hint = "good for a first look; high availability begins with three nodes"
        yield Problem("quorum.too-small", sentence, hint=hint, severity="warning", path=path)
    elif count < 3:
        sentence = f"{said}; a majority of {count} survives no failure"
        yield Problem("quorum.too-small", sentence, hint="use three nodes, or five to survive two failures", path=path)
    elif count % 2 == 0:
        survive = (count - 1) // 2
        sentence = f"{said}; that survives {survive} lost, as {count - 1} would, and an even split stops all"
        hint = f"use {count - 1} or {count + 1} nodes with these roles"
        yield Problem("quorum.even", sentence, hint=hint, path=path)


def _tunnel(cluster: Cluster) -> Iterator[Problem]:
    lab = not any(node.ssh for node in cluster.nodes.values())
    if lab and cluster.networks.tunnel is None and derive.nodes_with(cluster, ("network", "compute")):
        yield Problem(
            "tunnel.missing",
            "networks.tunnel is missing; nodes of the lab switch packets in user space, which takes a whole interface",
            hint="add tunnel: {cidr: …}",
            path=("networks",),
        )


def _ssh(cluster: Cluster) -> Iterator[Problem]:
    """Either all machines are real or none is; a client may stand anywhere."""
    machines = {name: node for name, node in cluster.nodes.items() if set(node.roles) != {"client"}}
    without = [name for name, node in machines.items() if not node.ssh]
    if 0 < len(without) < len(machines):
        yield Problem(
            "ssh.mixed",
            f"some nodes have ssh, others not: {names(without)}; a cluster is real or a lab, not both",
            hint="give every node ssh: user@host, or none",
            path=("nodes", without[0]),
        )
