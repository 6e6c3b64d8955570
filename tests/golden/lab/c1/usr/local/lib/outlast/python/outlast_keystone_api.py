"""Keystone's API under uwsgi, which meets SAML only when somebody asks for it.

pysaml2 builds the schemas of all its documents while it is imported: 1.3 of the 3.1 s that Keystone's import takes under
`python -X importtime`. Here the one module that imports it is loaded at its first use (importlib.util.LazyLoader), so a
federation pays for it then.

The enforcer of the rules is seen by all threads before it has its rules (10 ms); it is made before there are requests.
"""

import importlib.util
import sys

import outlast_validators  # noqa: F401

NAME = "keystone.federation.idp"

spec = importlib.util.find_spec(NAME)
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules[NAME] = module
spec.loader.exec_module(module)
sys.modules["keystone.federation"].idp = module

from keystone.common.rbac_enforcer import enforcer, policy  # noqa: E402
from keystone.wsgi.api import application  # noqa: E402, F401

# Made outside of a request it would warn of each deprecated default; inside of one it does not.
enforcer.RBACEnforcer.suppress_deprecation_warnings = True
policy.get_enforcer()
