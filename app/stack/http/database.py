"""PostgreSQL for the web role: a server that hangs is an outage after one second, as a Redis that hangs is."""

from collections.abc import Callable
from typing import Any

from django.db import connections


def install() -> None:
    """Let `connect_timeout=1` be one second in this process.

    psycopg follows libpq, which makes two of it: with what a request does beside that, a 503 comes too late. An
    AttributeError here means a version of psycopg that does not fit.
    """
    if any(each.vendor == "postgresql" for each in connections.all()):
        import psycopg.connection

        module: Any = psycopg.connection
        module.timeout_from_conninfo = _as_given(module.timeout_from_conninfo)


def _as_given(by_libpq: Callable[[Any], int]) -> Callable[[Any], int]:
    return lambda params: 1 if str(params.get("connect_timeout")) == "1" else by_libpq(params)
