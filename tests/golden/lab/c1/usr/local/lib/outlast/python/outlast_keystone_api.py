"""Keystone's API under uwsgi.

The enforcer of the rules is seen by all threads before it has its rules (10 ms); it is made before there are requests.
"""

import outlast_validators  # noqa: F401, I001
import outlast_keystone_lazy  # noqa: F401
import outlast_keystone_recent  # noqa: F401
from keystone.common.rbac_enforcer import enforcer, policy
from keystone.wsgi.api import application  # noqa: F401

# Made outside of a request it would warn of each deprecated default; inside of one it does not.
enforcer.RBACEnforcer.suppress_deprecation_warnings = True
policy.get_enforcer()
