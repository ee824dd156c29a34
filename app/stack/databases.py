"""Django's DATABASES: the project's, with the default one where DATABASE_URL says, and patience for a slow server."""

import os
from typing import Any

from stack.rules import DEFAULT, ENVIRONMENT, Env, Given, Value, origin
from stack.runtime.env import get

# What a database of the project's keeps when a URL says where it is.
KEPT = ["ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_MAX_AGE", "CONN_HEALTH_CHECKS", "TIME_ZONE", "TEST"]
KEPT += ["DISABLE_SERVER_SIDE_CURSORS"]


def rule(name: str, given: Given, env: Env, module: str) -> Value:
    """The rule of DATABASES: where DATABASE_URL is set, it says where the default one is."""
    theirs = {alias: dict(database) for alias, database in (given.get(name) or {}).items()}
    default = theirs.get("default") or {}
    url, password = get("DATABASE_URL", env), get("DATABASE_PASSWORD", env)
    value = Value(theirs, ENVIRONMENT, module)
    if url:
        ours = {key: default[key] for key in KEPT if key in default} | url
        if _vendor(default) == _vendor(url):
            # Its own flavour of the same database, as PostGIS.
            ours["ENGINE"] = default["ENGINE"]
            ours["OPTIONS"] = default.get("OPTIONS", {}) | url.get("OPTIONS", {})
        value = Value(theirs, ENVIRONMENT, origin("DATABASE_URL", env))
        places = [(each.get("ENGINE"), str(each.get("NAME")), each.get("HOST") or "") for each in (default, ours)]
        if default and places[0] != places[1]:
            advice = (
                f"{name}['default'] of {module} is not used, {value.source} decides: take DATABASE_URL out to use it."
            )
            value = value._replace(lost={"default": default}, advice=advice)
        theirs["default"] = ours
    elif not default:
        # No URL, in which the spaces and backslashes of a path would have to be escaped.
        theirs["default"] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(get("RUN_DIR", env), "db.sqlite3"),
        }
        value = value._replace(source=DEFAULT)
    if password and (url or (_vendor(default) == "postgresql" and not default.get("PASSWORD"))):
        theirs["default"]["PASSWORD"] = password
    for database in theirs.values():
        if patience := PATIENCE.get(_vendor(database)):
            database["OPTIONS"] = patience | database.get("OPTIONS", {})
    return value


PATIENCE: dict[str, dict[str, Any]] = {
    # A server that hangs must not hold a request longer than one that is down. Only the web waits for so short a time
    # (stack/http/database.py); elsewhere psycopg makes two seconds of it.
    "postgresql": {"connect_timeout": 1},
    # Writers of several processes wait for each other instead of failing with "database is locked".
    "sqlite": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
}


def _vendor(database: dict[str, Any]) -> str:
    """What speaks to a database, whichever flavour of Django's backend its ENGINE is."""
    engine = str(database.get("ENGINE", "")).rpartition(".")[2]
    return VENDORS.get(engine, engine)


VENDORS = {"postgis": "postgresql", "postgresql_backend": "postgresql", "sqlite3": "sqlite", "spatialite": "sqlite"}
