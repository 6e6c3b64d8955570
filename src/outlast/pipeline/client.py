"""The client node's side: credentials, tokens, and OpenStack's own command."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from outlast.errors import InputError
from outlast.pipeline.target import Target
from outlast.rollout import secrets
from outlast.spec.command import Output

OPENSTACK = "/opt/openstack/bin/openstack"

# Runs in the client node with the system's Python: one process for the whole wait, an answer as soon as there is one.
_TOKEN_LOOP = """
import json, sys, time, urllib.request
order = json.load(sys.stdin)
until = time.monotonic() + order["seconds"]
while time.monotonic() < until:
    try:
        body = json.dumps(order["body"]).encode()
        request = urllib.request.Request(order["url"], body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            if answer.status == 201:
                sys.exit(0)
    except OSError:
        pass
    time.sleep(0.2)
sys.exit(1)
"""


def client_node(target: Target) -> str:
    """The node that plays the outside world. Raises InputError where the cluster file has none."""
    for node in target.plan.nodes:
        if "client" in node.roles:
            return node.name
    raise InputError(
        "client.none", f"{target.path} has no node with the role client; add one: client: {{roles: [client]}}"
    )


def credentials(target: Target) -> Mapping[str, str]:
    """OS_* settings of the admin through the external VIP."""
    stored = secrets.read(secrets.path_for(target.path))
    if "user/admin" not in stored:
        raise InputError("cluster.not-up", f"no credentials beside {target.path} yet; run: outlast up -f {target.path}")
    return {
        "OS_AUTH_URL": target.plan.url("keystone", "external", "/v3"),
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": stored["user/admin"],
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": target.plan.region,
        "OS_INTERFACE": "public",
    }


def openrc(target: Target) -> str:
    """Shell lines for a client outside."""
    return "".join(f"export {key}={value}\n" for key, value in credentials(target).items())


async def openstack(target: Target, argv: tuple[str, ...], timeout: float = 300.0) -> Output:
    """OpenStack's command on the client node, through the external VIP."""
    environment = [f"{key}={value}" for key, value in credentials(target).items()]
    connector = target.connector(client_node(target))
    return await connector.run(("/usr/bin/env", *environment, OPENSTACK, *argv), timeout=timeout)


async def await_token(target: Target, seconds: float = 900.0) -> float:
    """Waits until the client node gets a token through the external VIP; the monotonic moment when it did."""
    given = credentials(target)
    user = {"name": "admin", "domain": {"id": "default"}, "password": given["OS_PASSWORD"]}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
    }
    order = {"url": f"{given['OS_AUTH_URL']}/auth/tokens", "body": body, "seconds": seconds}
    connector = target.connector(client_node(target))
    await connector.run(("/usr/bin/python3", "-c", _TOKEN_LOOP), timeout=seconds + 10, input=json.dumps(order).encode())
    return time.monotonic()
