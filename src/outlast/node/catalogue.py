"""Writes admin, service users and catalogue into Keystone: `python -m outlast.node.catalogue < JSON`.

Runs on the founder in OpenStack's environment and uses Keystone's own managers, as `keystone-manage bootstrap` does:
one start of an interpreter instead of dozens of requests, and it needs the database only. It can be repeated: what is
there already is compared and only differences are written. Nothing that it does not know is ever removed.

Generated passwords are hashed at bcrypt's lowest cost: guessing one of 32 random letters and digits is hopeless at
any cost, and every service logs in with one.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DOMAIN = "default"
LOWEST_COST = 4


@dataclass(frozen=True)
class Change:
    """One thing to create or update. `kind`: project, user, password, grant, service or endpoint."""

    kind: str
    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """What Keystone has, as far as it matters here.

    `passwords`: user → whether the desired password is the present one. `grants`: user → names of roles in the
    service project. `services`: type → {id, name}. `endpoints`: (type, interface) → {id, url} of our region.
    """

    projects: Mapping[str, str]
    users: Mapping[str, str]
    passwords: Mapping[str, bool]
    grants: Mapping[str, frozenset[str]]
    services: Mapping[str, Mapping[str, str]]
    endpoints: Mapping[tuple[str, str], Mapping[str, str]]


def changes(desired: Mapping[str, Any], known: Known) -> tuple[Change, ...]:
    """What has to be written, in an order in which it can be (pure)."""
    found: list[Change] = []
    if "service" not in known.projects:
        found.append(Change("project", "service", {}))
    for service in desired["services"]:
        found.extend(_service_changes(service, known))
    # Users last: a service that can log in gets all of the catalogue, and keeps what it got for as long as it runs.
    for user in desired["users"]:
        found.extend(_user_changes(user, known))
    return tuple(found)


def _user_changes(user: Mapping[str, Any], known: Known) -> list[Change]:
    name = user["name"]
    found = []
    if name not in known.users:
        found.append(Change("user", name, {"password": user["password"]}))
    elif not known.passwords.get(name, False):
        found.append(Change("password", name, {"password": user["password"]}))
    present = known.grants.get(name, frozenset())
    found.extend(Change("grant", name, {"role": role}) for role in user["roles"] if role not in present)
    return found


def _service_changes(service: Mapping[str, Any], known: Known) -> list[Change]:
    kind = service["type"]
    found = []
    if known.services.get(kind, {}).get("name") != service["name"]:
        found.append(Change("service", service["name"], {"type": kind}))
    for interface, url in sorted(service["endpoints"].items()):
        if known.endpoints.get((kind, interface), {}).get("url") != url:
            found.append(Change("endpoint", kind, {"interface": interface, "url": url}))
    return found


class Hands:
    """Keystone's managers. `ids` grows while changes are applied."""

    def __init__(self, desired: Mapping[str, Any]) -> None:
        from keystone.common import provider_api  # type: ignore[import-not-found]

        self.apis = provider_api.ProviderAPIs
        self.region = desired["region"]
        self.roles = {role["name"]: role["id"] for role in self.apis.role_api.list_roles() if not role.get("domain_id")}

    def look(self, users: Sequence[Mapping[str, Any]]) -> Known:
        """What Keystone has."""
        identity = self.apis.identity_api
        self.projects = {
            item["name"]: item["id"] for item in self.apis.resource_api.list_projects() if item["domain_id"] == DOMAIN
        }
        self.users = {item["name"]: item["id"] for item in identity.list_users(domain_scope=DOMAIN)}
        self.services = {item["type"]: item for item in self.apis.catalog_api.list_services()}
        types = {item["id"]: kind for kind, item in self.services.items()}
        self.endpoints = {
            (types[item["service_id"]], item["interface"]): item
            for item in self.apis.catalog_api.list_endpoints()
            if item["region_id"] == self.region and item["service_id"] in types
        }
        there = [user for user in users if user["name"] in self.users]
        return Known(
            self.projects,
            self.users,
            {user["name"]: self._has_password(user) for user in there},
            {user["name"]: self._grants(user["name"]) for user in there},
            self.services,
            self.endpoints,
        )

    def _has_password(self, user: Mapping[str, Any]) -> bool:
        try:
            self.apis.identity_api.driver.authenticate(self.users[user["name"]], user["password"])
        except AssertionError:
            return False
        return True

    def _grants(self, user: str) -> frozenset[str]:
        if "service" not in self.projects:
            return frozenset()
        granted = self.apis.assignment_api.list_role_assignments(
            user_id=self.users[user], project_id=self.projects["service"]
        )
        names = {role_id: name for name, role_id in self.roles.items()}
        return frozenset(names[item["role_id"]] for item in granted if item["role_id"] in names)

    def apply(self, change: Change) -> None:
        """Writes one change."""
        getattr(self, f"_write_{change.kind}")(change)

    def _write_project(self, change: Change) -> None:
        new = {"id": uuid.uuid4().hex, "name": change.name, "domain_id": DOMAIN, "enabled": True, "description": ""}
        self.projects = {**self.projects, change.name: new["id"]}
        self.apis.resource_api.create_project(new["id"], new)

    def _write_user(self, change: Change) -> None:
        new = {"name": change.name, "enabled": True, "domain_id": DOMAIN, "password": change.values["password"]}
        self.users[change.name] = self.apis.identity_api.create_user(new)["id"]

    def _write_password(self, change: Change) -> None:
        self.apis.identity_api.update_user(self.users[change.name], {"password": change.values["password"]})

    def _write_grant(self, change: Change) -> None:
        self.apis.assignment_api.add_role_to_user_and_project(
            user_id=self.users[change.name],
            project_id=self.projects["service"],
            role_id=self.roles[change.values["role"]],
        )

    def _write_service(self, change: Change) -> None:
        kind = change.values["type"]
        if kind in self.services:
            update = {"name": change.name, "type": kind}
            self.apis.catalog_api.update_service(self.services[kind]["id"], update)
            return
        new = {"id": uuid.uuid4().hex, "name": change.name, "type": kind, "enabled": True}
        self.services[kind] = new
        self.apis.catalog_api.create_service(new["id"], dict(new))

    def _write_endpoint(self, change: Change) -> None:
        interface, url = change.values["interface"], change.values["url"]
        present = self.endpoints.get((change.name, interface))
        if present:
            self.apis.catalog_api.update_endpoint(present["id"], {**present, "url": url})
            return
        new = {
            "id": uuid.uuid4().hex,
            "interface": interface,
            "url": url,
            "service_id": self.services[change.name]["id"],
            "region_id": self.region,
            "enabled": True,
        }
        self.apis.catalog_api.create_endpoint(new["id"], new)


def bootstrap(desired: Mapping[str, Any]) -> None:
    """Domain, roles, admin and region, by Keystone's own bootstrapper (it compares, too)."""
    from keystone.cmd import bootstrap as keystone_bootstrap  # type: ignore[import-not-found]

    work = keystone_bootstrap.Bootstrapper()
    work.admin_username = desired["admin"]["name"]
    work.admin_password = desired["admin"]["password"]
    work.project_name = work.admin_role_name = "admin"
    work.region_id = desired["region"]
    work.immutable_roles = True
    work.bootstrap()


def configure(path: str) -> None:
    """Reads Keystone's configuration, in the order in which its own command does."""
    from keystone import conf as keystone_conf  # type: ignore[import-not-found]
    from keystone.common import sql

    keystone_conf.configure()
    sql.initialize()
    keystone_conf.set_default_for_default_log_levels()
    keystone_conf.CONF(["--config-file", path], project="keystone")
    keystone_conf.CONF.set_override("password_hash_rounds", LOWEST_COST, "identity")
    keystone_conf.setup_logging()


def main() -> None:
    desired = json.load(sys.stdin)
    configure(desired["config"])
    bootstrap(desired)
    hands = Hands(desired)
    wanted = changes(desired, hands.look(desired["users"]))
    for change in wanted:
        hands.apply(change)
        sys.stdout.write(
            f"{change.kind} {change.name} {change.values.get('role') or change.values.get('interface', '')}\n"
        )
    sys.stdout.write(f"{len(wanted)} changes\n")


if __name__ == "__main__":
    main()
