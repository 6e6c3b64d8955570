"""Neutron's API under uwsgi, with a hash ring that loses no event of a worker that died, and no admin turned away.

Every API worker sees every event of the OVN databases and handles those that the hash ring gives it. Neutron believes in
a dead worker for two minutes (and caches that belief for another one); what its events meant is lost: a port that came
up meanwhile never gets active, and Nova gives up on its server. So here (1) the ring's times are seconds
(outlast_neutron_ring), and (2) each worker remembers the events of the others for a while, and handles those of a worker
that has left the ring.
An event may so be handled twice, never not at all; all handlers set states and can be repeated.

The rules of who may do what are loaded by the first request that asks, while requests in other threads see an enforcer
with few rules or none, and say 403 to everybody: three of the first four requests at once. Loaded before any, here.
"""

import collections
import logging
import threading
import time
import weakref

import outlast_neutron_ring  # noqa: F401
from neutron.common.ovn import exceptions, hash_ring_manager
from neutron.plugins.ml2.drivers.ovn.mech_driver.ovsdb import ovsdb_monitor
from ovsdbapp.backend.ovs_idl import idlutils

LOG = logging.getLogger("neutron.outlast")
REMEMBER = 24  # seconds; longer than a dead worker stays in anybody's ring
LIMIT = 20000  # events; beyond, the oldest are forgotten

Event = collections.namedtuple("Event", "at owner key handled")
idls = weakref.WeakSet()
ring_get_node = hash_ring_manager.HashRingManager.get_node
idl_notify = ovsdb_monitor.OvnIdlDistributedLock.notify


def get_node(self, key):
    """The ring's answer, kept for the caller's caller. None: the ring is empty (the database was away)."""
    self.answer = None
    found = ring_get_node(self, key)
    self.answer = found[0]
    return found


def notify(self, event, row, updates=None):
    """Neutron's own handling; then the event is remembered if it was another worker's."""
    idl_notify(self, event, row, updates)
    try:
        owner = getattr(self._hash_ring, "answer", None)
        if owner == self._node_uuid:
            return
        matching = self.notify_handler.matching_events(event, row, updates)
        if not matching:
            return
        frozen = idlutils.frozen_row(row)
        handled = [(match, event, frozen, updates) for match in matching]
        remembered, lock = memory(self)
        with lock:
            remembered.append(Event(time.monotonic(), owner, str(row.uuid), handled))
    except Exception:
        LOG.exception("An event of another worker could not be remembered")


def memory(idl):
    if "_remembered" not in idl.__dict__:
        idl.__dict__["_remembered"] = (collections.deque(maxlen=LIMIT), threading.Lock())
        idls.add(idl)
    return idl.__dict__["_remembered"]


def take_over(idl, now):
    """Handles events whose owner has left the ring and that now fall to this worker; forgets what is old."""
    remembered, lock = memory(idl)
    if not remembered:
        return
    ring = idl._hash_ring
    try:
        ring.refresh()
    except Exception:
        LOG.exception("The hash ring cannot be read; events wait")
        return
    alive = set(ring._node_last_touch)
    if not alive:
        return
    with lock:
        waiting = list(remembered)
        remembered.clear()
    kept = []
    for event in waiting:
        if event.owner in alive:
            if now - event.at < REMEMBER:
                kept.append(event)
            continue
        try:
            owner = ring_get_node(ring, event.key)[0]
        except exceptions.HashRingIsEmpty:
            owner = None
        if owner == idl._node_uuid:
            LOG.warning("Worker %s has left: handling its event for %s", event.owner, event.key)
            for item in event.handled:
                idl.notify_handler.notifications.put(item)
        else:
            kept.append(event._replace(owner=owner, at=now))
    with lock:
        remembered.extendleft(reversed(kept))


def watch():
    while True:
        time.sleep(2)
        for idl in list(idls):
            try:
                take_over(idl, time.monotonic())
            except Exception:
                LOG.exception("Taking over events failed")


hash_ring_manager.HashRingManager.get_node = get_node
ovsdb_monitor.OvnIdlDistributedLock.notify = notify

from neutron import policy  # noqa: E402
from neutron.wsgi.api import application  # noqa: E402, F401

policy.init()
threading.Thread(target=watch, name="hash-ring-watch", daemon=True).start()
