"""The calls of /api/tasks: list, submit, watch and revoke."""

import datetime
import hashlib
import json
import time
from collections.abc import Iterable
from typing import Annotated, Any

import redis
from celery import current_app
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from kombu.utils.uuid import uuid
from ninja import Field, Header, Path, Query, Schema
from ninja.errors import HttpError

from stack.broker.connections import client
from stack.http.api import Body, Problem
from stack.http.guarded import Router
from stack.http.places import address_of
from stack.http.room import room_for
from stack.http.waiting import until_ready
from stack.runtime.env import get
from stack.runtime.roles import max_delay
from stack.state import counters, queues, records
from stack.state.schemas import FROM_API, api_task, api_tasks, arguments_model, bind

QUEUE_LIMIT = get("QUEUE_LIMIT", settings.ENV)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MAX_DELAY = max_delay(settings.ENV)

router = Router(tags=["tasks"])


class TaskInfo(Schema):
    name: str
    doc: str
    schema_: dict[str, Any] = Field(alias="schema", serialization_alias="schema")
    counters: dict[str, int]


class TaskCall(Body):
    args: list[Any] = Field(default=[], max_length=100)
    kwargs: dict[str, Any] = Field(default={})
    countdown: Annotated[float, Field(strict=True, ge=0, le=MAX_DELAY)] | None = None
    eta: datetime.datetime | None = None
    expires: Annotated[float, Field(strict=True, gt=0, le=31536000)] | None = None
    priority: int = Field(default=0, strict=True, ge=0, le=9)


class TaskRef(Schema):
    id: str
    name: str
    state: str
    url: str


class Failure(Schema):
    type: str
    message: str


class TaskState(Schema):
    id: str
    name: str
    state: str
    ready: bool
    successful: bool
    result: Any = None
    error: Failure | None = None
    progress: Any = None
    retries: int
    queued_at: str | None
    started_at: str | None
    done_at: str | None


@router.get("", response={200: list[TaskInfo], 503: Problem}, by_alias=True)
def list_tasks(request: HttpRequest) -> list[dict[str, Any]]:
    """The tasks that may be run: name, doc, JSON schema of the arguments, and what their hooks counted."""
    tasks = api_tasks()
    counted = counters.read(list(tasks))
    return [
        {
            "name": name,
            "doc": (task.run.__doc__ or "").strip(),
            "schema": arguments_model(task).model_json_schema(),
            "counters": counted[name],
        }
        for name, task in tasks.items()
    ]


@router.post("/{task}", response={202: TaskRef, 404: Problem, 409: Problem, 422: Problem, 429: Problem, 503: Problem})
def submit(
    request: HttpRequest,
    response: HttpResponse,
    task: Path[str],
    call: TaskCall,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Any:
    """Enqueue the task of this name. The same Idempotency-Key gives the same id again."""
    name = task
    job = api_task(name)
    if job is None:
        raise HttpError(404, f"There is no task {name[:200]!r}; GET /api/tasks lists those that may be run.")
    try:
        kwargs = bind(job, call.args, call.kwargs)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    eta = _eta(call)
    task_id, seen = _id_for(idempotency_key, name, call) if idempotency_key else (uuid(), False)
    if not seen:
        try:
            refuse_when_full([job])
            with room_for(len(request.body)):
                job.apply_async(
                    kwargs=kwargs,
                    task_id=task_id,
                    countdown=call.countdown,
                    eta=eta,
                    expires=call.expires,
                    priority=call.priority,
                    headers=FROM_API,
                )
            if idempotency_key:
                records.note_sent(task_id)
        except Exception:
            if idempotency_key:
                _let_go(task_id)
            raise
    url = address_of(request, "api:task", task=task_id)
    response["Location"] = url
    state = (records.read(task_id) or {}).get("state", "PENDING") if seen else "PENDING"
    return 202, {"id": task_id, "name": name, "state": state, "url": url}


def _eta(call: TaskCall) -> datetime.datetime | None:
    if call.eta is None:
        return None
    if call.countdown is not None:
        raise HttpError(422, "eta: give either eta or countdown, not both.")
    try:
        eta = (call.eta if call.eta.tzinfo else call.eta.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except OverflowError:  # the years 1 and 9999 end hours earlier or later elsewhere
        raise HttpError(422, "eta: in UTC it is outside the years 1 to 9999.") from None
    if eta < EPOCH:
        raise HttpError(422, "eta: not before 1970; a time that has passed means at once.")
    if (eta - datetime.datetime.now(datetime.UTC)).total_seconds() > MAX_DELAY:
        raise HttpError(422, f"eta: at most {MAX_DELAY} s from now; make a later run a schedule.")
    return eta


def _id_for(key: str, name: str, call: TaskCall) -> tuple[str, bool]:
    """The task id that belongs to an idempotency key, and whether that task was accepted before."""
    body = json.dumps([name, call.model_dump(mode="json")], sort_keys=True)
    wanted = f"{uuid()} {hashlib.sha256(body.encode('utf-8', 'backslashreplace')).hexdigest()}"
    place = f"stack:idempotency:{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"
    client().set(place, wanted, nx=True, ex=current_app.conf.result_expires)
    stored = client().get(place) or wanted
    task_id, digest = stored.split()
    if digest != wanted.split()[1]:
        raise HttpError(422, "Idempotency-Key: it was used before for another call; take a new one.")
    # One of several calls publishes: the one that takes the lock, which lasts longer than a call. After a call
    # that ended without having noted its message as sent, the next one publishes, under the same id: in doubt
    # a task runs twice rather than never.
    if not records.is_sent(task_id) and client().set(_lock(task_id), 1, nx=True, ex=10):
        return task_id, False
    for _ in range(10):
        if records.is_sent(task_id):
            return task_id, True
        time.sleep(0.1)
    raise HttpError(409, "Idempotency-Key: the first call with it is still under way. Try again in 10 s.")


def _lock(task_id: str) -> str:
    return f"stack:idempotency:lock:{task_id}"


def _let_go(task_id: str) -> None:
    """The call failed: let the next one with the same key publish at once."""
    try:
        client().delete(_lock(task_id))
    except redis.RedisError:  # then the lock ends by itself
        return


def refuse_when_full(jobs: Iterable[Any]) -> None:
    """Raise a 429 while QUEUE_LIMIT tasks or more wait in the queue of one of `jobs`."""
    for queue, waiting in queues.waiting(sorted({queues.of(job) for job in jobs})).items():
        if waiting >= QUEUE_LIMIT:
            raise HttpError(
                429, f"{waiting} tasks wait in queue {queue!r} (QUEUE_LIMIT is {QUEUE_LIMIT}). Try again in 5 s."
            )


@router.get("/{task}", url_name="task", response={200: TaskState, 404: Problem, 422: Problem, 503: Problem})
def status(request: HttpRequest, task: Path[str], wait: Annotated[float, Query(ge=0, le=30)] = 0) -> Any:
    """State, progress, result or error of a task; `wait` holds the answer until it is ready or the time is up."""
    return until_ready(lambda: _known(task), wait)


@router.delete("/{task}", response={202: TaskRef, 404: Problem, 409: Problem, 503: Problem})
def revoke(request: HttpRequest, task: Path[str]) -> Any:
    """Revoke a task: one that has not started never starts, whichever workers are up."""
    state = _known(task)
    if state["ready"] and state["state"] != "REVOKED":
        raise HttpError(409, f"The task is done ({state['state']}); there is nothing to revoke.")
    if records.claim(task, state["name"], records.REVOKED) != records.REVOKED:
        raise HttpError(409, "The task runs already; it cannot be revoked any more.")
    current_app.backend.mark_as_revoked(task, records.WAS_REVOKED)
    return 202, {
        "id": task,
        "name": state["name"],
        "state": "REVOKED",
        "url": address_of(request, "api:task", task=task),
    }


def _known(task_id: str) -> dict[str, Any]:
    state = records.read(task_id)
    if state is None:
        raise HttpError(404, f"No task has the id {task_id[:200]!r}, or its result has expired.")
    return state
