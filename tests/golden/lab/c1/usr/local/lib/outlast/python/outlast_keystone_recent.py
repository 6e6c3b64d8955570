"""To be imported before Keystone sets its caches up: what it had from them a moment ago outlives them for a moment.

A memcached that is killed takes a third of everything with it, and the ids by which Keystone tells what is out of date:
without those nothing that is left elsewhere is found either. Every token is then computed anew, 47 ms of a core
instead of 3.5, while the requests of a whole cloud wait. Keystone keeps what it read in the request that read it; here
each process keeps it a little longer, and goes back to it only where a cache has just failed.
"""

import time
from collections import OrderedDict

from dogpile.cache.api import NO_VALUE, CachedValue
from keystone.common.cache import _context_cache, core
from oslo_serialization import msgpackutils

KEPT = 5.0
"""Seconds. What another Keystone took out of the caches meanwhile is used for as long after a failure, and no longer."""
MOST = 5000
"""Entries of each region, some kilobytes each at most; the ones not used for longest go first."""


class Recent(_context_cache._ResponseCacheProxy):
    """Keystone's own cache of a request, with a memory."""

    failing = 0.0

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.known = OrderedDict()
        self.ids = False

    def wrap(self, backend):
        # Ids are replaced and never taken out: one that is missing was lost.
        ids = core.CACHE_INVALIDATION_REGION
        self.ids = ids.is_configured and backend is ids.backend
        return super().wrap(backend)

    def _set_local_cache(self, key, value):
        context = self._get_request_context()
        kept = msgpackutils.dumps({"payload": value.payload, "metadata": value.metadata})
        setattr(context, self._get_request_key(key), kept)
        self.known.pop(key, None)
        self.known[key] = (time.monotonic(), kept)
        while len(self.known) > MOST:
            self.known.popitem(last=False)

    def get(self, key):
        value = super().get(key)
        if value is not NO_VALUE or not (self.ids or self.failed()):
            return value
        value = self.recall(key)
        if value is NO_VALUE or not self.ids or not hasattr(self.proxied, "client"):
            return value
        # The caches get it back, unless somebody has put a new one there.
        if self.proxied.client.add(key, value):
            return value
        current = self.proxied.get(key)
        return value if current is NO_VALUE else current

    def recall(self, key):
        """What was read or written less than KEPT seconds ago."""
        at, kept = self.known.get(key, (0.0, b""))
        if not kept or time.monotonic() - at > KEPT:
            return NO_VALUE
        value = msgpackutils.loads(kept)
        return CachedValue(payload=value["payload"], metadata=value["metadata"])

    def failed(self):
        """Whether a cache is left aside now, or was when this process last missed something in these KEPT seconds."""
        pool, now = getattr(self.proxied, "client_pool", None), time.time()
        if pool is not None and max(pool._hosts_deaduntil, default=0) > now:
            Recent.failing = now + KEPT
        return Recent.failing > now

    def delete(self, key):
        self.known.pop(key, None)
        super().delete(key)

    def delete_multi(self, keys):
        for key in keys:
            self.known.pop(key, None)
        super().delete_multi(keys)


_context_cache._ResponseCacheProxy = Recent
