"""A task that met an outage of the database is requeued with its retries unspent, whatever its base class does.

In the process that runs it. The worker's main process takes no tasks meanwhile: see stack/worker/paused.py.
"""

import logging
import sys
from functools import wraps
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import states
from celery.app import trace
from celery.app.task import Task
from celery.exceptions import Reject
from django.db import connections

from stack.state import answering, outages, records
from stack.state.outages import Outage

logger = logging.getLogger(__name__)
# Times that a task is requeued although the database answers right after its error; then the error is the task's own.
MOST = 10


class Requeued(Reject):
    """What a task ends with that met an outage. Celery puts its message back, and calls that no failure.

    Attributes:
        outage: which one, for the worker's main process.
    """

    def __init__(self, reason: Any = None, requeue: bool = True, outage: Outage | None = None):
        super().__init__(reason, requeue)
        self.outage = outage  # pickled beside the arguments


class Info(trace.TraceInfo):
    """How Celery's tracer handles the end of a task that raised."""

    state: str
    retval: Any

    def handle_error_state(self, task: Any, req: Any, eager: bool = False, call_errbacks: bool = True) -> Any:
        """As Celery's; an outage is no error of the task: no hook, no signal, no result."""
        if self.state != states.FAILURE or (ended := instead_of(task, req, self.retval)) is None:
            return super().handle_error_state(task, req, eager, call_errbacks)
        self.state, self.retval = states.REJECTED, ended
        return as_info(ended)

    def handle_reject(self, task: Any, req: Any, **kwargs: Any) -> None:
        """As Celery's, which would log a traceback; the worker's main process logs an outage in one line."""
        if not isinstance(self.retval, Requeued):
            super().handle_reject(task, req, **kwargs)


def as_info(error: Exception) -> ExceptionInfo:
    """What the pool hands to the main process."""
    try:
        raise error
    except Exception:
        return ExceptionInfo(internal=True)


def instead_of(task: Any, request: Any, error: BaseException | None) -> Requeued | None:
    """What a task ends with in place of `error`, where that is an outage; None where it stands.

    Args:
        request: the task's context; one that is run by a test of the project's, or that was acknowledged before its
            start, fails as ever.
    """
    if isinstance(error, Requeued):
        return error
    if request.is_eager or request.called_directly or not task.acks_late:
        return None
    if (outage := outages.of(error)) is None or _is_at_fault(task, request.id, outage):
        return None
    return Requeued(str(outage), outage=outage)


def _is_at_fault(task: Any, task_id: str, outage: Outage) -> bool:
    """Whether a task meets outages that nobody else sees, as one whose own query ends the server's process.

    This is the one place that counts, and only while the database is up. What is over the limit fails.
    """
    if answering.why_not(outage.alias, outage.kind):
        return False
    met = records.met_outage(task_id)
    if met > MOST:
        logger.error(
            "%s[%s] met an outage %d times while the database answers, so it is the task's: %s",
            *(task.name, task_id, met, outage.said),
        )
    return met > MOST


def release(task: Any, task_id: str, context: Any) -> None:
    """Have the record and the result say that the task waits again; it may be revoked again before it starts."""
    records.unclaim(task_id)
    forget_connections()
    try:
        if not trace.get_actual_ignore_result(task, context) and task.track_started:
            task.backend.store_result(task_id, None, states.PENDING, request=context)
    except Exception as error:  # a result backend that is in that very database
        logger.debug("the result of %s[%s] does not say that it waits: %s", task.name, task_id, error)


def forget_connections() -> None:
    """Close those of this thread: with CELERY_DB_REUSE_MAX the next task would have the one that the outage broke."""
    for connection in connections.all(initialized_only=True):
        try:
            connection.close()
        except Exception:  # it was broken
            connection.connection = None


_retry = Task.retry


@wraps(_retry)
def retry(self: Any, args: Any = None, kwargs: Any = None, exc: Any = None, throw: bool = True, **options: Any) -> Any:
    """As Celery's; in an outage nothing is sent and no retry is spent: the message itself is requeued.

    `autoretry_for` comes here too. With `throw=False` the task wants to go on, and does.
    """
    if throw and not self.request.called_directly:
        for error in (exc, sys.exc_info()[1]):
            if error is not None and (ended := instead_of(self, self.request, error)):
                raise ended
    return _retry(self, args, kwargs, exc, throw, **options)


def install() -> None:
    """Have every task of this process retry so."""
    Task.retry = retry
