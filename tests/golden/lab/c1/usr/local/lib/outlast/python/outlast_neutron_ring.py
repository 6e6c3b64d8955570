"""Times of Neutron's hash ring, and of its search for a database's leader. To be imported before its OVN driver.

The periodic task of the ring takes its interval when its class is made.

When the leader of an OVN database is gone, its clients ask one member after the other who leads. OVS' Python library allows
as many tries as there are members, all made while the others still elect, and then waits 1, 2, 4 and 8 seconds
between two: requests to Neutron waited up to 15 s for an election of one or two. It is asked three times a second here.
"""

import ovs.reconnect
from neutron.common.ovn import constants

constants.HASH_RING_TOUCH_INTERVAL = 2
constants.HASH_RING_NODES_TIMEOUT = 8
constants.HASH_RING_CACHE_TIMEOUT = 4

begin = ovs.reconnect.Reconnect.__init__


def begin_eagerly(self, now):
    begin(self, now)
    # Milliseconds; set_backoff() takes none under a second.
    self.min_backoff, self.max_backoff = 200, 400


ovs.reconnect.Reconnect.__init__ = begin_eagerly
