"""Rows through the database VIP: one transaction of one row per request."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pymysql

from outlast.drill.instrument.order import Database
from outlast.drill.instrument.task import Pool, Reply, Task, Trace, in_thread

Connection = Any  # PyMySQL has no types

TABLE = "`rows`"

# The server may have lost us in the middle of a commit: gone away, lost, shutting down, error in commit, killed.
_OPEN_END = frozenset({1030, 1053, 1180, 1317, 1927, 2006, 2013, 2014, 2055})


class Rows:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._pool: Pool[Connection] = Pool()

    def prepare(self) -> None:
        """Database and table. Raises pymysql.MySQLError. Who may not make databases needs one made for him."""
        connection = self._connect(10.0, database=None)
        with connection, connection.cursor() as cursor:
            with suppress(pymysql.err.OperationalError):
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{self._database.database}`")
            connection.select_db(self._database.database)
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} "
                "(k varchar(64) PRIMARY KEY, v varchar(64) NOT NULL, at double NOT NULL) ENGINE=InnoDB"
            )

    def clean(self, prefix: str) -> None:
        """Raises pymysql.MySQLError."""
        connection = self._connect(30.0, self._database.database)
        with connection, connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE k LIKE %s", (f"{prefix}-%",))

    async def send(self, task: Task, trace: Trace) -> Reply:
        return await in_thread(lambda: self._transact(task, trace))

    def _transact(self, task: Task, trace: Trace) -> Reply:
        trace.begun = time.monotonic()
        connection = None if task.fresh else self._pool.take()
        good = False
        try:
            if connection is None:
                connection = self._connect(max(0.1, task.until - trace.begun), self._database.database)
            trace.left = True
            reply = self._create(connection, task) if task.kind == "create" else _read(connection, task)
            good = True
            return reply
        except (pymysql.MySQLError, OSError) as error:
            return _failure(error, trace)
        finally:
            if connection is not None:
                self._leave(connection, keep=good and not task.fresh)

    def _create(self, connection: Connection, task: Task) -> Reply:
        value = f"{task.key}/{task.id}"
        with connection.cursor() as cursor:
            rows = cursor.execute(
                f"INSERT INTO {TABLE} (k, v, at) VALUES (%s, %s, %s)", (task.key, value, task.scheduled)
            )
        return Reply("ok", "", value) if rows == 1 else Reply("failed", f"wrong answer: {rows} rows")

    def _leave(self, connection: Connection, keep: bool) -> None:
        if keep:
            self._pool.give(connection)
            return
        with suppress(Exception):
            connection.close()

    def _connect(self, seconds: float, database: str | None) -> Connection:
        return pymysql.connect(
            host=self._database.host,
            port=self._database.port,
            user=self._database.user,
            password=self._database.password,
            database=database,
            connect_timeout=max(1, round(seconds)),
            read_timeout=seconds,
            write_timeout=seconds,
            autocommit=True,
            ssl_disabled=True,  # else every connect reads all of the system's certificates: 24 ms of CPU
        )


def _read(connection: Connection, task: Task) -> Reply:
    """The row `key`, or how many there are where no key is known yet."""
    with connection.cursor() as cursor:
        if not task.key:
            cursor.execute("SELECT 1")
            return Reply("ok") if cursor.fetchall() == ((1,),) else Reply("failed", "wrong answer")
        cursor.execute(f"SELECT v FROM {TABLE} WHERE k = %s", (task.key,))
        found = cursor.fetchall()
    if not found:
        return Reply("ok", "no row")
    value = str(found[0][0])
    return Reply("ok", "", value) if value == task.ref else Reply("failed", f"wrong answer: {value}")


def _failure(error: Exception, trace: Trace) -> Reply:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = f"{code or type(error).__name__}"
    if not trace.left:
        return Reply("failed", f"connect: {words}")
    # Anything that is no answer of the server (broken packets, closed sockets) leaves it open, too.
    known = code >= 1000 and code not in _OPEN_END and isinstance(error, pymysql.MySQLError)
    return Reply("failed" if known else "unknown", words)
