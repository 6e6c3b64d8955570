"""The run's files of lines: history, streams, stalls, consumed. One thread writes; who need not wait
for the disk does not.

Lines are whole single writes on O_APPEND descriptors, so several processes may write the same file.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from outlast.drill.instrument.task import Tell
from outlast.record.history import Done, Intent

HISTORY = "history.jsonl"


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    text: bytes
    durable: bool = False
    written: asyncio.Future[None] | None = None


class Ledger:
    """Raises OSError at once where the folder cannot be written."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._tell = tell
        self._queue: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
        self._files = {HISTORY: self._open(HISTORY)}
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    def intent(self, intent: Intent) -> asyncio.Future[None] | None:
        """Notes that a request will be sent. For a write: a future that is done when the line is on disk; the request
        must not leave before."""
        text = msgspec.json.encode({"intent": intent}) + b"\n"
        if intent.kind in ("read", "list"):
            self._queue.put(_Line(HISTORY, text))
            return None
        written = asyncio.get_running_loop().create_future()
        self._queue.put(_Line(HISTORY, text, True, written))
        return written

    def done(self, done: Done, durable: bool) -> None:
        self._queue.put(_Line(HISTORY, msgspec.json.encode({"done": done}) + b"\n", durable))

    def add(self, file: str, value: object) -> None:
        """A line of another file of the run folder, written soon."""
        self._queue.put(_Line(file, msgspec.json.encode(value) + b"\n"))

    def close(self) -> None:
        """Returns when everything is on disk. Nothing may be added after."""
        self._queue.put(None)
        self._thread.join()

    def _open(self, name: str) -> int:
        return os.open(self._folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _write_all(self) -> None:
        more = True
        while more:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            more = None not in batch
            self._write([line for line in batch if line is not None], last=not more)

    def _write(self, lines: Sequence[_Line], last: bool) -> None:
        """One write per file, one sync for all lines that must be durable (group commit)."""
        failure: OSError | None = None
        try:
            for name in dict.fromkeys(line.file for line in lines):
                self._append(name, b"".join(line.text for line in lines if line.file == name))
            if last or any(line.durable for line in lines):
                os.fdatasync(self._files[HISTORY])
            if last:
                for descriptor in self._files.values():
                    os.close(descriptor)
        except OSError as error:
            failure = error
            self._tell(f"the run folder cannot be written: {error}")
        for line in lines:
            if line.written is not None:
                with suppress(RuntimeError):  # the loop has ended
                    line.written.get_loop().call_soon_threadsafe(_settle, line.written, failure)

    def _append(self, name: str, text: bytes) -> None:
        if name not in self._files:
            self._files[name] = self._open(name)
        written = os.write(self._files[name], text)
        if written != len(text):
            raise OSError(f"only {written} of {len(text)} bytes of {name} were taken")


def _settle(future: asyncio.Future[None], failure: OSError | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
