"""To be imported before Keystone, which then meets SAML only when somebody asks for it.

pysaml2 builds the schemas of all its documents while it is imported: 1.3 of the 3.1 s that Keystone's import takes under
`python -X importtime`. Here the one module that imports it is loaded at its first use (importlib.util.LazyLoader), so a
federation pays for it then.
"""

import importlib.util
import sys

NAME = "keystone.federation.idp"

spec = importlib.util.find_spec(NAME)
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules[NAME] = module
spec.loader.exec_module(module)
sys.modules["keystone.federation"].idp = module
