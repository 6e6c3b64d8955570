"""Nova's API under uwsgi, whose validators are made once."""

import outlast_validators  # noqa: F401
from nova.wsgi.osapi_compute import application  # noqa: F401
