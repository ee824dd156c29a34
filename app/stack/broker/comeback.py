"""Who waits for a Redis that refuses connections, as it does while it is restarted, and for how long.

Only those who send a task: at most SECONDS of a request, in at most half of the web process's threads. All others have
their 503 at once. A Redis that takes a connection and says nothing is not waited for: each try costs its time limit.
"""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from errno import EHOSTUNREACH, ENETUNREACH

import redis

from stack.runtime.threads import THREADS, Places

SECONDS = 1.5
SPARE = 0.3  # seconds for the last try's connection, so that all of it stays under the two that are promised
PLACES = Places(THREADS // 2)


def is_away(error: Exception) -> bool:
    """Whether the answer came at once and was that no Redis serves there now: it may be back in a moment.

    A container that is restarted has no name meanwhile, and a pod that was deleted has no route.
    """
    if isinstance(error, ConnectionError | socket.gaierror | redis.BusyLoadingError):
        return True
    return isinstance(error, OSError) and error.errno in (EHOSTUNREACH, ENETUNREACH)


class Wait:
    """The time of one request, however many tasks it sends."""

    def __init__(self) -> None:
        self._end: float | None = None
        self._has_place = False

    def begin(self) -> None:
        """The first task is being sent."""
        if self._end is None:
            self._end = time.monotonic() + SECONDS

    def left(self) -> float:
        """Seconds for which this thread may still wait; 0 where the time is up, or too many wait already."""
        seconds = (self._end or 0.0) - time.monotonic()
        if seconds <= 0:
            return 0.0
        if not self._has_place:
            # Who waits on an event loop would hold up everybody.
            if asyncio._get_running_loop() is not None or not PLACES.take():
                self._end = 0.0
                return 0.0
            self._has_place = True
        return seconds

    def limit(self, seconds: float) -> float:
        """How long a try may take that would otherwise take `seconds`."""
        if not self._has_place or self._end is None:
            return seconds
        return min(seconds, max(0.0, self._end - time.monotonic()) + SPARE)

    def leave(self) -> None:
        """Release the place."""
        if self._has_place:
            self._has_place = False
            PLACES.free()


_request: ContextVar[Wait | None] = ContextVar("request", default=None)
_sending: ContextVar[Wait | None] = ContextVar("sending", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """The block is a request: what it sends waits for Redis once, not each time."""
    token = _request.set(Wait())
    try:
        yield
    finally:
        _request.reset(token)


@contextmanager
def sending() -> Iterator[None]:
    """The block sends a task, and waits if Redis is just being restarted."""
    if _sending.get() is not None:
        yield
        return
    wait = _request.get() or Wait()
    wait.begin()
    token = _sending.set(wait)
    try:
        yield
    finally:
        _sending.reset(token)
        wait.leave()


def current() -> Wait | None:
    """The time that this thread's caller has, or None where nothing is being sent."""
    return _sending.get()
