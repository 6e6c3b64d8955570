"""B5: every service listens on its own node's address and reaches all others by VIP.

A node's address (or its name with a port) may stand only where a line of the two tables below says why. A new setting
with a node's address fails until it is given a reason here, or, better, a VIP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from example_clusters import NAMES, opened, rendered
from places import Place, places

from outlast.pipeline.target import Target
from outlast.plan.plan import Plan
from outlast.render.tree import NodeTree
from outlast.services.registry import SPECS

LISTENS = "what a server of this node binds or calls itself"
PEERS = {
    "memcached": "clients spread keys over all members and leave dead ones aside; a VIP would be one cache",
    "ovn": "OVSDB clients must find the RAFT leader themselves; a balancer would send writes to followers",
    "raft": "members of a RAFT cluster name each other",
    "galera": "members of one database cluster find each other",
    "zookeeper": "members of one ensemble name each other",
    "rabbitmq": "the client library knows every member and moves by itself; members name each other",
    "swift": "rings say where every object lies; storage nodes copy among themselves",
    "balancer": "the balancer is what stands between clients and servers: its servers are nodes",
}

# (service, file or where, [section] key or regular expression of the line) → reason. Own node's address only.
OWN: Mapping[tuple[str, str, str], str] = {
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[mariadbd] bind-address"): LISTENS,
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[mariadbd] wsrep_node_address"): LISTENS,
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[mariadbd] wsrep_node_incoming_address"): LISTENS,
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[mariadbd] wsrep_provider_options"): LISTENS,
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[sst] sockopt"): LISTENS,
    ("galera", "argv", "galera-responder"): LISTENS,
    ("glance", "/etc/glance/glance-api.conf", "[DEFAULT] worker_self_reference_url"): (
        "a staged upload lies on this node only: the others send its import to the node itself"
    ),
    (".*", "/etc/outlast/uwsgi/.*", r"\[uwsgi\] http-socket"): LISTENS,
    ("memcached", "argv", "memcached"): LISTENS,
    ("nova", "/etc/nova/nova.conf", "[DEFAULT] my_ip"): "what this node calls itself; no other setting follows it",
    ("nova-compute", "/etc/libvirt/libvirtd.conf", "[] listen_addr"): LISTENS,
    ("nova-compute", "/etc/libvirt/qemu.conf", r"\[\] migration_(address|host)"): LISTENS,
    ("nova-compute", "/etc/nova/nova-compute.conf", "[DEFAULT] my_ip"): "source of migrations: this very hypervisor",
    ("nova-compute", "/etc/nova/nova-compute.conf", "[libvirt] live_migration_inbound_addr"): LISTENS,
    ("openvswitch", "/usr/local/lib/outlast/ovs-switch", r".*ovn-encap-ip.*"): "tunnels end on this chassis",
    ("openvswitch", "/usr/local/lib/outlast/ovs-switch", r"\s+ip address replace [\d./]+ dev br-tun"): (
        "the tunnel's address moves to its bridge"
    ),
    ("ovn", "/etc/ovn/(nb|sb).json", r' *"ptcp:\d+:[\d.]+": \{'): LISTENS,
    ("ovn", "/usr/local/lib/outlast/ovn-db", r"me=[\d.]+"): LISTENS,
    ("rabbitmq", "/etc/rabbitmq/rabbitmq.conf", r"\[\] listeners.tcp.1"): LISTENS,
    ("rabbitmq", "/etc/rabbitmq/advanced.config", ".*inet_dist_use_interface.*"): LISTENS,
    ("rabbitmq", "env", "rabbitmq ERL_EPMD_ADDRESS"): LISTENS,
    ("swift", "/etc/swift/(proxy|account|container|object)-server.conf", r"\[DEFAULT\] bind_ip"): LISTENS,
    ("swift", "/etc/swift/rsyncd.conf", "[] address"): LISTENS,
    ("zookeeper", "/etc/outlast/zookeeper/zoo.cfg", "[] clientPortAddress"): LISTENS,
    ("keepalived", "/etc/keepalived/keepalived.conf", r"  unicast_src_ip [\d.]+"): LISTENS,
    ("keepalived", "/etc/outlast/guard-keepalived.json", r' +"address": .*'): "it asks from its own address",
    (".*", "probes", ".*"): "the agent asks its own members, past the balancer",
}

# The same for addresses of other nodes, and for node names with a port.
OTHERS: Mapping[tuple[str, str, str], str] = {
    (".*", ".*", r"\[.*\] memcached?_servers"): PEERS["memcached"],
    ("neutron|ovn-agent", ".*", r"\[ovn\] ovn_(nb|sb)_connection"): PEERS["ovn"],
    ("neutron", "needs", "command"): PEERS["ovn"],
    ("openvswitch", "/usr/local/lib/outlast/ovs-switch", r".*ovn-remote=.*"): PEERS["ovn"],
    ("ovn", "argv", "ovn-northd"): PEERS["ovn"],
    ("ovn", "/usr/local/lib/outlast/ovn-db", r'peers=".*"'): PEERS["raft"],
    ("galera", "/etc/mysql/mariadb.conf.d/99-outlast.cnf", "[mariadbd] wsrep_cluster_address"): PEERS["galera"],
    ("zookeeper", "/etc/outlast/zookeeper/zoo.cfg", r"\[\] server\.\d+"): PEERS["zookeeper"],
    (".*", ".*", "[DEFAULT] transport_url"): PEERS["rabbitmq"],
    ("nova-compute", "needs", "amqp"): PEERS["rabbitmq"],
    ("nova|nova-compute", "probes", "rpc"): PEERS["rabbitmq"],
    ("rabbitmq", "/etc/rabbitmq/rabbitmq.conf", r"\[\] cluster_formation.classic_config.nodes.\d+"): PEERS["rabbitmq"],
    ("rabbitmq", "env", "rabbitmq RABBITMQ_NODENAME"): PEERS["rabbitmq"],
    ("rabbitmq", "/usr/local/lib/outlast/rabbitmq-start", r'peers=".*"'): PEERS["rabbitmq"],
    ("rabbitmq", "/usr/local/lib/outlast/rabbitmq-replace", r"Node = list_to_atom.*"): "this very broker's replica",
    ("swift", "/etc/swift/rsyncd.conf", "[] hosts allow"): PEERS["swift"],
    ("swift", "stdin", "rings"): PEERS["swift"],
    ("haproxy", "/etc/haproxy/haproxy.cfg", r"  server \S+ \S+ (check .*|backup)"): PEERS["balancer"],
    ("keepalived", "/etc/keepalived/keepalived.conf", r"    [\d.]+"): "VRRP speaks to its peers",
    ("keepalived", "/etc/outlast/guard-keepalived.json", r' +"\S+": "[\d.]+",?'): "whose majority a node must hear",
}


def _allowed(place: Place, table: Mapping[tuple[str, str, str], str]) -> bool:
    what = place.text if place.key == "line" else place.key
    return any(
        re.fullmatch(service, place.service)
        and (where == place.where or re.fullmatch(where, place.where))
        and (key == what or _matches(key, what))
        for service, where, key in table
    )


def _matches(pattern: str, text: str) -> bool:
    return not pattern.startswith("[") and re.fullmatch(pattern, text) is not None


def _pattern(plan: Plan) -> re.Pattern[str]:
    """Node addresses anywhere; Erlang writes them with commas; names where a port or an @ shows that one is meant."""
    addresses = sorted({address for node in plan.nodes for address in node.addresses.values()})
    erlang = [address.replace(".", ",") for address in addresses]
    names = [re.escape(node.name) for node in plan.nodes]
    numbers = "|".join(map(re.escape, addresses + erlang))
    either = "|".join(names)
    return re.compile(
        rf"(?<![\d.,])({numbers})(?![\d.]*\d)|(?:@|//)({either})(?![\w.-])|(?<![\w.@/-])({either})(?=:\d)"
    )


def _found(plan: Plan, tree: NodeTree) -> list[tuple[Place, bool]]:
    """Places with a node's address; True where all of them are the node's own."""
    pattern = _pattern(plan)
    own = set(plan.node_by_name[tree.node].addresses.values())
    own |= {address.replace(".", ",") for address in own}
    found = []
    for place in places(tree):
        matches = [next(filter(None, match.groups())) for match in pattern.finditer(place.text)]
        if matches:
            found.append((place, all(match in own for match in matches)))
    return found


def test_node_addresses_stand_only_where_a_reason_is_given(
    example: Target, example_trees: Mapping[str, NodeTree]
) -> None:
    strangers = {
        str(place)
        for tree in example_trees.values()
        for place, own in _found(example.plan, tree)
        if not (_allowed(place, OTHERS) or (own and _allowed(place, OWN)))
    }
    assert not strangers, "a node's address where a VIP belongs:\n" + "\n".join(sorted(strangers))


def test_the_scan_sees_a_planted_address(lab: Target, lab_trees: Mapping[str, NodeTree]) -> None:
    """A client setting with a node's address, own or not, is found: the test above can fail."""
    pattern = _pattern(lab.plan)
    for text in ("http://10.21.0.12:5000/v3", "10.21.0.11", "{10,21,0,13}", "http://c2:5000", "c3:3306", "rabbit@c1"):
        assert pattern.search(text), text
    for text in ("http://10.21.0.250:5000", "110.21.0.12", "10.21.0.120", "c1", "c11:80", "fd00:c1ab:1"):
        assert not pattern.search(text), text
    for key, text in (
        ("[database] connection", "mysql://10.21.0.11/nova"),
        ("[glance] endpoint_override", "http://c1:1"),
    ):
        place = Place("nova", "/etc/nova/nova.conf", key, text)
        assert not _allowed(place, OWN)
        assert not _allowed(place, OTHERS)


@pytest.mark.parametrize("table", [OWN, OTHERS], ids=["own", "others"])
def test_no_reason_outlives_its_setting(table: Mapping[tuple[str, str, str], str]) -> None:
    """A line of the tables that nothing needs any more would hide a mistake."""
    found = {
        place for name in NAMES for tree in rendered(name).values() for place, _ in _found(opened(name).plan, tree)
    }
    unused = [entry for entry in table if not any(_allowed(place, {entry: ""}) for place in found)]
    # Unicast adverts are an option that no example sets; their form is tested with Keepalived's own tests.
    unused = [entry for entry in unused if entry[0] != "keepalived"]
    assert unused == []


def test_the_catalogue_names_vips_only(example: Target, example_trees: Mapping[str, NodeTree]) -> None:
    urls = [
        url
        for tree in example_trees.values()
        for place in places(tree)
        if place.service == "keystone" and place.where == "stdin"
        for url in re.findall(r'"(https?://[^"]+)"', place.text)
    ]
    vips = {vip.address for vip in example.plan.vips.values()}
    hosts = {re.sub(r"https?://([^:/]+).*", r"\1", url) for url in urls}
    assert hosts <= vips
    if example.plan.has("keystone"):
        assert len(hosts) >= 2, "external and internal"


def test_nobody_listens_everywhere(example: Target, example_trees: Mapping[str, NodeTree]) -> None:
    wrong = [
        str(place)
        for tree in example_trees.values()
        for place in places(tree)
        if re.search(r"(?<![\d.])0\.0\.0\.0(?![\d.])|(?<![\w:])\[?::\]?(?![\w:])", place.text)
    ]
    assert wrong == []


# (service, port) → file (or argv of a program) and the words in it that bind {address} and {port}.
BINDS: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("zookeeper", "client"): ("zoo.cfg", ("clientPort={port}", "clientPortAddress={address}")),
    ("zookeeper", "quorum"): ("zoo.cfg", ("quorumListenOnAllIPs=false",)),
    ("zookeeper", "election"): ("zoo.cfg", ("quorumListenOnAllIPs=false",)),
    ("galera", "galera"): ("99-outlast.cnf", ("bind-address = {address}", "port = {port}")),
    ("galera", "cluster"): ("99-outlast.cnf", ("gmcast.listen_addr=tcp://{address}:{port}",)),
    ("galera", "ist"): ("99-outlast.cnf", ("ist.recv_addr={address}:{port}", "ist.recv_bind={address}")),
    ("galera", "sst"): ("99-outlast.cnf", ('sockopt = ",bind={address}"', "wsrep_node_address = {address}")),
    ("galera", "check"): ("galera-responder", ("--listen", "{address}:{port}")),
    ("rabbitmq", "amqp"): ("rabbitmq.conf", ("listeners.tcp.1 = {address}:{port}",)),
    ("rabbitmq", "distribution"): (
        "advanced.config",
        ("inet_dist_use_interface, {{{erlang}}}", "inet_dist_listen_min, {port}", "inet_dist_listen_max, {port}"),
    ),
    ("rabbitmq", "epmd"): ("rabbitmq", ("ERL_EPMD_ADDRESS={address}",)),
    ("memcached", "memcached"): ("memcached", ("-l", "{address}", "-p", "{port}", "-U", "0")),
    ("ovn", "nb"): ("nb.json", ("ptcp:{port}:{address}",)),
    ("ovn", "sb"): ("sb.json", ("ptcp:{port}:{address}",)),
    ("ovn", "nb-raft"): ("ovn-db", ("me={address}", "raft={port}", "tcp:$me:$raft")),
    ("ovn", "sb-raft"): ("ovn-db", ("me={address}", "raft={port}", "tcp:$me:$raft")),
    ("keystone", "keystone"): ("keystone.ini", ("http-socket = {address}:{port}",)),
    ("glance", "glance"): ("glance.ini", ("http-socket = {address}:{port}",)),
    ("placement", "placement"): ("placement.ini", ("http-socket = {address}:{port}",)),
    ("nova", "api"): ("nova-api.ini", ("http-socket = {address}:{port}",)),
    ("nova", "metadata"): ("nova-metadata.ini", ("http-socket = {address}:{port}",)),
    ("neutron", "api"): ("neutron-api.ini", ("http-socket = {address}:{port}",)),
    ("swift", "swift"): ("proxy-server.conf", ("bind_ip = {address}", "bind_port = {port}")),
    ("swift", "account"): ("account-server.conf", ("bind_ip = {address}", "bind_port = {port}")),
    ("swift", "container"): ("container-server.conf", ("bind_ip = {address}", "bind_port = {port}")),
    ("swift", "object"): ("object-server.conf", ("bind_ip = {address}", "bind_port = {port}")),
    ("swift", "rsync"): ("rsyncd.conf", ("address = {address}", "port = {port}")),
    ("nova-compute", "libvirt"): ("libvirtd.conf", ('listen_addr = "{address}"', 'tcp_port = "{port}"')),
}


def test_every_server_listens_on_its_own_address(example: Target, example_trees: Mapping[str, NodeTree]) -> None:
    for tree in example_trees.values():
        texts = {path.rsplit("/", 1)[-1]: file.text for path, file in tree.files.items()}
        for member in tree.members:
            for program in member.spec.programs:
                env = [f"{key}={value}" for key, value in program.env]
                texts.setdefault(program.name, "\n".join((*program.argv, *env)))
        for member in tree.members:
            for port in example.plan.specs[member.spec.service].ports:
                where, words = BINDS[member.spec.service, port.name]
                address = example.plan.address(tree.node, port.network)
                for word in words:
                    wanted = word.format(address=address, port=port.number, erlang=address.replace(".", ","))
                    assert wanted in texts[where], f"{member.spec.service} {port.name} on {tree.node}: {where}"


def test_every_port_is_looked_at() -> None:
    """A new port of a service needs a line in BINDS that says how it is bound."""
    assert {(name, port.name) for name, spec in SPECS.items() for port in spec.ports} == set(BINDS)
