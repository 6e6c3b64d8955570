"""The client node's side: credentials, tokens, and OpenStack's own command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

from outlast.errors import InputError
from outlast.pipeline.target import Target
from outlast.rollout import secrets
from outlast.spec.command import Output

OPENSTACK = "/opt/openstack/bin/openstack"

# Runs in the client node with the system's Python: one process for the whole wait, a line for each thing come true.
_WAIT = """
import json, sys, time, urllib.request
order = json.load(sys.stdin)
until = time.monotonic() + order["seconds"]

def ask(url, body=None, token=None):
    headers = {"Content-Type": "application/json", "X-OpenStack-Nova-API-Version": "2.53"}
    if token:
        headers["X-Auth-Token"] = token
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.headers.get("X-Subject-Token"), json.load(answer)

def up(hypervisors):
    return {one["hypervisor_hostname"] for one in hypervisors if one["state"] == "up"}

said = set()
while time.monotonic() < until:
    try:
        token, _ = ask(order["keystone"] + "/auth/tokens", order["body"])
        if "token" not in said:
            said.add("token")
            print("token through the VIP", flush=True)
        if not order["computes"]:
            sys.exit(0)
        found = up(ask(order["nova"] + "/os-hypervisors/detail", token=token)[1]["hypervisors"])
        if len(found) >= order["computes"]:
            print("computes ready for servers", flush=True)
            sys.exit(0)
    except (OSError, ValueError, KeyError):
        pass
    time.sleep(0.3)
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


async def await_cloud(target: Target, seconds: float) -> AsyncIterator[str]:
    """What comes true for the client node through the external VIP: first a token, then computes that take servers."""
    given = credentials(target)
    user = {"name": "admin", "domain": {"id": "default"}, "password": given["OS_PASSWORD"]}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
    }
    order = {
        "keystone": given["OS_AUTH_URL"],
        "nova": target.plan.url("nova", "external", "/v2.1") if target.plan.has("nova") else "",
        "computes": len(target.plan.members_of("nova-compute")),
        "body": body,
        "seconds": seconds,
    }
    async for line in target.lines(client_node(target), ("/usr/bin/python3", "-c", _WAIT), json.dumps(order)):
        yield line
