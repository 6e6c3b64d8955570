"""Shared sections: cluster lists only where the client library wants them, and no option the programs do not know."""

from __future__ import annotations

import json
from pathlib import Path

from openstack_plan import OURS, files, ini, sample, without

import outlast.services
from outlast.services import caches, oslo
from outlast.services.oslo_check import unknown_options
from outlast.spec.secret import PLACEHOLDER

KNOWN = Path(outlast.services.__file__).parent / "oslo_options.json"
SMALL = {"keystone": {"cache": {"enabled": {}, "memcache_servers": {}}, "auth": {"user-name": {}}}}


def test_every_key_is_known() -> None:
    known = json.loads(KNOWN.read_text())
    plan = sample()
    for service in OURS:
        for path in files(plan, service):
            content = files(plan, service)[path].content
            if getattr(content, "oslo", ""):
                assert unknown_options(service, ini(plan, service, path).sections, known) == ()
    for family in ("nova", "neutron"):
        sections = {
            **oslo.messaging(plan),
            "database": oslo.database(plan, family),
            "keystone_authtoken": oslo.authtoken(plan, family),
            "placement": oslo.auth(plan, "placement"),
        }
        assert unknown_options(family, sections, known) == ()


def test_unknown_keys_are_named_with_a_suggestion() -> None:
    found = unknown_options("keystone", {"cache": {"enable": True}, "cachee": {}}, SMALL)
    assert found == (
        "keystone: unknown key enable in [cache], did you mean enabled?",
        "keystone: unknown section [cachee], did you mean cache?",
    )


def test_left_out_keys_dashes_and_unknown_families_pass() -> None:
    assert unknown_options("keystone", {"cache": {"nothing": None}, "auth": {"user_name": "x"}}, SMALL) == ()
    assert unknown_options("swift", {"any": {"thing": 1}}, SMALL) == ()


def test_database_goes_by_vip_and_holds_no_secret() -> None:
    connection = oslo.database(sample(), "nova", "nova_api")["connection"]
    assert isinstance(connection, str)
    assert connection.startswith("mysql+pymysql://nova:⟦secret:db/nova:password⟧@10.21.0.250:3306/nova_api?")


def test_no_member_address_in_client_sections() -> None:
    plan = sample()
    own = [plan.address(node.name, network) for node in plan.nodes for network in node.addresses]
    sections = (oslo.database(plan, "nova"), oslo.auth(plan, "nova"), oslo.adapter(plan), oslo.authtoken(plan, "nova"))
    for section in sections:
        for key, value in section.items():
            if key != "memcached_servers":
                assert not any(address in str(value) for address in own), key


def test_messages_list_every_member_by_name() -> None:
    url = str(oslo.messaging(sample())["DEFAULT"]["transport_url"])
    assert PLACEHOLDER.sub("s", url) == "rabbit://openstack:s@c1:5672,openstack:s@c2:5672,openstack:s@c3:5672/"


def test_missing_consumers_are_given_up_before_the_answer_is() -> None:
    plan = sample()
    rabbit = oslo.messaging(plan)["oslo_messaging_rabbit"]
    assert float(str(rabbit["kombu_missing_consumer_retry_timeout"])) <= plan.timing.rpc_response_timeout


def test_without_memcached_nothing_is_cached_in_it() -> None:
    plan = without(sample(), "memcached")
    assert caches.section(plan) == {"enabled": False}
    assert "memcached_servers" not in oslo.authtoken(plan, "nova")


def test_programs_under_uwsgi_have_names_of_their_own() -> None:
    plan = sample(keystone={"processes": 3})
    member = plan.members_of("keystone")[1]
    files, program = oslo.uwsgi(plan, member, oslo.Wsgi("keystone", "keystone.wsgi.api", 5000))
    keys = getattr(files[0].content, "sections")["uwsgi"]  # noqa: B009
    assert keys["http-socket"] == "10.21.0.12:5000"
    assert keys["processes"] == 3
    assert (oslo.PROCESS_NAME, "keystone") in program.env
