"""The circuit breaker of the web: while Redis does not answer, one call at a time waits for it, the rest fail at once.

Without it each call of each request waits for its own time limit: two such calls, one after the other, are over
the two seconds in which a 503 is promised, and waiting requests hold all threads of a process that hangs on Redis.
It stands in the connections, where every library asks Redis (redis-py, Celery, kombu, RedBeat).
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from kombu.transport.redis import Channel


class Breaker:
    """Open, so refusing, from a failure until Redis answers again; one thread at a time may try.

    Args:
        pause: seconds between two tries.
        forget: seconds after which a failure says nothing any more: a process that nobody asked for so long does
            not know that Redis is back, and must not refuse all but the first of those who then come at once.
    """

    def __init__(self, pause: float = 1.0, forget: float = 5.0):
        self.pause, self.forget = pause, forget
        self._lock = threading.Lock()
        self._open, self._next_try = False, 0.0
        self._trying: int | None = None  # the thread that may
        self._why = ""
        self.failed_at = 0.0  # of time.monotonic()

    def admit(self) -> None:
        """Let this call through, or raise redis.ConnectionError because another has just found Redis away."""
        with self._lock:
            if not self._open or self._trying == threading.get_ident():
                return
            if (now := time.monotonic()) - self.failed_at > self.forget:
                return
            if now < self._next_try:
                raise redis.ConnectionError(f"Redis did not answer a moment ago: {self._why}")
            self._next_try, self._trying = now + self.pause, threading.get_ident()

    def failed(self, error: Exception) -> None:
        """Redis refused a connection, or let a call wait for all its time."""
        with self._lock:
            self._why, self.failed_at = str(error), time.monotonic()
            self._open, self._next_try, self._trying = True, self.failed_at + self.pause, None

    def answered(self) -> None:
        """Redis is there, whatever it said."""
        if self._open:
            with self._lock:
                self._open = False


_breaker = Breaker()  # there is one Redis, so one for the process


class _Guarded:
    """Mixin of a redis-py connection."""

    _sock: Any  # of redis-py 6.4, which has no word of its own for it, to 8
    disconnect: Callable[[], None]
    _made_at = 0.0

    def connect(self) -> None:
        """Called by the pool before each use, of a connection that stands too."""
        _breaker.admit()
        if self._sock is not None and self._made_at < _breaker.failed_at:
            # A firewall that forgot one connection forgot all: each would cost a try.
            self.disconnect()
        super().connect()  # type: ignore[misc]

    def _connect(self) -> Any:
        """Called for each try to connect, those that redis-py adds by itself too."""
        _breaker.admit()
        try:
            connected = super()._connect()  # type: ignore[misc]
        except OSError as error:
            _breaker.failed(error)
            raise
        self._made_at = time.monotonic()
        return connected

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            answer = super().read_response(*args, **options)  # type: ignore[misc]
        except redis.TimeoutError as error:
            _breaker.failed(error)
            raise
        _breaker.answered()
        return answer


class Connection(_Guarded, redis.Connection):
    """redis-py's, over TCP."""


class SSLConnection(_Guarded, redis.SSLConnection):
    """redis-py's, over TLS."""


def connection_class(url: str) -> type[redis.Connection]:
    """The guarded connection for an address, with TLS for `rediss`."""
    return SSLConnection if url.startswith("rediss:") else Connection


def install_connections() -> None:
    """Put the guarded connections into kombu's channel, whose options cannot name them, for the whole process."""
    Channel.connection_class, Channel.connection_class_ssl = Connection, SSLConnection
