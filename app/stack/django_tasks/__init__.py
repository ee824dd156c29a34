"""Django's own tasks on this stack, for Django 6 and for the package `django-tasks` on Django 5.2:

    TASKS = {"default": {"BACKEND": "stack.django_tasks.CeleryBackend", "QUEUES": ["default", "mail"]}}

`QUEUES` are the queues that a task may name (none listed: any); "default" is Celery's default queue. With
`"OPTIONS": {"ENQUEUE_ON_COMMIT": True}` a task that is enqueued in a transaction is sent when that is committed.
Each becomes a task of the project's Celery app, so it is recorded, revoked, requeued and seen as any other.
"""

import sys
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from celery import current_app
from celery.backends.base import DisabledBackend
from django.conf import settings
from django.core import checks
from django.db import transaction
from django.utils import timezone
from kombu.utils.uuid import uuid

from stack.django_tasks import results
from stack.django_tasks.api import (
    DEFAULT_QUEUE,
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResultDoesNotExist,
    task_enqueued,
)
from stack.runtime.env import get
from stack.runtime.fitting import max_delay
from stack.runtime.names import problem
from stack.tasks import run_django_task


def celery_priority(priority: int) -> int:
    """Celery's priority on Redis, where 0 comes first and there are four steps, of Django's, where 100 comes first."""
    if priority > 0:
        return 0
    if priority == 0:
        return 3
    return 6 if priority >= -50 else 9


class CeleryBackend(BaseTaskBackend):
    """Sends the functions of a project that are Django tasks to its Celery workers."""

    supports_defer = True
    supports_async_task = True
    supports_priority = True

    @property
    def supports_get_result(self) -> bool:
        """Not where the project has switched results off."""
        return not isinstance(current_app.backend, DisabledBackend)

    def __init__(self, alias: str, params: dict[str, Any]):
        super().__init__(alias, params)
        on_commit = params.get("ENQUEUE_ON_COMMIT", False)  # where older versions of Django's own backends had it
        self.on_commit = bool(self.options.get("ENQUEUE_ON_COMMIT", on_commit))

    def validate_task(self, task: Any) -> None:
        """As Django's.

        Raises:
            InvalidTask: the task cannot run here; for a queue, with the reason why no queue may be called so.
        """
        super().validate_task(task)
        if task.queue_name != DEFAULT_QUEUE and (why := problem(task.queue_name)):
            raise InvalidTask(f"Queue {task.queue_name!r} {why}.")

    def queue(self, name: str) -> str:
        """Celery's queue for one of Django's."""
        return str(current_app.conf.task_default_queue) if name == DEFAULT_QUEUE else name

    # ---- to the workers -------------------------------------------------------------------------

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Send a task; where the option says so and there is a transaction, when that is committed.

        Raises:
            InvalidTask: a worker could not find it, or would get it too early.
            TypeError, ValueError: an argument is no JSON.
            kombu.exceptions.OperationalError, redis.exceptions.RedisError: Redis does not take it.
        """
        self.validate_task(task)
        self._validate_place(task)
        eta = self._eta(task)
        call = {"args": args, "kwargs": kwargs, "enqueued_at": None}
        result = results.blank(uuid(), task, call)
        if self.on_commit and transaction.get_connection().in_atomic_block:
            transaction.on_commit(partial(self._send, result, eta))
        else:
            self._send(result, eta)
        return result

    def _send(self, result: Any, eta: datetime | None) -> None:
        task, eager = result.task, current_app.conf.task_always_eager
        call, path = results.call(result), results.path_of(task)
        if not eager:
            delay = (eta - timezone.now()).total_seconds() if eta else 0.0
            results.enqueued(result.id, path, call, delay)
        sent = run_django_task.apply_async(
            (call,),
            task_id=result.id,
            queue=self.queue(task.queue_name),
            priority=celery_priority(task.priority),
            eta=eta,
            shadow=path,
        )
        results.change(result, enqueued_at=results.moment(call["enqueued_at"]))
        task_enqueued.send(type(self), task_result=result)
        if eager:  # as in a project's own tests
            ended = {"status": sent.state, "result": sent.result, "traceback": sent.traceback}
            results.settle(result, ended | {"date_done": timezone.now()})

    def _eta(self, task: Any) -> datetime | None:
        if task.run_after is None:
            return None
        eta: datetime = task.run_after if timezone.is_aware(task.run_after) else timezone.make_aware(task.run_after)
        env = settings.STACK_ENV
        conf = current_app.conf
        longest = max_delay(env, conf.get("visibility_timeout"), conf.get("task_time_limit"))
        seconds = (eta - timezone.now()).total_seconds()
        if get("TASK_TRANSPORT", env) == "stock" and seconds > longest:
            raise InvalidTask(
                f"run_after is {seconds:.0f} s ahead and may be {longest} s: later, two workers would run the task. "
                "Raise VISIBILITY_TIMEOUT, or let a periodic task enqueue it when its time comes."
            )
        return eta

    def _validate_place(self, task: Any) -> None:
        """The message names the task by its function's module and name, and nothing else."""
        found: Any = sys.modules.get(task.func.__module__)
        for name in task.func.__qualname__.split("."):
            found = getattr(found, name, None)
        if not isinstance(found, Task) or found.func is not task.func or task.func.__module__ == "__main__":
            raise InvalidTask(
                f"A worker would not find a task at {results.path_of(task)}: decorate the function where it is defined."
            )

    # ---- results --------------------------------------------------------------------------------

    def get_result(self, result_id: str) -> Any:
        """What is known of a task.

        Raises:
            TaskResultDoesNotExist: there is none with this id, or none any more (RESULT_EXPIRES).
            NotImplementedError: the project keeps no results.
            redis.exceptions.RedisError: Redis does not answer.
        """
        if not self.supports_get_result:
            return super().get_result(result_id)
        if (result := results.read(str(result_id))) is None:
            raise TaskResultDoesNotExist(result_id)
        return result

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        """A queue that no queue may be called, an option that there is not."""
        for queue in sorted(self.queues):
            if queue != DEFAULT_QUEUE and (why := problem(queue)):
                yield checks.Error(f"TASKS[{self.alias!r}]['QUEUES'] names {queue!r}, which {why}.", id="stack.E003")
        for name in sorted(set(self.options) - {"ENQUEUE_ON_COMMIT"}):
            yield checks.Error(
                f"TASKS[{self.alias!r}]['OPTIONS'] has {name!r}, which nothing reads: remove it.", id="stack.E004"
            )
