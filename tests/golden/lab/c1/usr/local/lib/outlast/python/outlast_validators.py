"""The classes of an API's validators, made once instead of in each request.

Nova and Keystone check every request and every answer with a class that `jsonschema.validators.extend` makes for it, and
a class made by attrs is source code that is compiled: three quarters of the time in which Nova answers a balancer's
check, a quarter of a list of servers (py-spy, nova 34.0.0, jsonschema 4.26.0). What makes two such classes different is
which functions they check with; the objects that these are bound to hold nothing that they use.

To be imported before the API.
"""

import jsonschema.validators

extend = jsonschema.validators.extend
made = {}


def extend_once(validator, validators=(), *args, **named):
    """As jsonschema's own; the class that was made for the same functions, if that is all that was asked for."""
    if args or named:
        return extend(validator, validators, *args, **named)
    functions = {name: getattr(function, "__func__", function) for name, function in dict(validators).items()}
    key = (validator, *sorted(functions.items(), key=lambda item: item[0]))
    if key not in made:
        made[key] = extend(validator, validators)
    return made[key]


jsonschema.validators.extend = extend_once
