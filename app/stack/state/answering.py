"""Whether one of Django's DATABASES answers now: a query, as a TCP check would pass through a pooler."""

from typing import Any

from django.db import connections

from stack.state.outages import READ_ONLY, in_a_line

SECONDS = 2  # for a connect, and for what is sent over it to be taken
WRITABLE = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"


def why_not(alias: str, kind: str) -> str:
    """Why a database is still out, in one line; "" where it answers. May take as long as it hangs.

    Args:
        alias: its name in DATABASES.
        kind: of the outage; one that was read-only must take writes again.
    """
    connection = connections.create_connection(alias)  # one of its own: a task's may be in a transaction
    connection.settings_dict = _bounded(connection)
    try:
        with connection.cursor() as cursor:
            return _read_only(connection, cursor) if kind == READ_ONLY else _answer(connection, cursor)
    except Exception as error:  # whatever it is, a task would meet it
        return in_a_line(error.__cause__ or error)
    finally:
        _close(connection)


def _bounded(connection: Any) -> dict[str, Any]:
    """The settings of a connection that gives up soon, and comes from no pool."""
    settings: dict[str, Any] = connection.settings_dict
    options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    if connection.vendor in ("postgresql", "mysql"):
        options["connect_timeout"] = min(int(float(options.get("connect_timeout") or SECONDS)), SECONDS)
    if connection.vendor == "postgresql":
        options |= {"tcp_user_timeout": SECONDS * 1000, "keepalives_idle": SECONDS, "keepalives_interval": 1}
    if connection.vendor == "mysql":
        options |= {"read_timeout": SECONDS, "write_timeout": SECONDS}
    return settings | {"OPTIONS": options}


def _answer(connection: Any, cursor: Any) -> str:
    cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")
    cursor.fetchone()
    return ""


def _read_only(connection: Any, cursor: Any) -> str:
    if connection.vendor == "postgresql":
        cursor.execute(WRITABLE)
    elif connection.vendor == "mysql":
        cursor.execute("SELECT @@global.read_only")
    elif connection.vendor == "oracle":
        cursor.execute("SELECT CASE WHEN open_mode LIKE 'READ ONLY%' THEN 1 ELSE 0 END FROM v$database")
    else:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")
        return ""
    return "it takes no writes" if cursor.fetchone()[0] else ""


def _close(connection: Any) -> None:
    try:
        connection.close()
    except Exception:  # the one that was asked for has been said
        connection.connection = None
