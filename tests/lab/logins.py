"""Runs inside a controller: what OpenStack's programs do, by SQLAlchemy, when their logins to the database break off.

Between them and the database's VIP stands a door that closes on the first so many who come.
"""

import json
import socket
import sys
import threading
import time
from configparser import RawConfigParser

sys.path.insert(0, "/usr/local/lib/outlast/python")
import outlast_logins  # noqa: F401
import sqlalchemy
from sqlalchemy.engine import make_url

config = RawConfigParser(strict=False)
config.read("/etc/keystone/keystone.conf")
url = make_url(config["database"]["connection"])
there = (url.host, url.port)


def copy(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def door(closed, hung=0.0):
    """Its address; who comes is sent away `closed` times, after `hung` seconds."""
    listener = socket.create_server(("127.0.0.1", 0))
    came = []

    def keep():
        while True:
            client, _ = listener.accept()
            came.append(time.monotonic())
            if len(came) <= closed:
                time.sleep(hung)
                client.close()
                continue
            server = socket.create_connection(there)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=copy, args=(one, other), daemon=True).start()

    threading.Thread(target=keep, daemon=True).start()
    return listener.getsockname()[1], came


def ask(port, **other):
    """What a new engine's first question gives, and after how many seconds."""
    begun = time.monotonic()
    try:
        with sqlalchemy.create_engine(url.set(host="127.0.0.1", port=port, **other)).connect() as connection:
            said = connection.scalar(sqlalchemy.text("SELECT 42"))
    except sqlalchemy.exc.OperationalError as error:
        said = error.orig.args[0]
    return said, round(time.monotonic() - begun, 2)


found = {}
for name, closed, hung, other in (
    ("one breaks off", 1, 0.0, {}),
    ("one hangs for long", 1, 1.5, {}),
    ("all break off", 10**6, 0.0, {}),
    ("wrong password", 0, 0.0, {"password": "wrong"}),
):
    port, came = door(closed, hung)
    said, seconds = ask(port, **other)
    found[name] = {"said": said, "logins": len(came), "seconds": seconds}
print(json.dumps(found))
