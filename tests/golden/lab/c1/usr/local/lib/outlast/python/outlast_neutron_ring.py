"""Times of Neutron's hash ring, in seconds. To be imported before Neutron's OVN driver.

The periodic task takes its interval when its class is made.
"""

from neutron.common.ovn import constants

constants.HASH_RING_TOUCH_INTERVAL = 2
constants.HASH_RING_NODES_TIMEOUT = 8
constants.HASH_RING_CACHE_TIMEOUT = 4
