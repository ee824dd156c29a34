"""Its tasks: of functions and of classes, with base classes that call no super."""

import logging
import os
import signal
import time
from typing import Any

from celery import Task, group, shared_task
from celery.exceptions import Reject

from stranger.celery import app

logger = logging.getLogger(__name__)


class Silent(Task):
    """Its hooks and its call go their own way."""

    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Nothing of Celery's is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """As above."""


class Report(Task):
    """A task that is a class."""

    name = "stranger.report"

    def run(self, number: int) -> int:
        return number + 1


report = app.register_task(Report())


@app.task(base=Silent, bind=True)
def silent(self: Any, number: int) -> int:
    logger.error("silent ran %s", self.request.id)
    return number


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task
def nothing(*_: Any) -> None:
    """Its result is None."""


@app.task(bind=True, base=Silent, autoretry_for=(ValueError,), retry_kwargs={"max_retries": 2, "countdown": 0})
def stubborn(self: Any, failures: int) -> int:
    if self.request.retries < failures:
        raise ValueError("not yet")
    return int(self.request.retries)


@shared_task
def broken() -> None:
    raise KeyError("of the stranger")


@app.task(bind=True)
def becomes(self: Any, size: int) -> Any:
    return self.replace(group(add.s(number, number) for number in range(size)) | total.s())


@app.task(name="mail.send", ignore_result=True)
def mail(seconds: float) -> None:
    time.sleep(seconds)


@app.task(time_limit=1)
def endless() -> None:
    time.sleep(60)


@app.task
def rejects() -> None:
    raise Reject("not for me", requeue=False)


@app.task(acks_late=False)
def early(seconds: float) -> None:
    time.sleep(seconds)


@app.task(bind=True)
def sends(self: Any, seconds: float = 0) -> str:
    time.sleep(seconds)
    return str(add.delay(1, 1).id)


def _die(path: str) -> None:
    with open(path, "a") as runs:
        runs.write(".")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(acks_late=False)
def dies_early(path: str) -> None:
    _die(path)


@app.task(default_retry_delay=None, max_retries=1)
def dies_without_a_pause(path: str) -> None:
    _die(path)
