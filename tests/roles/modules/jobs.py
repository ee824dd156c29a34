"""A project's functions that are Django tasks, as Django's documentation writes them."""

import os
import signal
import time
from typing import Any

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task


@task
def add(a: int, b: int) -> int:
    return a + b


@task(queue_name="mail", priority=10)
async def greet(name: str) -> dict[str, str]:
    return {"hello": name}


@task(takes_context=True)
def attempt(context: Any) -> list[Any]:
    return [context.attempt, str(context.task_result.id), context.task_result.status]


@task
def fail(word: str) -> None:
    raise LookupError(f"no {word}")


@task(takes_context=True)
def die_once(context: Any) -> int:
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return int(context.attempt)


@task
def hold(until: str) -> None:
    """Keep the one place of the worker until there is a file."""
    while not os.path.exists(until):
        time.sleep(0.02)


@task(backend="committed")
def after_commit() -> str:
    return "done"


@task(backend="any")
def anywhere() -> None:
    """May name any queue."""


def plain(command: str = "") -> str:
    """No task."""
    return "ran"
