"""Runs inside a controller: what Keystone's caches, as uwsgi loads them, give while memcached loses things."""

import json
import sys
import time

sys.path.insert(0, "/usr/local/lib/outlast/python")
import keystone.conf
import outlast_keystone_recent as recent
from keystone.common.cache import core
from oslo_context.context import RequestContext

keystone.conf.configure()
keystone.conf.CONF(["--config-file", "/etc/keystone/keystone.conf"], project="keystone")
region = core.create_region("outlast-test")
core.configure_cache(region)
core.configure_invalidation_region()
ids, caches = core.CACHE_INVALIDATION_REGION.backend, region.backend
manager = region.region_invalidator._region_manager
id_key = core.CACHE_INVALIDATION_REGION.key_mangler(manager._region_key)


def get(key):
    """As a new request would; None where there is nothing."""
    RequestContext(overwrite=True)
    return region.get(key) or None


def lose(key):
    """Memcached has it no more, whoever took it out."""
    caches.proxied.delete(region.key_mangler(key))


def leave_aside(seconds):
    """As the pool does with a cache that does not answer."""
    caches.proxied.client_pool._hosts_deaduntil[0] = time.time() + seconds
    get("missing")


found = {}
region.set("deleted", 1)
lose("deleted")
found["deleted while the caches are well"] = get("deleted")

before = manager.region_id
ids.proxied.delete(id_key)
RequestContext(overwrite=True)
found["the id that was lost is known"] = manager.region_id == before
found["and memcached has it again"] = ids.proxied.get(id_key).payload == before
manager.invalidate_region()
RequestContext(overwrite=True)
found["a new id counts"] = manager.region_id != before

region.set("lost", 2)
leave_aside(0.2)
time.sleep(0.4)
lose("lost")
found["lost with a cache"] = get("lost")
region.set("revoked", 3)
region.delete("revoked")
found["taken out here"] = get("revoked")
time.sleep(recent.KEPT + 0.2)
leave_aside(0.2)
found["too old"] = get("lost")
print(json.dumps(found))
