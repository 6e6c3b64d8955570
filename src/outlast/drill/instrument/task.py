"""What passes between the load and its senders: one request, what became of it, and how far it got."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from outlast.record.history import Kind, Outcome

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A request. ref: the server's id of the thing `key` (deletes), "" otherwise. scheduled, until: seconds of the
    monotonic clock."""

    id: int
    workload: str
    service: str
    kind: Kind
    scheduled: float
    until: float
    key: str = ""
    ref: str = ""
    fresh: bool = True


@dataclass(slots=True)
class Trace:
    """How far a request got. begun: when the network was first asked for anything (connect, or write on a pooled
    connection); left: whether any of the request itself may have left; value: what is already known of its result.
    accepted: when an answer came that only began the work."""

    begun: float | None = None
    left: bool = False
    value: str = ""
    accepted: float | None = None

    @property
    def sent(self) -> float | None:
        return self.begun if self.left else None

    @property
    def broken(self) -> Outcome:
        """What a connection that broke or fell silent means: without a byte sent, nothing can have been done."""
        return "unknown" if self.left else "failed"


@dataclass(frozen=True, slots=True)
class Reply:
    outcome: Outcome
    detail: str = ""
    value: str = ""


Sender = Callable[[Task, Trace], Awaitable[Reply]]
Tell = Callable[[str], None]
"""Takes a problem's sentence."""


class Pool(Generic[T]):
    """Idle connections, last in first out. Used by many threads."""

    def __init__(self) -> None:
        self._idle: deque[T] = deque()

    def take(self) -> T | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def give(self, connection: T) -> None:
        self._idle.append(connection)


def in_thread(work: Callable[[], T], later: ExitStack | None = None) -> asyncio.Future[T]:
    """Runs blocking work in a thread of its own, and `later` when its result is there; who stops waiting (deadline)
    leaves the thread behind.

    No pool of threads: a full one would delay requests because of those before them.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def body() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)
        if later is not None:
            later.close()

    threading.Thread(target=body, daemon=True).start()
    return future
