"""Django's `migrate`, safe to run in several places at once, and before the database has come up."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from stack.ops import static

logger = logging.getLogger(__name__)
LOCK = 0x6D696772  # "migr": any number that nobody else takes in this database


class Command(migrate.Command):
    def add_arguments(self, parser: Any) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--within", type=float, default=60, help="seconds until a database that does not answer is an error"
        )
        parser.add_argument(
            "--static", action="store_true", help="collect static files as well, where the storage needs it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with alone(options["database"], options["within"]):
            super().handle(*args, **options)
            # Under the lock, too: of several that start at once, one writes at a time.
            if options["static"] and static.needed(settings.STACK_ENV):
                static.collect()


@contextmanager
def alone(alias: str, within: float) -> Iterator[None]:
    """Hold PostgreSQL's advisory lock for migrations, over a connection of its own; other databases have none.

    Args:
        alias: a key of DATABASES.
        within: seconds to wait for a database that does not answer yet. The lock is waited for without end: who
            holds it applies migrations, and loses it when its connection ends.

    Raises:
        OperationalError: the database does not answer.
    """
    if connections[alias].vendor != "postgresql":
        yield
        return
    lock = connections[alias].copy()
    end, said = time.monotonic() + within, False
    while True:
        try:
            lock.ensure_connection()
            break
        except OperationalError as error:
            if time.monotonic() > end:
                raise
            if not said:
                logger.warning("waiting for the database: %s", str(error).strip().splitlines()[0])
            said = True
            time.sleep(0.5)
    try:
        with lock.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                logger.warning("somebody else applies the migrations: waiting")
                cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        yield
    finally:
        lock.close()
