"""Which errors of a database are an outage: by what its driver says, for Django's DATABASES only."""

import copy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery
from celery.app.task import Context
from django.db import OperationalError, connections
from psycopg import errors

from stack.state import answering, outages, spared
from stack.state.outages import AWAY, READ_ONLY, Outage


class Driver(Exception):
    """An error as one of the drivers that are not installed here makes it."""

    def __init__(self, *args: Any, **attributes: Any):
        super().__init__(*args)
        vars(self).update(attributes)


def of_psycopg(state: str) -> psycopg.Error:
    """psycopg's own error of an SQLSTATE; one that it does not know is an OperationalError here."""
    try:
        return errors.lookup(state)()
    except KeyError:
        return Driver(sqlstate=state)  # type: ignore[return-value]


@pytest.mark.parametrize("state", ["08000", "08003", "08006", "08001", "08P01", "57P01", "57P02", "57P03", "53300"])
def test_a_server_that_is_away_or_full_is_an_outage_by_its_sqlstate(state: str) -> None:
    for connected in (True, False):
        assert outages.kind("postgresql", "OperationalError", of_psycopg(state), connected) == AWAY


@pytest.mark.parametrize("state", ["28000", "28P01"])
def test_who_may_not_connect_any_more_meets_an_outage(state: str) -> None:
    assert outages.kind("postgresql", "OperationalError", of_psycopg(state), False) == AWAY


def test_a_server_that_takes_no_writes_is_read_only() -> None:
    assert outages.kind("postgresql", "InternalError", errors.ReadOnlySqlTransaction(), True) == READ_ONLY


@pytest.mark.parametrize(
    "state",
    # A lock, a deadlock, a serialization, constraints, a missing table, a statement's time, a full disk, a dropped
    # database, a session that idled in its transaction.
    ["55P03", "40P01", "40001", "23505", "23503", "42P01", "57014", "53100", "57P04", "25P03", "22001"],
)
def test_what_a_server_refuses_by_its_sqlstate_is_no_outage(state: str) -> None:
    for connected in (True, False):
        assert outages.kind("postgresql", "OperationalError", of_psycopg(state), connected) == ""


@pytest.mark.parametrize(
    ("raised", "connected", "found"),
    [
        ("OperationalError", False, AWAY),
        ("InterfaceError", False, AWAY),
        ("OperationalError", True, ""),
        ("ProgrammingError", False, ""),
        ("DataError", False, ""),
    ],
)
def test_without_a_state_a_lost_connection_is_an_outage(raised: str, connected: bool, found: str) -> None:
    assert outages.kind("postgresql", raised, psycopg.OperationalError("connection is lost"), connected) == found
    psycopg2 = Driver("server closed the connection unexpectedly", pgcode=None)
    assert outages.kind("postgresql", raised, psycopg2, connected) == found


OTHERS = [
    *(("mysql", Driver(number, "text"), AWAY) for number in (2002, 2003, 2005, 2006, 2013, 1040, 1045, 1053, 1203)),
    ("mysql", Driver(1290, "The MySQL server is running with the --read-only option"), READ_ONLY),
    ("mysql", Driver(1290, "The MySQL server is running with the --secure-file-priv option"), ""),
    ("mysql", Driver(1836, "Running in read-only mode"), READ_ONLY),
    *(("mysql", Driver(number, "text"), "") for number in (1205, 1213, 1062, 1146, 1064, 3024)),
    *(("oracle", Driver(Driver(code=code, full_code=f"ORA-{code:05}")), AWAY) for code in (1034, 3113, 12541, 28000)),
    ("oracle", Driver(Driver(code=0, full_code="DPY-6005")), AWAY),
    ("oracle", Driver(Driver(code=16000, full_code="ORA-16000")), READ_ONLY),
    *(("oracle", Driver(Driver(code=code, full_code=f"ORA-{code:05}")), "") for code in (1, 54, 60, 942)),
    ("microsoft", Driver("08S01", "Communication link failure"), AWAY),
    ("microsoft", Driver("28000", "Login failed"), AWAY),
    ("microsoft", Driver("40001", "deadlock victim"), ""),
    ("microsoft", Driver("42S02", "Invalid object name"), ""),
]


@pytest.mark.parametrize(("vendor", "driver", "found"), OTHERS, ids=[f"{each[0]}-{each[1]}" for each in OTHERS])
def test_other_engines_say_the_same_in_their_own_words(vendor: str, driver: Driver, found: str) -> None:
    assert outages.kind(vendor, "OperationalError", driver, True) == found


def test_sqlite_without_its_file_is_an_outage_and_a_lock_is_none(tmp_path: Path) -> None:
    def said(path: str, *statements: str, **options: Any) -> str:
        try:
            with closing(sqlite3.connect(path, timeout=0, **options)) as connection:
                for statement in statements:
                    connection.execute(statement)
        except sqlite3.Error as error:
            return outages.kind("sqlite", type(error).__name__, error, True)
        return "no error"

    file = str(tmp_path / "db")
    assert said(file, "CREATE TABLE a (b int PRIMARY KEY)") == "no error"
    assert said(str(tmp_path / "none" / "db"), "SELECT 1") == AWAY
    assert said(f"file:{file}?mode=ro", "INSERT INTO a VALUES (1)", uri=True) == READ_ONLY
    assert said(file, "SELECT * FROM nothing") == ""
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    assert said(file, "INSERT INTO a VALUES (2)") == ""
    holder.close()


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The alias of a database of SQLite whose folder is gone."""
    outages.install()
    gone = connections.settings["default"] | {
        "NAME": str(tmp_path / "none" / "db"),
        "ENGINE": "django.db.backends.sqlite3",
    }
    monkeypatch.setitem(connections.settings, "gone", gone)
    return "gone"


def asked(alias: str) -> Exception:
    connection = connections.create_connection(alias)
    with pytest.raises(OperationalError) as caught:
        connection.ensure_connection()
    return caught.value


def test_an_error_notes_its_alias_and_what_is_raised_from_it_too(away: str) -> None:
    error = asked(away)
    assert outages.of(error) == Outage("gone", AWAY, "unable to open database file")

    def reacting(hidden: bool) -> Exception:
        try:
            try:
                raise error
            except OperationalError:
                raise ValueError("mine") from (None if hidden else error)
        except ValueError as own:
            return own

    assert outages.of(reacting(hidden=False)) == outages.of(error)
    assert outages.of(reacting(hidden=True)) is None
    assert outages.of(OperationalError("of somebody else's connection")) is None
    assert outages.of(None) is None
    assert answering.why_not(away, AWAY) == "unable to open database file"


def test_a_connection_that_is_none_of_databases_is_not_meant(away: str) -> None:
    connection = connections.create_connection(away)
    connection.settings_dict = connection.settings_dict | {"NAME": "/nowhere/else"}
    with pytest.raises(OperationalError) as caught:
        connection.ensure_connection()
    assert outages.of(caught.value) is None


@pytest.mark.parametrize(
    "options", [{"TEST": {"MIRROR": "default"}}, {"OPTIONS": {"target_session_attrs": "prefer-standby"}}]
)
def test_a_write_to_a_replica_is_the_mistake_of_its_task(
    options: dict[str, Any], away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings, "gone", connections.settings["gone"] | options)
    connection = connections.create_connection(away)
    assert outages._is_meant(connection, AWAY)
    assert not outages._is_meant(connection, READ_ONLY)


def test_tasks_of_tests_and_those_acknowledged_first_fail_as_ever(away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = asked(away)
    app = Celery("outages", set_as_current=False)

    def nothing() -> None:
        """Its code is not run."""

    late, early = app.task(name="late", acks_late=True)(nothing), app.task(name="early", acks_late=False)(nothing)

    def request(**fields: Any) -> Any:
        return Context({"id": "one", "called_directly": False} | fields)

    ended = spared.instead_of(late, request(), error)
    assert isinstance(ended, spared.Requeued)
    assert (ended.requeue, ended.outage) == (True, outages.of(error))
    assert spared.instead_of(late, request(), ended) is ended  # an `except Exception` of a retry around it
    assert spared.instead_of(early, request(), error) is None
    assert spared.instead_of(late, request(is_eager=True), error) is None
    assert spared.instead_of(late, request(called_directly=True), error) is None
    assert spared.instead_of(late, request(), ValueError("its own")) is None

    # The database answers right after the error, again and again: it is the task's own then.
    counted = iter(range(1, 100))
    monkeypatch.setattr(answering, "why_not", lambda *_: "")
    monkeypatch.setattr(spared.records, "met_outage", lambda _: next(counted))
    met = [spared.instead_of(late, request(), error) for _ in range(spared.MOST + 1)]
    assert [each is not None for each in met] == [True] * spared.MOST + [False]


def test_what_a_pool_hands_over_says_which_database() -> None:
    sent = spared.Requeued("why", outage=Outage("default", AWAY, "refused"))
    got = copy.deepcopy(sent)  # as pickle, which billiard uses
    assert (got.requeue, got.outage) == (True, sent.outage)
