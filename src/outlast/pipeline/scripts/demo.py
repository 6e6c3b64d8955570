"""Runs on the client node in OpenStack's environment: a first cloud, step by step, one JSON line per step done.

Standard input: one JSON object {"auth": {OS_*…}, "action": "run", "second", "forget" or "clean", "name": …,
"guest": folder, "cidr": …, "gateway": …, "pool": [first, last], "server": name of the server, "second": name of
another, "ours": names of servers that "clean" removes too}. Every step takes what is there already; the last one of
"run" tells "ids" of image, flavor and network, to make more of the kind. Action "second" makes a server on another
compute node than the first, which streams to the first's inner address; "forget" removes one server with its port and
floating address.
"""

import base64
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import openstack

# The SDK's objects are made at run time: no static type knows their attributes.
Cloud = Any
Resource = Any
Order = dict[str, Any]

BEGUN = time.monotonic()


def tell(step: str, **more: object) -> None:
    sys.stdout.write(json.dumps({"step": step, "at": round(time.monotonic() - BEGUN, 2), **more}) + "\n")
    sys.stdout.flush()


def connect(auth: dict[str, str]) -> Cloud:
    return openstack.connection.Connection(
        auth_url=auth["OS_AUTH_URL"],
        username=auth["OS_USERNAME"],
        password=auth["OS_PASSWORD"],
        project_name=auth["OS_PROJECT_NAME"],
        user_domain_name=auth["OS_USER_DOMAIN_NAME"],
        project_domain_name=auth["OS_PROJECT_DOMAIN_NAME"],
        region_name=auth["OS_REGION_NAME"],
        interface="public",
        identity_api_version="3",
        compute_default_microversion="2.87",
    )


def first(found: Iterable[Resource]) -> Resource | None:
    """The only one of a name. The SDK's own `find` asks twice for it: by id, then by name."""
    return next(iter(found), None)


def image(cloud: Cloud, name: str, path: str, disk_format: str, **properties: object) -> Resource:
    for found in cloud.image.images(name=name):
        if found.status == "active":
            return found
        cloud.image.delete_image(found)
    made = cloud.image.create_image(
        name=name,
        filename=path,
        disk_format=disk_format,
        container_format=disk_format,
        visibility="public",
        **properties,
    )
    return cloud.image.get_image(made.id)


def images(cloud: Cloud, name: str, guest: str) -> Resource:
    kernel = image(cloud, f"{name}-kernel", f"{guest}/vmlinuz", "aki")
    ramdisk = image(cloud, f"{name}-ramdisk", f"{guest}/initrd", "ari")
    return image(
        cloud, name, f"{guest}/disk.raw", "ami", kernel_id=kernel.id, ramdisk_id=ramdisk.id, hw_rng_model="virtio"
    )


def outer_network(cloud: Cloud, order: Order) -> tuple[Resource, Resource]:
    """The provider's network, and a router with a foot in it."""
    name = order["name"]
    provider = first(cloud.network.networks(name=f"{name}-external")) or cloud.network.create_network(
        name=f"{name}-external",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="physnet1",
    )
    lowest, highest = order["pool"]
    first(cloud.network.subnets(name=f"{name}-external")) or cloud.network.create_subnet(
        name=f"{name}-external",
        network_id=provider.id,
        ip_version=4,
        cidr=order["cidr"],
        gateway_ip=order["gateway"],
        is_dhcp_enabled=False,
        allocation_pools=[{"start": lowest, "end": highest}],
    )
    router = first(cloud.network.routers(name=name)) or cloud.network.create_router(
        name=name, external_gateway_info={"network_id": provider.id}
    )
    return provider, router


def inner_network(cloud: Cloud, name: str) -> tuple[Resource, Resource]:
    """The servers' own network and its subnet."""
    inner = first(cloud.network.networks(name=name)) or cloud.network.create_network(name=name)
    subnet = first(cloud.network.subnets(name=name)) or cloud.network.create_subnet(
        name=name, network_id=inner.id, ip_version=4, cidr="192.168.77.0/24", dns_nameservers=[]
    )
    return inner, subnet


def joined(cloud: Cloud, router: Resource, inner: Resource, subnet: Resource) -> None:
    if not list(cloud.network.ports(device_id=router.id, network_id=inner.id)):
        cloud.network.add_interface_to_router(router, subnet_id=subnet.id)


def security_group(cloud: Cloud, name: str) -> Resource:
    group = first(cloud.network.security_groups(name=name))
    if group is None:
        group = cloud.network.create_security_group(name=name)
        rule = {"security_group_id": group.id, "direction": "ingress", "ethertype": "IPv4"}
        ports = (("icmp", None), ("tcp", 80), ("tcp", 7))
        list(
            cloud.network.create_security_group_rules(
                [rule | {"protocol": name, "port_range_min": port, "port_range_max": port} for name, port in ports]
            )
        )
    return group


def flavor(cloud: Cloud, name: str) -> Resource:
    return cloud.compute.find_flavor(name) or cloud.compute.create_flavor(name=name, ram=128, vcpus=1, disk=0)


def keypair(cloud: Cloud, name: str) -> None:
    if cloud.compute.find_keypair(name) is None:
        cloud.compute.create_keypair(name=name, public_key=public_key())


def public_key() -> str:
    """A fresh RSA key in OpenSSH form; its private half is thrown away, the guest has no SSH server."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = rsa.generate_private_key(65537, 2048).public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def ping(address: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if subprocess.run(["ping", "-c1", "-W1", address], capture_output=True, check=False).returncode == 0:
            return True
    return False


def answers_tcp(address: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if b"200" in connection.recv(200):
                return True
        time.sleep(0.1)
    return False


def port(cloud: Cloud, name: str, inner: Resource, group: Resource) -> Resource:
    """The server's port, made before the server: so its floating address can be made while the server is."""
    return first(cloud.network.ports(name=name)) or cloud.network.create_port(
        name=name, network_id=inner.id, security_group_ids=[group.id]
    )


def floating(cloud: Cloud, provider: Resource, own: Resource) -> str:
    for address in cloud.network.ips(port_id=own.id):
        return str(address.floating_ip_address)
    return str(cloud.network.create_ip(floating_network_id=provider.id, port_id=own.id).floating_ip_address)


def told(step: str, work: Callable[[], Any]) -> Any:
    found = work()
    tell(step)
    return found


def outside(order: Order, within: "Future[tuple[Resource, Resource, Resource]]") -> str:
    """The way in from outside: the provider's network, the router, and the floating address of the server's port."""
    cloud = connect(order["auth"])
    provider, router = told("external network and router", lambda: outer_network(cloud, order))
    inner, subnet, own = within.result()
    joined(cloud, router, inner, subnet)
    address = floating(cloud, provider, own)
    tell("floating address", address=address)
    return address


def started(cloud: Cloud, order: Order) -> tuple[Resource, dict[str, str], str]:
    """The server, the ids of what it was made of, and its floating address, as soon as it is there.

    What does not need each other is made side by side. The server needs its port and not the way to it: a guest takes
    longer to boot than the router to be joined.
    """
    name = order["name"]

    def small_things() -> Resource:
        mine = connect(order["auth"])
        keypair(mine, name)
        return flavor(mine, name)

    def inside() -> tuple[Resource, Resource, Resource]:
        mine = connect(order["auth"])
        inner, subnet = inner_network(mine, name)
        return inner, subnet, port(mine, order["server"], inner, group.result())

    with ThreadPoolExecutor(5) as pool:
        group = pool.submit(told, "security group", lambda: security_group(connect(order["auth"]), name))
        within = pool.submit(told, "network and port", inside)
        disk = pool.submit(told, "image", lambda: images(connect(order["auth"]), name, order["guest"]))
        size = pool.submit(told, "key and flavor", small_things)
        address = pool.submit(outside, order, within)
        _, _, own = within.result()
        ids = {"image": disk.result().id, "flavor": size.result().id, "network": own.network_id}
        server = server_of(cloud, order["server"]) or cloud.compute.create_server(
            name=order["server"],
            image_id=ids["image"],
            flavor_id=ids["flavor"],
            networks=[{"port": own.id}],
            key_name=name,
        )
        return server, ids, address.result()


def server_of(cloud: Cloud, name: str) -> Resource | None:
    """Nova takes a name as a pattern."""
    return first(one for one in cloud.compute.servers(details=False, name=f"^{name}$") if one.name == name)


def run(cloud: Cloud, order: Order) -> int:
    cloud.authorize()
    tell("token")
    server, ids, address = started(cloud, order)
    server = cloud.compute.wait_for_server(server, wait=order["seconds"], interval=0.3)
    tell("server active", host=server.compute_host)
    if not ping(address, order["seconds"]):
        tell("failed", sentence=f"{address} does not answer ping")
        return 1
    tell("ping answered", address=address)
    if not answers_tcp(address, order["seconds"]):
        tell("failed", sentence=f"{address} does not answer TCP on port 80")
        return 1
    tell("TCP answered", address=address, ids=ids)
    return 0


def second(cloud: Cloud, order: Order) -> int:
    """A server that streams to the first one, on a node that is not the first one's."""
    first = cloud.compute.get_server(cloud.compute.find_server(order["server"]).id)
    inner = first.addresses[order["name"]]
    address = next(str(one["addr"]) for one in inner if one.get("OS-EXT-IPS:type") != "floating")
    places = {
        one.host: one.availability_zone
        for one in cloud.compute.services(binary="nova-compute")
        if one.state == "up" and one.status == "enabled" and one.host != first.compute_host
    }
    found = cloud.compute.find_server(order["second"])
    server = cloud.compute.get_server(found.id) if found else None
    if server and not (server.status == "ACTIVE" and server.compute_host in places and streams_to(server) == address):
        cloud.compute.delete_server(server)
        gone(cloud, [server])
        server = None
    if not places:
        tell("no second server", sentence=f"no compute node is up but {first.compute_host}")
        return 0
    if server is None:
        host = sorted(places)[0]
        made = cloud.compute.create_server(
            name=order["second"],
            image_id=cloud.image.find_image(order["name"]).id,
            flavor_id=cloud.compute.find_flavor(order["name"]).id,
            networks=[{"uuid": cloud.network.find_network(order["name"]).id}],
            availability_zone=f"{places[host]}:{host}",
            user_data=base64.b64encode(f"stream {address}\n".encode()).decode(),
            metadata={"stream": address},
        )
        server = cloud.compute.wait_for_server(made, wait=order["seconds"], interval=0.3)
    tell("second server", id=server.id, host=server.compute_host, to=first.compute_host)
    return 0


def streams_to(server: Resource) -> str:
    return str((server.metadata or {}).get("stream", ""))


def gone(cloud: Cloud, servers: list[Resource], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(cloud.compute.find_server(server.id) for server in servers):
        time.sleep(0.5)


def clean(cloud: Cloud, order: Order) -> int:
    name = order["name"]
    ours = order.get("ours", ())
    servers = [server for server in cloud.compute.servers() if server.name.startswith(name) or server.name in ours]
    others = strangers(cloud, name, {server.id for server in servers})
    if others:
        words = (
            f"the demo's networks are also used by {', '.join(others)}: delete what is yours there, then clean again"
        )
        tell("failed", sentence=f"{words}; nothing was removed")
        return 1
    for server in servers:
        cloud.compute.delete_server(server)
    gone(cloud, servers)
    tell("servers removed", count=len(servers))
    remove_networks(cloud, name)
    tell("networks removed")
    remove_the_rest(cloud, name)
    tell("images, key, flavor and security group removed")
    return 0


def strangers(cloud: Cloud, name: str, servers: set[str]) -> list[str]:
    """Whose ports on the demo's networks are neither of these servers nor of the demo's router."""
    networks = [found.id for found in (cloud.network.find_network(one) for one in (name, f"{name}-external")) if found]
    ports = [port for network in networks for port in cloud.network.ports(network_id=network)]
    router = cloud.network.find_router(name)
    found = []
    for port in ports:
        of_server = port.device_owner.startswith("compute:") and port.device_id not in servers
        of_router = port.device_owner.startswith("network:router") and (not router or port.device_id != router.id)
        if of_server or of_router:
            owner = cloud.compute.find_server(port.device_id) if of_server else None
            found.append(f"server {owner.name}" if owner else f"{port.device_owner} {port.device_id}")
    return sorted(set(found))


def forget(cloud: Cloud, order: Order) -> int:
    server = cloud.compute.find_server(order["server"])
    if server:
        cloud.compute.delete_server(server)
        gone(cloud, [server])
    own = cloud.network.find_port(order["server"])
    if own:
        for address in cloud.network.ips(port_id=own.id):
            cloud.network.delete_ip(address)
        cloud.network.delete_port(own)
    tell("server forgotten")
    return 0


def remove_networks(cloud: Cloud, name: str) -> None:
    external = cloud.network.find_network(f"{name}-external")
    if external:
        for address in cloud.network.ips(floating_network_id=external.id):
            cloud.network.delete_ip(address)
    router = cloud.network.find_router(name)
    if router:
        for port in cloud.network.ports(device_id=router.id):
            if port.device_owner == "network:router_interface":
                cloud.network.remove_interface_from_router(router, port_id=port.id)
        cloud.network.delete_router(router)
    for found in (name, f"{name}-external"):
        inner = cloud.network.find_network(found)
        if inner:
            # Ports made before their servers stay when these go.
            for own in cloud.network.ports(network_id=inner.id, device_owner=""):
                cloud.network.delete_port(own)
            cloud.network.delete_network(inner)


def remove_the_rest(cloud: Cloud, name: str) -> None:
    for find, delete in (
        (cloud.network.find_security_group, cloud.network.delete_security_group),
        (cloud.compute.find_keypair, cloud.compute.delete_keypair),
        (cloud.compute.find_flavor, cloud.compute.delete_flavor),
    ):
        if found := find(name):
            delete(found)
    for found in cloud.image.images():
        if found.name in (name, f"{name}-kernel", f"{name}-ramdisk"):
            cloud.image.delete_image(found)


def main() -> int:
    order = json.loads(sys.stdin.read() or sys.exit("whoever was to say what to do was interrupted"))
    cloud = connect(order["auth"])
    try:
        return {"run": run, "second": second, "forget": forget, "clean": clean}[order["action"]](cloud, order)
    except Exception as error:
        tell("failed", sentence=f"{type(error).__name__}: {error}"[:600])
        return 1


if __name__ == "__main__":
    sys.exit(main())
