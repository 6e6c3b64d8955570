"""Logs in to the database again where a login broke off.

The balancer passes bytes on: once it has connected a client to a member it cannot ask another one, and when that member
dies or hangs meanwhile it cuts the connection. oslo.db repeats only what a program does when it starts; later a broken
login is the request's own failure, though nothing was asked yet that could be done twice.
"""

import time

from sqlalchemy import event
from sqlalchemy.engine import Engine

AGAIN, PAUSE = 1.0, 0.1  # seconds
# PyMySQL: no connection, gone, lost. MariaDB: it shuts down, it is not in the primary component.
BROKEN = {2003, 2006, 2013, 1053, 1047}


@event.listens_for(Engine, "do_connect")
def log_in(dialect, record, words, options):
    """Once more at least, however long the first one hung; then until AGAIN has passed.

    Not for longer: an API whose threads all wait for a database answers no check, and is taken for hung.
    """
    end, tried = time.monotonic() + AGAIN, False
    while True:
        try:
            return dialect.connect(*words, **options)
        except dialect.loaded_dbapi.OperationalError as error:
            if error.args[0] not in BROKEN or (tried and time.monotonic() > end):
                raise
        tried = True
        time.sleep(PAUSE)
