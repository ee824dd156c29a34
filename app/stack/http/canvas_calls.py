"""What a call of /api/canvas asks for, checked and made into a plan."""

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from ninja import Field
from ninja.errors import HttpError
from pydantic import StrictInt

from stack.http.offered import offered_task
from stack.http.shapes import Body
from stack.state import plans
from stack.state.plans import Pairs
from stack.state.problems import Problems, Wrong
from stack.state.schemas import FROM_API, bind

MAX_TASKS, MAX_ITEMS, MAX_RANGE = 1_000, 100_000, 1_000_000
MAX_COPIES = 16 * 1024 * 1024
Kind = Literal["group", "chain", "chord", "map", "starmap", "chunks"]


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


def planned(kind: str, call: CanvasCall) -> plans.Plan:
    """What a call asks to send.

    Raises:
        ValueError: it does not fit; the text names the field.
    """
    if kind == "group":
        return plans.plan_group(_signatures("tasks", call.tasks))
    if kind == "chain":
        return plans.plan_chain(_signatures("tasks", call.tasks, chained=True))
    if kind == "chord":
        if call.body is None:
            raise ValueError("body: a chord needs one.")
        return plans.plan_chord(_signatures("header", call.header), _signature(call.body, "body", chained=True))
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
        return plans.plan_chunks(task, items, call.size)
    return plans.plan_map(kind, task, items)


def size_of(kind: str, call: CanvasCall, size: int) -> int:
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
    """What `do` makes of each place and item; its ValueErrors become one."""
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
    try:
        return offered_task(name)
    except LookupError as problem:
        raise ValueError(f"{where}: {problem}") from None


def _bound(task: Any, args: list[Any], kwargs: dict[str, Any], where: str, chained: bool = False) -> None:
    try:
        bind(task, args, kwargs, chained)
    except ValueError as problem:
        problem.args = (f"{where}: {problem}",)
        raise
