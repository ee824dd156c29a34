"""Its tasks."""

import logging
import time
from pathlib import Path
from typing import Any

import psycopg
from celery import Task, shared_task
from celery.signals import task_failure, task_retry
from django.db import OperationalError, connection, transaction

logger = logging.getLogger(__name__)


class Hooked(Task):
    """Says in the log what became of it."""

    abstract = True

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        logger.error("on_failure of %s: %r", self.name, exc)

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        logger.error("on_retry of %s: %r", self.name, exc)


@task_failure.connect
def failed(sender: Any, **_: Any) -> None:
    logger.error("task_failure of %s", sender.name)


@task_retry.connect
def retried(sender: Any, **_: Any) -> None:
    logger.error("task_retry of %s", sender.name)


def ask(sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


@shared_task(base=Hooked)
def read(number: int, seconds: float = 0) -> int:
    time.sleep(seconds)
    return int(ask(f"SELECT {number}"))


@shared_task(base=Hooked, autoretry_for=(OperationalError,), retry_kwargs={"max_retries": 2, "countdown": 0})
def autoretry(number: int) -> int:
    time.sleep(0.5)
    return int(ask(f"SELECT {number}"))


@shared_task(base=Hooked, bind=True, max_retries=2, default_retry_delay=0)
def retry_itself(self: Any, number: int) -> int:
    time.sleep(0.5)
    try:
        with transaction.atomic():
            return int(ask(f"SELECT {number}"))
    except Exception as error:
        raise self.retry(exc=error) from error


@shared_task(base=Hooked)
def wraps_it(number: int) -> int:
    time.sleep(0.5)
    try:
        return int(ask(f"SELECT {number}"))
    except OperationalError as error:
        raise ValueError("no number today") from error


@shared_task(base=Hooked)
def is_not_because_of_it(number: int = 1) -> int:
    try:
        return int(ask(f"SELECT {number}"))
    except OperationalError:
        raise ValueError("I say so") from None


@shared_task(base=Hooked, acks_late=False)
def at_most_once(number: int = 1) -> int:
    return int(ask(f"SELECT {number}"))


@shared_task(base=Hooked)
def elsewhere() -> None:
    psycopg.connect("host=127.0.0.1 port=1 user=nobody dbname=none")


@shared_task(base=Hooked)
def breaks_a_constraint() -> None:
    ask("CREATE TABLE IF NOT EXISTS numbers (number int PRIMARY KEY)")
    ask("INSERT INTO numbers VALUES (1)")
    ask("INSERT INTO numbers VALUES (1)")


@shared_task(base=Hooked)
def has_no_table() -> None:
    ask("SELECT * FROM nothing")


@shared_task(base=Hooked)
def write(number: int) -> int:
    ask("CREATE TABLE IF NOT EXISTS written (number int)")
    ask("INSERT INTO written VALUES (1)")
    return number


@shared_task(base=Hooked)
def ends_its_own_connection() -> None:
    ask("SELECT pg_terminate_backend(pg_backend_pid())")


@shared_task(base=Hooked)
def needs_none(seconds: float = 0) -> float:
    logger.error("needs_none runs")
    time.sleep(seconds)
    return seconds


@shared_task(base=Hooked, acks_late=True)
def locks(path: str, first: int, second: int) -> int:
    """Two of these with their locks in another order meet a deadlock."""
    with transaction.atomic():
        ask(f"SELECT pg_advisory_xact_lock({first})")
        Path(f"{path}-{first}").touch()
        while not Path(f"{path}-{second}").exists():
            time.sleep(0.05)
        ask(f"SELECT pg_advisory_xact_lock({second})")
    return first


@shared_task(base=Hooked)
def total(numbers: list[int]) -> int:
    return sum(numbers)
