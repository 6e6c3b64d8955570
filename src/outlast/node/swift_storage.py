"""Swift's account, container and object server in one process: `python -m outlast.node.swift_storage [DIRECTORY]`.

Runs in OpenStack's environment. Each of the three is a small application on the same interpreter and libraries; as
one process they need a third of the memory. Swift runs each server on green threads of one process anyway.
If one of them ends, the process ends, and the supervisor starts it again.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from outlast.node.swift_durable import make_durable

SERVERS = ("account", "container", "object")


def serve(path: str, name: str) -> Any:
    """Loads one server from its file, binds its port, and returns its green thread."""
    import eventlet  # type: ignore[import-not-found]
    from swift.common import constraints, http_protocol, wsgi  # type: ignore[import-not-found]

    conf, _, global_conf, _ = wsgi.check_config(path, name, verbose=True)
    app = wsgi.loadapp(path, global_conf=global_conf)
    settings = {
        "custom_pool": wsgi.RestrictedGreenPool(size=int(conf.get("max_clients", "1024"))),
        "protocol": http_protocol.SwiftHttpProtocol,
        "socket_timeout": float(conf.get("client_timeout") or 60),
        "capitalize_response_headers": False,
        "url_length_limit": constraints.MAX_REQUEST_LINE,
    }
    return eventlet.spawn(eventlet.wsgi.server, wsgi.get_socket(conf), app, wsgi.NullLogger(), **settings)


def main() -> None:
    from swift.common import db, utils

    directory = sys.argv[1] if len(sys.argv) > 1 else "/etc/swift"
    # Before anything else loads a socket: the three servers take turns at every wait.
    utils.monkey_patch()
    import eventlet
    from eventlet import event

    eventlet.hubs.use_hub(utils.get_hub())
    make_durable(db)
    ended = event.Event()
    for name in SERVERS:
        thread = serve(os.path.join(directory, f"{name}-server.conf"), f"{name}-server")
        thread.link(lambda _, name=name: None if ended.ready() else ended.send(name))
    sys.stderr.write(f"{ended.wait()} server ended\n")
    # Skips the other servers' clients: the supervisor's restart is what they need.
    os._exit(1)


if __name__ == "__main__":
    main()
