"""Keystone: what the founder writes, and keys that rollouts leave alone."""

from __future__ import annotations

import json

from openstack_plan import files, sample

from outlast.node.catalogue import Change, Known, changes
from outlast.services.keystone.service import SERVICE, desired
from outlast.spec.secret import PLACEHOLDER

EMPTY = Known({}, {}, {}, {}, {}, {})
WANTED = {
    "users": [{"name": "glance", "password": "p", "roles": ["service"]}],
    "services": [{"name": "glance", "type": "image", "endpoints": {"internal": "http://i", "public": "http://e"}}],
}


def test_public_is_the_external_vip_everything_else_the_internal_one() -> None:
    image = next(item for item in desired(sample())["services"] if item["type"] == "image")  # type: ignore[attr-defined]
    assert image["endpoints"] == {
        "admin": "http://10.21.0.250:9292",
        "internal": "http://10.21.0.250:9292",
        "public": "http://10.20.0.250:9292",
    }


def test_secrets_survive_the_step_as_placeholders() -> None:
    plan = sample()
    step = SERVICE.describe(plan, plan.members_of("keystone")[0]).setup[0]
    names = {found.group(1) for found in PLACEHOLDER.finditer(step.stdin)}
    assert names == {"user/admin", "user/glance", "user/placement", "user/swift"}
    assert json.loads(step.stdin)["region"] == "RegionOne"
    assert not any(PLACEHOLDER.search(word) for word in step.argv)


def test_fernet_keys_are_written_once() -> None:
    keys = [item for path, item in files(sample(), "keystone").items() if "-keys/" in path]
    assert len(keys) == 4
    assert all(item.once and item.mode == 0o600 and item.on_change == "none" for item in keys)


def test_everything_is_created_on_an_empty_keystone() -> None:
    assert [(item.kind, item.name) for item in changes(WANTED, EMPTY)] == [
        ("project", "service"),
        ("service", "glance"),
        ("endpoint", "image"),
        ("endpoint", "image"),
        # Whoever can log in gets the whole catalogue.
        ("user", "glance"),
        ("grant", "glance"),
    ]


def test_only_differences_are_written() -> None:
    known = Known(
        {"service": "1"},
        {"glance": "2"},
        {"glance": False},
        {"glance": frozenset({"service"})},
        {"image": {"id": "3", "name": "glance"}},
        {("image", "internal"): {"id": "4", "url": "http://i"}, ("image", "public"): {"id": "5", "url": "http://old"}},
    )
    assert changes(WANTED, known) == (
        Change("endpoint", "image", {"interface": "public", "url": "http://e"}),
        Change("password", "glance", {"password": "p"}),
    )
