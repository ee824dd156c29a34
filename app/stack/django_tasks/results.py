"""What is kept of a Django task beside its message, and how a result is read from it.

The record of the task (stack/state/records.py) has two kinds of fields more: `call`, which is what the message says,
and for each start of the task `attempt:<Unix seconds>`, the worker's name. State, value and error are Celery's result.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

from celery import current_app, states
from django.conf import settings
from django.utils import timezone

from stack.broker.connections import client
from stack.broker.routing import runs_in_a_worker
from stack.django_tasks.api import InvalidTask, Status, TaskError, TaskResult
from stack.state import records

ATTEMPT = "attempt:"
STATUS = {
    states.PENDING: Status.READY,
    states.RECEIVED: Status.READY,
    states.RETRY: Status.READY,
    states.SUCCESS: Status.SUCCESSFUL,
    states.FAILURE: Status.FAILED,
    states.REVOKED: Status.FAILED,
}


def path_of(task: Any) -> str:
    """Where a worker finds the task; logs, records and the API show it as the task's name."""
    return f"{task.func.__module__}.{task.func.__qualname__}"


def call(result: Any) -> dict[str, Any]:
    """What the message says of a task, in JSON's types."""
    task = result.task
    return {
        "path": path_of(task),
        "args": result.args,
        "kwargs": result.kwargs,
        "backend": task.backend,
        "queue": task.queue_name,
        "priority": task.priority,
        "run_after": task.run_after and task.run_after.isoformat(),
        "enqueued_at": time.time(),
    }


def with_options(task: Any, call: dict[str, Any]) -> Any:
    """The task with the options of the call."""
    after = call["run_after"] and datetime.fromisoformat(call["run_after"])
    return task.using(
        priority=call["priority"], queue_name=call["queue"], run_after=after or None, backend=call["backend"]
    )


def blank(task_id: str, task: Any, call: dict[str, Any]) -> Any:
    """A result of which nothing is known but that it was enqueued."""
    return TaskResult(
        task=task,
        id=task_id,
        status=Status.READY,
        enqueued_at=moment(call["enqueued_at"]) if call["enqueued_at"] else None,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=call["args"],
        kwargs=call["kwargs"],
        backend=task.backend,
        errors=[],
        worker_ids=[],
    )


def change(result: Any, **fields: Any) -> None:
    """Set fields of a result, which nobody else can."""
    for name, value in fields.items():
        object.__setattr__(result, name, value)


# ---- the record -------------------------------------------------------------------------------


def enqueued(task_id: str, name: str, call: dict[str, Any], delay: float) -> None:
    """Keep what is about to be sent, for `delay` seconds more than a record is kept.

    Raises:
        redis.exceptions.RedisError: Redis does not take it; then it must not be sent either.
    """
    pipe = client(patient=runs_in_a_worker()).pipeline(transaction=True)
    pipe.hset(records.key(task_id), mapping={"name": name, "call": json.dumps(call)})
    pipe.expire(records.key(task_id), records.lasts() + max(0, int(delay)))
    pipe.execute()


def attempt(task_id: str, worker: str) -> list[tuple[datetime, str]]:
    """Note that `worker` starts the task; returns every start, this one last, and who it was."""
    pipe = client(patient=True).pipeline(transaction=True)
    pipe.hset(records.key(task_id), f"{ATTEMPT}{time.time()}", worker)
    pipe.expire(records.key(task_id), records.lasts())
    pipe.hgetall(records.key(task_id))
    return _attempts(pipe.execute()[-1])


def _attempts(record: dict[str, str]) -> list[tuple[datetime, str]]:
    starts = {float(name[len(ATTEMPT) :]): worker for name, worker in record.items() if name.startswith(ATTEMPT)}
    return [(moment(at), starts[at]) for at in sorted(starts)]


# ---- the result -------------------------------------------------------------------------------


def read(task_id: str) -> Any:
    """The result of a task, or None where there is no Django task with this id, or none any more."""
    # First how it ended, then how it began: a task that ends between the two looks has both.
    meta = current_app.backend.get_task_meta(task_id)
    record = client(patient=runs_in_a_worker()).hgetall(records.key(task_id))
    if "call" not in record:
        return None
    from stack.django_tasks.running import find

    kept = json.loads(record["call"])
    try:
        task = with_options(find(kept["path"]), kept)
    except InvalidTask:  # an older version of the project had it
        return None
    result = blank(task_id, task, kept)
    if attempts := _attempts(record):
        change(result, started_at=attempts[0][0], last_attempted_at=attempts[-1][0])
        result.worker_ids.extend(worker for _, worker in attempts)
    if record.get("claim") == records.REVOKED:
        meta = {"status": states.REVOKED, "result": None, "traceback": None, "date_done": None} | (
            meta if meta["status"] == states.REVOKED else {}
        )
    settle(result, meta)
    return result


def settle(result: Any, meta: dict[str, Any]) -> None:
    """Put in what Celery knows: `meta` has status, result, traceback and date_done."""
    status = STATUS.get(meta["status"], Status.RUNNING)  # STARTED, and what a task itself calls its state
    if meta["status"] == states.PENDING and result.worker_ids:
        status = Status.RUNNING  # a project may have switched STARTED off
    change(result, status=status)
    if status in (Status.SUCCESSFUL, Status.FAILED):
        change(result, finished_at=_done(meta.get("date_done")))
    if status == Status.SUCCESSFUL:
        change(result, _return_value=meta["result"])
    elif status == Status.FAILED:
        result.errors.append(_error(meta))


def _error(meta: dict[str, Any]) -> Any:
    problem = meta["result"]
    if meta["status"] == states.REVOKED or not isinstance(problem, BaseException):
        text = meta.get("traceback") or records.WAS_REVOKED
        return TaskError(exception_class_path="celery.exceptions.TaskRevokedError", traceback=text)
    kind = type(problem)
    path = f"{kind.__module__}.{kind.__qualname__}"
    return TaskError(exception_class_path=path, traceback=meta.get("traceback") or f"{path}: {problem}")


def _done(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return None
    return in_zone(value if timezone.is_aware(value) else value.replace(tzinfo=UTC))


def moment(seconds: float) -> datetime:
    """A time as this project has them: with a zone, or by USE_TZ = False without."""
    return in_zone(datetime.fromtimestamp(seconds, UTC))


def in_zone(value: datetime) -> datetime:
    """The same moment with a zone or without, as USE_TZ has it."""
    return value if settings.USE_TZ else timezone.make_naive(value)
