"""The calls of /api/tasks: list, submit, watch and revoke."""

import datetime
from functools import cache
from typing import Annotated, Any

from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from kombu.utils.uuid import uuid
from ninja import Field, Header, Path, Query, Schema
from ninja.errors import HttpError

from stack.broker.comeback import sending
from stack.http import idempotency
from stack.http.guarded import Router
from stack.http.offered import offered_task
from stack.http.places import address_of
from stack.http.room import refuse_when_full, room_for
from stack.http.shapes import Body, Problem
from stack.http.waiting import until_ready
from stack.runtime.fitting import max_delay
from stack.state import records
from stack.state.schemas import FROM_API, api_tasks, arguments_model, bind

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MAX_DELAY = max_delay(
    settings.STACK_ENV, current_app.conf.get("visibility_timeout"), current_app.conf.get("task_time_limit")
)

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
    """The tasks that may be run: name, doc, JSON schema of the arguments, and what the project counts of them."""
    tasks = api_tasks()
    counted = _counters()(list(tasks))
    return [
        {
            "name": name,
            "doc": (task.run.__doc__ or "").strip(),
            "schema": arguments_model(task).model_json_schema(),
            "counters": counted.get(name, {}),
        }
        for name, task in tasks.items()
    ]


@cache
def _counters() -> Any:
    """What gives the counters of a list of task names, by name: the function that STACK_TASK_COUNTERS names."""
    name = getattr(settings, "STACK_TASK_COUNTERS", None)
    if not name:
        return lambda _: {}
    try:
        return import_string(name)
    except ImportError as problem:
        raise ImproperlyConfigured(f"STACK_TASK_COUNTERS: {name!r} cannot be imported: {problem}") from problem


@router.post("/{task}", response={202: TaskRef, 404: Problem, 409: Problem, 422: Problem, 429: Problem, 503: Problem})
@sending()
def submit(
    request: HttpRequest,
    response: HttpResponse,
    task: Path[str],
    call: TaskCall,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Any:
    """Enqueue the task of this name. The same Idempotency-Key gives the same id again."""
    name = task
    try:
        job = offered_task(name)
    except LookupError as problem:
        raise HttpError(404, f"task: {problem}") from None
    try:
        kwargs = bind(job, call.args, call.kwargs)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    eta = _eta(call)
    task_id, seen = uuid(), False
    if idempotency_key:
        task_id, seen = idempotency.id_for(idempotency_key, [name, call.model_dump(mode="json")])
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
        except Exception:
            if idempotency_key:
                idempotency.let_go(task_id)
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
