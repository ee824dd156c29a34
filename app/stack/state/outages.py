"""Whether an error is an outage of one of Django's DATABASES, which is no fault of the task or the request that met it.

Decided by what the server said, by SQLSTATE: a lock, a deadlock, a constraint or a missing table is none. Each error
that Django raises notes of which alias it is, so that a connection which a project opened to elsewhere is not meant.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import Error, connections
from django.db.utils import DatabaseErrorWrapper

AWAY, READ_ONLY = "away", "read-only"
# SQLSTATEs: the connection (08), who may connect (28), a server that stops or starts, and one without a free slot.
CLASSES, STATES = ("08", "28"), ("57P01", "57P02", "57P03", "53300")
READ_ONLY_STATE = "25006"
# MySQL and MariaDB have one SQLSTATE for most: too many connections, a host or user that is refused, a server that
# stops, is unreachable, or closed the connection.
MYSQL = {1040, 1042, 1043, 1044, 1045, 1053, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 3118, 3168}
MYSQL |= {2002, 2003, 2005, 2006, 2012, 2013, 2026, 2055, 4031}
MYSQL_READ_ONLY = {1290, 1792, 1836}
# Oracle: sessions, a server that stops or starts, a listener that is away, who may connect, a connection that was lost.
ORACLE = {18, 20, 28, 1012, 1017, 1033, 1034, 1035, 1089, 1090, 1092, 3113, 3114, 3135, 12170, 12514, 12516, 12518}
ORACLE |= {12519, 12520, 12528, 12537, 12541, 12543, 12545, 12547, 12560, 12571, 28000, 28001}
ORACLE_READ_ONLY = {1456, 16000}
ORACLE_THIN = ("DPY-4011", "DPY-4005", "DPY-6000", "DPY-6005", "DPY-1001")
# SQLite: a file that cannot be read any more or opened, as where its disk is gone.
SQLITE, SQLITE_READ_ONLY = {10, 14}, {8}
# What libpq calls a server that a replica is meant by.
REPLICA = ("read-only", "standby", "prefer-standby")
UNUSABLE = ("OperationalError", "InterfaceError", "InternalError", "DatabaseError")  # Django's, of a lost connection


@dataclass(frozen=True)
class Outage:
    """What an error says of a database.

    Attributes:
        alias: its name in DATABASES.
        kind: AWAY, or READ_ONLY: it answers, and takes no writes.
        said: the server's or the driver's words, in one line.
    """

    alias: str
    kind: str
    said: str

    def __str__(self) -> str:
        return f"the database {self.alias!r} {'is read-only' if self.kind == READ_ONLY else 'is away'}: {self.said}"


def of(error: BaseException | None) -> Outage | None:
    """The outage that `error` is, or was raised from; None where it is none.

    An error that a project raises `from None` says that what came before is not its cause.
    """
    for each in _chain(error):
        if found := vars(each).get("stack_outage"):
            return found
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def kind(vendor: str, raised: str, driver: BaseException, connected: bool) -> str:
    """AWAY, READ_ONLY, or "" for what is no outage.

    Args:
        vendor: of Django's backend, as "postgresql".
        raised: the name of Django's error, as "OperationalError".
        driver: the driver's error.
        connected: whether the connection may still be used.
    """
    first = driver.args[0] if driver.args else None
    if vendor == "mysql":
        return _by_number(first, MYSQL, MYSQL_READ_ONLY, str(driver)) or _lost(raised, connected, first)
    if vendor == "oracle":
        text = str(getattr(first, "full_code", "") or first or "")
        if text.startswith(ORACLE_THIN):
            return AWAY
        return _by_number(getattr(first, "code", None), ORACLE, ORACLE_READ_ONLY) or _lost(raised, connected, text)
    if vendor == "sqlite":
        code = getattr(driver, "sqlite_errorcode", None)
        return _by_number(code and code & 0xFF, SQLITE, SQLITE_READ_ONLY)
    # psycopg 3 and 2 have it by name; a driver of ODBC gives it first.
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    if state is None and isinstance(first, str) and len(first) == 5 and first.isalnum() and first[:2].isdigit():
        state = first
    if state is None:
        return _lost(raised, connected)
    return READ_ONLY if state == READ_ONLY_STATE else AWAY if state in STATES or state[:2] in CLASSES else ""


def _by_number(number: Any, away: set[int], read_only: set[int], text: str = "") -> str:
    if number == 1290 and "read" not in text.lower():
        return ""  # another option of MySQL's than --read-only
    return READ_ONLY if number in read_only else AWAY if number in away else ""


def _lost(raised: str, connected: bool, said: Any = None) -> str:
    """An error without a state is an outage where it left no connection: refused, timed out, cut."""
    return AWAY if not connected and raised in UNUSABLE and (said is None or not said) else ""


def _is_connected(wrapper: Any) -> bool:
    connection = wrapper.connection
    closed = getattr(connection, "closed", False)  # psycopg's; others have a method of this name, or none
    return connection is not None and (callable(closed) or not closed)


def _is_meant(wrapper: Any, found: str) -> bool:
    """Whether a connection is one of DATABASES, and not to a replica by design, where a write is the task's mistake."""
    given = connections.settings.get(wrapper.alias)
    if given is None or given != wrapper.settings_dict:
        return False
    options = given["OPTIONS"]
    replica = given["TEST"].get("MIRROR") or options.get("target_session_attrs") in REPLICA
    return found == AWAY or not (replica or "default_transaction_read_only" in str(options.get("options")))


def in_a_line(error: BaseException) -> str:
    """The words of an error, for a health check and a log."""
    return " ".join(str(error).split())[:300] or type(error).__name__


_exit = DatabaseErrorWrapper.__exit__


def _noting(self: Any, exc_type: Any, exc_value: Any, traceback: Any) -> None:
    """Django's, and its error notes the outage that it is. What succeeds costs this call and no more."""
    if exc_type is None:
        return
    try:
        _exit(self, exc_type, exc_value, traceback)
    except Error as error:
        driver = error.__cause__ or exc_value
        found = kind(self.wrapper.vendor, type(error).__name__, driver, _is_connected(self.wrapper))
        if found and _is_meant(self.wrapper, found):
            error.stack_outage = Outage(self.wrapper.alias, found, in_a_line(driver))  # type: ignore[attr-defined]
        raise


def install() -> None:
    """Have every error of Django's say so, in this process."""
    DatabaseErrorWrapper.__exit__ = _noting  # type: ignore[method-assign]
