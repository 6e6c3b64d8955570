"""Glance and Placement: addresses, secrets, and who may read them."""

from __future__ import annotations

import pytest
from openstack_plan import OURS, files, ini, sample

from outlast.spec.file import Ini
from outlast.spec.secret import PLACEHOLDER


def test_images_go_to_swift_by_vip() -> None:
    plan = sample(glance={"segment_mib": 64})
    login = ini(plan, "glance", "/etc/glance/glance-swift.conf").sections["outlast"]
    store = ini(plan, "glance", "/etc/glance/glance-api.conf").sections["swift"]
    assert login["auth_address"] == "http://10.21.0.250:5000/v3"
    assert store["swift_store_large_object_size"] == store["swift_store_large_object_chunk_size"] == 64


def test_only_a_node_names_itself_for_staged_imports() -> None:
    sections = ini(sample(), "glance", "/etc/glance/glance-api.conf", node=2).sections
    assert sections["DEFAULT"]["worker_self_reference_url"] == "http://10.21.0.13:9292"


@pytest.mark.parametrize("service", sorted(OURS))
def test_files_with_secrets_are_readable_by_their_owner_only(service: str) -> None:
    for path, item in files(sample(), service).items():
        values = item.content.sections.values() if isinstance(item.content, Ini) else ()
        if any(PLACEHOLDER.search(str(value)) for section in values for value in section.values()):
            assert item.mode == 0o600, path
