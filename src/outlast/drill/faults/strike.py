"""One fault from its note in the journal to its undo, with the moments of each on the machine's monotonic clock."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from outlast.drill.faults.hands import Hands
from outlast.drill.faults.table import check_options, verb
from outlast.drill.faults.verb import Order, Record
from outlast.drill.undo import UndoJournal
from outlast.errors import OutlastError, RemoteError

_POLL_SECONDS = 0.002
_JOIN_SECONDS = 150.0


class Strike:
    """prepare (in the constructor) → begin → took_effect → finish → undo. Each may be left out; undo never should."""

    def __init__(self, hands: Hands, folder: Path, order: Order) -> None:
        """Looks what will be done, and changes nothing. Raises InputError drill.verb, drill.option, drill.program,
        LabError lab.node-off, or RemoteError where the node does not say what runs on it."""
        check_options(order.verb, order.options)
        self.hands = hands
        self.journal = UndoJournal(folder)
        self.verb = verb(order.verb)
        told = {"id": order.id, "verb": order.verb, "nodes": list(order.nodes), "options": dict(order.options)}
        try:
            self.record: Record = {**told, **self.verb.prepare(hands, order)}
        except OSError as error:
            raise RemoteError("remote.failed", f"{order.verb} on {', '.join(order.nodes)}: {error}") from error
        self._stop = threading.Event()
        self._trouble: BaseException | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> float:
        """Note it on disk, then let it go; returns the moment of the latter. Raises OSError: nothing was done."""
        self.journal.open(self.record)
        # A thread that is not waited for at exit: a drill that is interrupted must end, the journal knows the rest.
        self._thread = threading.Thread(target=self._inject, name=self.record["id"], daemon=True)
        at = time.monotonic()
        self._thread.start()
        return at

    def took_effect(self, seconds: float) -> float | None:
        """The first moment at which its effect had surely been seen, None when it was not in time.

        Late by one look at most: under a millisecond for processes, links and power, about 10 ms where nft is asked.

        Raises what the injection raised.
        """
        end = time.monotonic() + seconds
        while True:
            if self._is_seen():
                return time.monotonic()
            self._raise()
            if time.monotonic() > end:
                return None
            time.sleep(_POLL_SECONDS)

    def finish(self, seconds: float = _JOIN_SECONDS) -> bool:
        """Wait until all of it is done (a flap, a reboot, a rolling restart); False when it still goes on.

        Raises what the injection raised.
        """
        if self._thread:
            self._thread.join(seconds)
        self._raise()
        return not (self._thread and self._thread.is_alive())

    def undo(self) -> float:
        """Stop what still goes on, take it back, note that; returns the moment when it was done.

        Raises OutlastError or OSError when it could not be taken back: it stays open in the journal.
        """
        self._stop.set()
        if self._thread:
            self._thread.join(_JOIN_SECONDS)
        self.verb.undo(self.hands, self.record)
        at = time.monotonic()
        self.journal.close(self.record["id"])
        return at

    def _is_seen(self) -> bool:
        """A look that fails while the node goes away is a look that saw nothing."""
        try:
            return self.verb.took_effect(self.hands, self.record)
        except (OutlastError, OSError):
            return False

    def _inject(self) -> None:
        try:
            self.verb.inject(self.hands, self.record, self._stop)
        except BaseException as trouble:
            self._trouble = trouble

    def _raise(self) -> None:
        if self._trouble is not None:
            raise self._trouble
