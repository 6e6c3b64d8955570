"""A small catalogue of services and a cluster file without faults, for the model's tests."""

from __future__ import annotations

from outlast.spec.service import Frontend, Option, Port, ServiceSpec

BOTH = ("external", "internal")


def _service(
    name: str,
    roles: tuple[str, ...],
    ports: tuple[Port, ...] = (),
    frontends: tuple[Frontend, ...] = (),
    options: tuple[Option, ...] = (),
    requires: tuple[str, ...] = (),
) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        title=f"The service {name}",
        kind="stateful",
        mode="active-active",
        roles=roles,
        ports=ports,
        frontends=frontends,
        options=options,
        quorum=name in ("galera", "zookeeper"),
        requires=requires,
    )


SPECS = {
    spec.name: spec
    for spec in (
        _service("haproxy", ("endpoint",)),
        _service("keepalived", ("endpoint",)),
        _service(
            "galera",
            ("service",),
            (Port("mysql", 3306), Port("check", 9200)),
            (Frontend("galera", "mysql"),),
            (
                Option("port", 3306, "Where it listens."),
                Option("check_port", 9200, "Where the responder listens."),
                Option("timeout", 1.5, "Seconds.", minimum=0.5, maximum=3),
                Option("method", "backup", "State transfer.", choices=("backup", "rsync")),
                Option("causal", True, "Causal reads."),
            ),
        ),
        _service("zookeeper", ("service",), (Port("client", 2181),)),
        _service(
            "keystone",
            ("service",),
            (Port("keystone", 5000),),
            (Frontend("keystone", "keystone", vips=BOTH),),
            requires=("galera", "haproxy", "keepalived"),
        ),
        _service("swift", ("storage",), (Port("swift", 8080),), (Frontend("swift", "swift", vips=BOTH),)),
        _service("ovn", ("sdn",), (Port("nb", 6641),)),
        _service("openvswitch", ("network", "compute"), requires=("ovn",)),
    )
}

GOOD = """\
cluster: lab
networks:
  management: {cidr: 10.20.0.0/24}
  control-data: {cidr: 10.21.0.0/24}
  tunnel: {cidr: 10.22.0.0/24}
  external: {cidr: 10.23.0.0/24, gateway: 10.23.0.1, pool: [10.23.0.100, 10.23.0.199]}
vips:
  external: {address: 10.20.0.250}
  internal: {address: 10.21.0.250}
nodes:
  c1: {roles: [controller, network]}
  c2: {roles: [controller, network]}
  c3: {roles: [controller, network]}
  k1: {roles: [compute]}
  k2: {roles: [compute]}
  client: {roles: [client]}
"""

ONE_NODE = """\
cluster: one
networks:
  management: {cidr: 10.20.0.0/24}
vips:
  external: {address: 10.20.0.250}
  internal: {address: 10.20.0.251}
nodes:
  c1: {roles: [controller]}
"""


def damaged(old: str, new: str, text: str = GOOD) -> str:
    """The text with one passage replaced; the passage must be there."""
    assert old in text, old
    return text.replace(old, new, 1)
