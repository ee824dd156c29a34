"""PostgreSQL for the web role: whichever way it is gone, an address of the stack says so in under two seconds.

A server that hangs is an outage after one second, as a Redis that hangs is; a name that nobody resolves too. On the
stack's own addresses an answer over a connection that was kept is bounded as well, and who comes in the second after a
server let somebody wait in vain has the same answer at once: else those who wait for a thread would have it too late.
A project's own views wait as ever.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

RESOLVED = 0.8  # seconds for the name of the server
ANSWERED = 0.6  # seconds for an answer; then the server has one more for a new connection
REMEMBERED = 1.0  # seconds in which nobody asks again a server that let somebody wait in vain
IN_VAIN = 0.5  # seconds for a connect; what fails sooner costs nothing to try
_in_vain: dict[str, float] = {}  # by alias, when that was last: of time.monotonic()
_bounded: ContextVar[bool] = ContextVar("bounded", default=False)
_resolvers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


@contextmanager
def bounded(now: bool = True) -> Iterator[None]:
    """Inside the block, or from `bound` on, a database that hangs is an outage. One that is only slow has its time."""
    token = _bounded.set(now)
    try:
        yield
    finally:
        _bounded.reset(token)


def bound() -> None:
    """Bound what is left of the block."""
    _bounded.set(True)


def install() -> None:
    """Let `connect_timeout=1` be one second in this process, and bound what waits for longer.

    psycopg follows libpq, which makes two of it: with what a request does beside that, a 503 comes too late. An
    AttributeError here means a version of psycopg that does not fit.
    """
    if any(each.vendor == "postgresql" for each in connections.all()):
        import psycopg.connection

        module: Any = psycopg.connection
        module.timeout_from_conninfo = _as_given(module.timeout_from_conninfo)
        module.conninfo_attempts = _soon(module.conninfo_attempts, psycopg.OperationalError)
        module.Connection.wait = _waiting(module.Connection.wait, psycopg)
        connect = _connecting(BaseDatabaseWrapper.connect, psycopg.OperationalError)
        BaseDatabaseWrapper.connect = connect  # type: ignore[assignment, method-assign]


def _is_short(params: Any) -> bool:
    return str(params.get("connect_timeout")) == "1"


def _as_given(by_libpq: Callable[[Any], int]) -> Callable[[Any], int]:
    return lambda params: 1 if _is_short(params) else by_libpq(params)


def _soon(resolve: Callable[[Any], Any], error: type[Exception]) -> Callable[[Any], Any]:
    """psycopg asks for the addresses of a name first, for as long as the system takes."""

    def resolve_soon(params: Any) -> Any:
        if not _is_short(params) or str(params.get("host", "/")).startswith("/"):
            return resolve(params)
        try:
            return _resolvers.submit(resolve, params).result(timeout=RESOLVED)
        except TooLate:
            raise error(f"failed to resolve host {params['host']!r} within {RESOLVED} s") from None

    return resolve_soon


def _connecting(connect: Callable[[Any], None], error: type[Exception]) -> Callable[[Any], None]:
    """As Django's, which remembers a server that is silent."""

    def connect_once(self: Any) -> None:
        if self.vendor != "postgresql":
            return connect(self)
        begun = time.monotonic()
        if _bounded.get() and begun < _in_vain.get(self.alias, 0.0) + REMEMBERED:
            raise error("the server did not answer a moment ago")
        try:
            connect(self)
        except error:
            if time.monotonic() - begun > IN_VAIN:
                _in_vain[self.alias] = time.monotonic()
            raise
        _in_vain.pop(self.alias, None)
        self.connection.stack_alias = self.alias

    return connect_once


def _waiting(wait: Callable[..., Any], psycopg: Any) -> Callable[..., Any]:
    """As psycopg's Connection.wait, in bounds where there are any."""

    def wait_bounded(self: Any, gen: Any, *args: Any, **options: Any) -> Any:
        if args or options or not _bounded.get():
            return wait(self, gen, *args, **options)
        try:
            return wait(self, gen, timeout=ANSWERED)
        except psycopg.errors._WaitTimeout:
            begun = time.monotonic()
            try:
                psycopg.connect(self.info.dsn, password=self.info.password, connect_timeout=1).close()
            except psycopg.Error:
                self.pgconn.finish()
                _in_vain[getattr(self, "stack_alias", "")] = time.monotonic()
                seconds = ANSWERED + time.monotonic() - begun
                raise psycopg.OperationalError(f"the server did not answer for {seconds:.1f} s") from None
            return wait(self, gen)

    return wait_bounded
