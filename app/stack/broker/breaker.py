"""The circuit breaker of the web: while Redis does not answer, one call at a time waits for it, the rest fail at once.

Without it each call of each request waits for its own time limit: two such calls, one after the other, are over
the two seconds in which a 503 is promised, and waiting requests hold all threads of a process that hangs on Redis.
Where Redis refuses connections, a request that sends a task waits for a moment (comeback.py): it may be back soon.
It stands in the connections, where every library asks Redis (redis-py, Celery, kombu, RedBeat).
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from kombu.transport.redis import Channel

from stack.broker import comeback


class Breaker:
    """Open, so refusing, from a failure until Redis answers again; one thread at a time may try.

    Args:
        pause: seconds between two tries.
        soon: the same where Redis refuses connections, which costs nothing.
        forget: seconds after which a failure says nothing any more: a process that nobody asked for so long does
            not know that Redis is back, and must not refuse all but the first of those who then come at once.
    """

    def __init__(self, pause: float = 1.0, forget: float = 5.0, soon: float = 0.1):
        self.pause, self.forget, self.soon = pause, forget, soon
        self._changed = threading.Condition()
        self._open, self._away, self._next_try = False, False, 0.0
        self._trying: int | None = None  # the thread that may
        self._why = ""
        self.failed_at = 0.0  # of time.monotonic()

    def admit(self) -> None:
        """Let this call through, or raise redis.ConnectionError because another has just found Redis away.

        One that sends a task waits first, as long as comeback.py says, where Redis refuses connections.
        """
        with self._changed:
            while self._open and self._trying != threading.get_ident():
                if (now := time.monotonic()) - self.failed_at > self.forget:
                    return
                if now >= self._next_try:
                    self._next_try, self._trying = now + self.pause, threading.get_ident()
                    return
                wait = comeback.current() if self._away else None
                if wait is None or not (left := wait.left()):
                    raise redis.ConnectionError(f"Redis did not answer a moment ago: {self._why}")
                self._changed.wait(min(left, self._next_try - now))

    def failed(self, error: Exception) -> None:
        """Redis refused a connection, or let a call wait for all its time."""
        with self._changed:
            self._why, self.failed_at = str(error), time.monotonic()
            self._open, self._away, self._trying = True, comeback.is_away(error), None
            self._next_try = self.failed_at + (self.soon if self._away else self.pause)
            self._changed.notify_all()

    def answered(self) -> None:
        """Redis is there, whatever it said."""
        if self._open:
            with self._changed:
                self._open = False
                self._changed.notify_all()

    def has_failed_lately(self) -> bool:
        """Whether Redis may have been restarted, and still be reading its data."""
        return time.monotonic() - self.failed_at < self.forget


_breaker = Breaker()  # there is one Redis, so one for the process


class _Guarded:
    """Mixin of a redis-py connection."""

    _sock: Any  # of redis-py 6.4, which has no word of its own for it, to 8
    disconnect: Callable[[], None]
    send_command: Callable[..., None]
    socket_connect_timeout: float | None
    socket_timeout: float | None
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
        while True:
            _breaker.admit()
            try:
                connected = self._connect_in_time()
            except OSError as error:
                _breaker.failed(error)
                if (wait := comeback.current()) and comeback.is_away(error) and wait.left():
                    continue
                raise
            self._made_at = time.monotonic()
            return connected

    def _connect_in_time(self) -> Any:
        """One try; that of somebody who has waited has less time for connecting and for each answer of the start."""
        wait, limits = comeback.current(), (self.socket_connect_timeout, self.socket_timeout)
        if wait:
            self.socket_connect_timeout, self.socket_timeout = (limit and wait.limit(limit) for limit in limits)
        try:
            return super()._connect()  # type: ignore[misc]
        finally:
            self.socket_connect_timeout, self.socket_timeout = limits

    def on_connect_check_health(self, *args: Any, **options: Any) -> None:
        """Called once a connection is made, to log in. A Redis that was restarted may log in and then say LOADING."""
        super().on_connect_check_health(*args, **options)  # type: ignore[misc]
        if not (wait := comeback.current()) or not _breaker.has_failed_lately():
            return
        while True:
            try:
                self.send_command("PING", check_health=False)
                self.read_response(disconnect_on_error=False)
                break
            except redis.BusyLoadingError as error:
                _breaker.failed(error)
                if not wait.left():
                    raise
                _breaker.admit()
        self._sock.settimeout(self.socket_timeout)

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
