"""The calls of /api/canvas: several tasks sent as one, with one progress."""

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Path, Query, Schema
from ninja.errors import HttpError
from pydantic import StrictInt

from stack.http.api import OUTAGE, Body, Problem, outage
from stack.http.guarded import Router
from stack.http.places import address_of
from stack.http.room import room_for
from stack.http.tasks_api import refuse_when_full
from stack.http.waiting import until_ready
from stack.state import canvas, canvas_state
from stack.state.canvas import Pairs
from stack.state.problems import Problems, Wrong
from stack.state.schemas import FROM_API, api_task, bind

MAX_TASKS, MAX_ITEMS, MAX_RANGE = 1_000, 100_000, 1_000_000
MAX_COPIES = 16 * 1024 * 1024
router = Router(tags=["canvas"])


class Call(Body):
    name: str
    args: list[Any] = Field(default=[], max_length=100)
    kwargs: dict[str, Any] = Field(default={})


class CanvasCall(Body):
    """Which fields a kind takes: group and chain `tasks`; chord `header` and `body`; map and starmap `name` and
    `items`; chunks `name`, `size` and `items` or `range`, which stands for the items (i, i) from a to b - 1."""

    tasks: list[Call] = Field(default=[], max_length=MAX_TASKS)
    header: list[Call] = Field(default=[], max_length=MAX_TASKS)
    body: Call | None = None
    name: str | None = None
    items: list[Any] = Field(default=[], max_length=MAX_ITEMS)
    range: tuple[StrictInt, StrictInt] | None = None
    size: int = Field(default=100, strict=True, ge=1, le=100_000)


class CanvasRef(Schema):
    id: str
    kind: str
    url: str


class CanvasState(Schema):
    id: str
    kind: str
    state: str
    ready: bool
    successful: bool
    completed: int
    total: int
    result: Any = None
    error: dict[str, str] | None = None
    members: list[str] = Field(
        description="The ids of the tasks. /api/tasks/{id} knows one from when it is sent: in a chain when the one "
        "before is done, the body of a chord when its header is."
    )


Kind = Literal["group", "chain", "chord", "map", "starmap", "chunks"]


@router.post("/{canvas}", response={202: CanvasRef, 422: Problem, 429: Problem, 503: Problem})
def send(
    request: HttpRequest, response: HttpResponse, kind: Annotated[Kind, Path(alias="canvas")], call: CanvasCall
) -> Any:
    """Send a canvas; what it takes depends on its kind."""
    try:
        plan = _plan(kind, call)
    except ValueError as problem:
        raise HttpError(422, str(problem)) from None
    names = {each.name for each in (call, call.body, *call.tasks, *call.header) if each and each.name}
    refuse_when_full(task for name in names if (task := api_task(name)))
    url = address_of(request, "api:canvas", canvas=plan.id)
    with room_for(_sent(kind, call, len(request.body)), len(plan.members)):
        canvas.record(plan)
        try:
            canvas.send(plan)
        except OUTAGE as problem:
            return outage(request, problem, f"Some of its tasks may have been sent: DELETE {url} revokes those.")
    response["Location"] = url
    return 202, {"id": plan.id, "kind": kind, "url": url}


def _plan(kind: str, call: CanvasCall) -> canvas.Plan:
    if kind == "group":
        return canvas.plan_group(_signatures("tasks", call.tasks))
    if kind == "chain":
        return canvas.plan_chain(_signatures("tasks", call.tasks, chained=True))
    if kind == "chord":
        if call.body is None:
            raise ValueError("body: a chord needs one.")
        return canvas.plan_chord(_signatures("header", call.header), _signature(call.body, "body", chained=True))
    if call.name is None:
        raise ValueError(f"name: {kind} needs the name of one task.")
    task = _task(call.name, "name")
    if inspect.ismethod(getattr(task, "_orig_run", task.run)):  # Celery wraps one with autoretry_for
        # Celery calls it inside a task of its own, without an id, a retry or a progress to be noted.
        raise ValueError(f"name: {task.name} is bound to its request, which {kind} does not give it: send a group.")
    items = _items(kind, call)
    if kind == "chunks":
        if len(items) > call.size * MAX_TASKS:
            raise ValueError(f"size: {len(items)} items make more than {MAX_TASKS} chunks of {call.size}.")
        return canvas.plan_chunks(task, items, call.size)
    return canvas.plan_map(kind, task, items)


def _sent(kind: str, call: CanvasCall, size: int) -> int:
    """Bytes of arguments that a call of `size` bytes sends.

    Raises:
        HttpError: too many, in copies of the body of a chord.
    """
    if kind == "chord" and call.body:
        copies = len(call.header) * len(json.dumps([call.body.args, call.body.kwargs]))
        if copies > MAX_COPIES:
            raise HttpError(
                422,
                f"body: its arguments go with each task of the header, {copies >> 20} MiB in all; at most "
                f"{MAX_COPIES >> 20} MiB. Give it an id by which it finds them.",
            )
        return size + copies
    if call.range:
        return (call.range[1] - call.range[0]) * 2 * (2 + max(len(str(number)) for number in call.range))
    return size


def _items(kind: str, call: CanvasCall) -> Sequence[Any]:
    if call.range is not None:
        first, end = call.range
        if kind != "chunks" or call.items or not 0 < end - first <= MAX_RANGE:
            raise ValueError(f"range: only chunks takes one, without items, over 1 to {MAX_RANGE} numbers.")
        task = _task(call.name or "", "name")
        for number in (first, end - 1):
            _bound(task, [number, number], {}, "range")
        return Pairs(range(first, end))
    if not call.items:
        raise ValueError("items: at least one.")
    task = _task(call.name or "", "name")

    def check(place: int, item: Any) -> None:
        if kind != "map" and not isinstance(item, list):
            raise ValueError(f"items.{place}: a list of arguments, as [1, 2].")
        _bound(task, [item] if kind == "map" else item, {}, f"items.{place}")

    _each(check, call.items)
    return call.items


def _signatures(where: str, calls: list[Call], chained: bool = False) -> list[Any]:
    if not calls:
        raise ValueError(f"{where}: at least one task.")
    return _each(lambda place, call: _signature(call, f"{where}.{place}", chained and place > 0), calls)


def _each(do: Callable[[int, Any], Any], items: Sequence[Any]) -> list[Any]:
    """What `do` makes of each place and item; its ValueErrors are told together."""
    problems, made = Problems(), []
    for place, item in enumerate(items):
        try:
            made.append(do(place, item))
        except ValueError as problem:
            problems.add(str(problem), getattr(problem, "count", 1))
            if problems.enough:
                break
    if problems.count:
        raise Wrong(problems)
    return made


def _signature(call: Call, where: str, chained: bool = False) -> Any:
    task = _task(call.name, where)
    _bound(task, call.args, call.kwargs, where, chained)
    return task.signature(call.args, call.kwargs).set(headers=dict(FROM_API))


def _task(name: str, where: str) -> Any:
    if task := api_task(name):
        return task
    raise ValueError(f"{where}: there is no task {name[:200]!r}; GET /api/tasks lists those that may be run.")


def _bound(task: Any, args: list[Any], kwargs: dict[str, Any], where: str, chained: bool = False) -> None:
    try:
        bind(task, args, kwargs, chained)
    except ValueError as problem:
        problem.args = (f"{where}: {problem}",)
        raise


@router.get("/{canvas}", url_name="canvas", response={200: CanvasState, 404: Problem, 422: Problem, 503: Problem})
def status(
    request: HttpRequest,
    canvas_id: Annotated[str, Path(alias="canvas")],
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
) -> Any:
    """Progress, result or the first error of a canvas; `wait` as for a task."""
    # One look at a large canvas reads a thousand keys.
    return until_ready(lambda: _known(canvas_id), wait, longest_pause=1)


@router.delete("/{canvas}", response={202: CanvasState, 404: Problem, 409: Problem, 503: Problem})
def revoke(request: HttpRequest, canvas_id: Annotated[str, Path(alias="canvas")]) -> Any:
    """Revoke every task of a canvas that has not started."""
    if _known(canvas_id)["ready"]:
        raise HttpError(409, "The canvas is done; there is nothing to revoke.")
    if not canvas_state.revoke(canvas_id):
        raise HttpError(409, "Every task of the canvas runs already; none can be revoked any more.")
    return 202, _known(canvas_id)


def _known(canvas_id: str) -> dict[str, Any]:
    state = canvas_state.read(canvas_id)
    if state is None:
        raise HttpError(404, f"No canvas has the id {canvas_id[:200]!r}, or its results have expired.")
    return state
