"""How a task ended that could not say so itself, where the project keeps no result: its record says it then.

Its process was lost or killed at its time limit, or it was revoked by Celery's own remote control, or too late to be
of use (`expires`), or it rejected its message. Celery would store that as its result.
"""

import logging
from typing import Any

import redis
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery import signals, states
from celery.exceptions import Reject, TaskRevokedError
from celery.worker.request import Request

from stack.state import records, starting

logger = logging.getLogger(__name__)
AGAIN = 5  # seconds until a task whose process died is tried again


def failed(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """A receiver of `task_failure`, which the worker's main process sends for these alone."""
    if isinstance(exception, WorkerLostError | TimeLimitExceeded | Terminated | Reject):
        _note(sender, sender.request, task_id, states.FAILURE, exception)


def revoked(sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
    """A receiver of `task_revoked`."""
    why = TaskRevokedError("expired" if expired else "terminated" if terminated else "revoked")
    _note(sender, request, request.id, states.REVOKED, why)


def _note(task: Any, request: Any, task_id: str, state: str, error: BaseException | None) -> None:
    if starting.keeps_result(task, request):
        return
    try:
        records.finish(task_id, state, error, patient=False)
    except redis.RedisError as problem:  # the worker's loop must not wait for it, and goes on
        logger.error("the record of %s[%s] does not say that it is %s: %s", task.name, task_id, state, problem)


def pause(own: Any) -> float:
    """Seconds until a task whose process died is tried again; `own` is the pause of its own retries, if it has one."""
    return min(own, AGAIN) if isinstance(own, int | float) else AGAIN


def _soon(retry: Any) -> Any:
    """A task whose process died is tried again in seconds, whatever pause its own retries have: Celery's is 180 s.

    One that is acknowledged before it starts asks for one start at most, and is not tried again.
    """

    def retry_soon(request: Any, *args: Any) -> Any:
        task, own = request.task, request.task.default_retry_delay
        if not task.acks_late:
            return False
        task.default_retry_delay = pause(own)
        try:
            return retry(request, *args)
        finally:
            task.default_retry_delay = own

    return retry_soon


_retry_worker_lost = Request._retry_worker_lost


def install() -> None:
    """Note them from here on, in this worker."""
    Request._retry_worker_lost = _soon(_retry_worker_lost)
    signals.task_failure.connect(failed, weak=False, dispatch_uid="stack.worker.outcomes.failed")
    signals.task_revoked.connect(revoked, weak=False, dispatch_uid="stack.worker.outcomes.revoked")
