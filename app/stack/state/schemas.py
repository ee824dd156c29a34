"""The arguments of a task as a pydantic model, made from the function's own signature and annotations."""

import inspect
from functools import cache
from typing import Any, get_type_hints

from celery import Task, current_app
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import SchemaValidator

from stack.broker.routing import MARK
from stack.state.limited import counting, failing_fast, readable, validator
from stack.state.problems import COUNTED, SHOWN, Problems, Wrong, describe, listed

FROM_API = {MARK: True}


class Misfit(ValueError):
    """The arguments of a task are not what it takes: it was not started."""


def api_tasks() -> dict[str, Task]:
    """The tasks that the HTTP API may run, by name: those declared with `api=True`."""
    _import_tasks()
    return {name: task for name, task in sorted(current_app.tasks.items()) if getattr(task, "api", False)}


def api_task(name: str) -> Task | None:
    """One of these by its name."""
    _import_tasks()
    task = current_app.tasks.get(name)
    return task if getattr(task, "api", False) else None


@cache
def _import_tasks() -> None:
    # Celery's own way takes milliseconds each time, even if all is imported.
    current_app.loader.import_default_modules()


@cache
def arguments_model(task: Task) -> type[BaseModel]:
    """The model of a task's keyword arguments; unknown ones are refused."""
    hints = get_type_hints(task.run, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(task.run).parameters.items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    return create_model(task.name, __config__=ConfigDict(extra="forbid"), **fields)


@cache
def _by_place(task: Task) -> tuple[str, ...]:
    """The arguments of a task that may be given without their names; a canvas asks for each of its items."""
    parameters = inspect.signature(task.run).parameters.items()
    return tuple(name for name, each in parameters if each.kind != each.KEYWORD_ONLY)


def bind(task: Task, args: list[Any], kwargs: dict[str, Any], chained: bool = False) -> dict[str, Any]:
    """The call's arguments by name, as they were sent, once they are known to fit.

    Args:
        chained: the first argument is the result of the task before, which nobody knows yet.

    Raises:
        ValueError: with the argument and the reason.
    """
    names = list(_by_place(task))
    if chained and not names:
        raise ValueError(f"{task.name} takes no argument, and would be given the result of the task before.")
    result = names.pop(0) if chained else None
    if len(args) > len(names):
        after = f" after {result}, the result of the task before" if result else ""
        raise ValueError(
            f"{task.name} takes at most {len(names)} arguments ({', '.join(names)}){after}, not {len(args)}."
        )
    if result in kwargs:
        raise ValueError(f"{result}: given twice, it is the result of the task before.")
    given = dict(zip(names, args, strict=False))
    if twice := sorted(given.keys() & kwargs.keys()):
        raise ValueError(f"{twice[0]}: given twice, in args and in kwargs.")
    given |= kwargs
    if len(unknown := given.keys() - arguments_model(task).model_fields.keys()) > SHOWN:
        raise Wrong(listed(f"{name}: {task.name} takes no such argument" for name in sorted(unknown)))
    try:
        _quick(task).validate_python(given)
    except ValidationError as error:
        if (problems := _problems(task, given, error, result)).count:
            raise Wrong(problems) from None
    return given


def misfit(task: Any, headers: Any, args: Any, kwargs: Any) -> str | None:
    """What is wrong with the arguments with which a worker is about to start a task, or None.

    Asked of what came by the API, whose messages have FROM_API, and of tasks declared with `checked=True`. A hint
    alone asks nothing of a project's own callers, who may give what no JSON holds.

    Args:
        headers: those of the message that are not Celery's own.
    """
    if not (getattr(task, "checked", False) or (headers or {}).get(MARK)):
        return None
    try:
        bind(task, args, kwargs)
    except ValueError as problem:
        return str(problem)
    return None


@cache
def _quick(task: Task) -> SchemaValidator:
    """What says whether arguments fit; it stops at the first error of each list, which may have 100,000 of them."""
    return validator(failing_fast(arguments_model(task).__pydantic_core_schema__))


@cache
def _thorough(task: Task) -> SchemaValidator:
    """What says where they do not, for as many errors as anybody wants to know."""
    return validator(counting(arguments_model(task).__pydantic_core_schema__))


def _problems(task: Task, given: dict[str, Any], error: ValidationError, result: str | None) -> Problems:
    """What is wrong, but for the argument `result`, which is not known yet."""
    counted: list[None] = []
    try:
        _thorough(task).validate_python(given, context=counted)
    except ValidationError as found:
        error = found
    errors = error.errors(include_url=False, include_input=False)
    texts = (readable(describe(item)) for item in errors if item["loc"][:1] != (result,))
    return listed(texts, partly=len(counted) >= COUNTED)
