"""Rows of Swift's account and container databases outlive a power cut once they are acknowledged.

Swift itself writes an object and its name in the object's folder to the disk before it says yes, but not the row that
lists the object in its container: it appends that to a file that the kernel writes out seconds later, and then commits
with SQLite's `synchronous = NORMAL`. A node that loses power forgets the rows of those seconds until another one's
replicator comes by; when all nodes lose power, the object is there for good and no listing names it.
"""

from __future__ import annotations

import os
from typing import Any


def make_durable(db: Any) -> None:
    """Changes Swift's module `swift.common.db` for this process.

    Each process that commits rows must do this: also maintenance, which moves appended rows into the database and then
    empties the file. EXTRA: as FULL, and the folder is written too, so that no deleted journal undoes the commit
    (SQLite's documentation, "PRAGMA synchronous").
    """
    connect, append = db.get_db_connection, db.DatabaseBroker.put_record

    def get_db_connection(*args: Any, **named: Any) -> Any:
        connection = connect(*args, **named)
        connection.execute("PRAGMA synchronous = EXTRA").close()
        return connection

    def put_record(self: Any, record: Any) -> None:
        append(self, record)
        for path in (self.pending_file, self.db_dir):
            _write_out(path)

    db.get_db_connection = get_db_connection
    db.DatabaseBroker.put_record = put_record


def _write_out(path: str) -> None:
    """A file that is gone meanwhile was committed meanwhile."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
