"""What arguments Pecan's controllers take, looked up once.

Pecan asks several times in every request, and each answer is an instance of a named tuple that is made for it: a third to
a half of what a request to Neutron took (docs/decisions/0024-fewer-checks-of-neutron-nova-and-keystone.md).
"""

import functools

from pecan import util

looked_up = util._getargspec


@functools.lru_cache(maxsize=4096)
def arguments(function):
    return looked_up(function)


def getargspec(method):
    """A method's are its function's: "self" is among both."""
    return arguments(getattr(method, "__func__", method))


util._getargspec = getargspec
