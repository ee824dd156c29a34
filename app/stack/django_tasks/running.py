"""In a worker: from a message to the function of a project that is a Django task, and to no other."""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from traceback import format_exception
from typing import Any

from celery import current_task
from django.apps import apps
from django.utils import timezone

from stack.django_tasks import CeleryBackend, results
from stack.django_tasks.api import InvalidTask, Status, Task, TaskContext, TaskError, normalize_json
from stack.django_tasks.api import task_finished as finished
from stack.django_tasks.api import task_started as started
from stack.state import spared


def execute(call: dict[str, Any], request: Any) -> Any:
    """Run the task that `call` (results.call) names.

    Args:
        request: Celery's, of the task that runs it.

    Raises:
        InvalidTask: the message names what is no Django task of this project.
        Exception: what the function raises.
    """
    task = results.with_options(find(call["path"]), call)
    backend = task.get_backend()
    if not isinstance(backend, CeleryBackend):
        raise InvalidTask(f"{call['path']} belongs to the backend {task.backend!r}, which is not the stack's.")
    attempts = [] if request.is_eager else results.attempt(request.id, request.hostname)
    result = results.blank(request.id, task, call)
    now = timezone.now()
    results.change(result, status=Status.RUNNING, started_at=attempts[0][0] if attempts else now, last_attempted_at=now)
    result.worker_ids.extend([worker for _, worker in attempts] or [request.hostname])
    started.send(sender=type(backend), task_result=result)
    try:
        context = [TaskContext(task_result=result)] if task.takes_context else []
        value = normalize_json(task.call(*context, *result.args, **result.kwargs))
    except Exception as problem:
        if requeued := spared.instead_of(current_task, request, problem):
            raise requeued from problem  # an outage of the database: it runs again, and nothing has finished
        kind = type(problem)
        path = f"{kind.__module__}.{kind.__qualname__}"
        result.errors.append(TaskError(exception_class_path=path, traceback="".join(format_exception(problem))))
        results.change(result, status=Status.FAILED, finished_at=timezone.now())
        finished.send(sender=type(backend), task_result=result)
        raise
    results.change(result, status=Status.SUCCESSFUL, finished_at=timezone.now(), _return_value=value)
    finished.send(sender=type(backend), task_result=result)
    return value


def find(path: str) -> Any:
    """The Django task at a dotted path.

    Whoever can write to Redis can name any path, and an import runs code: only modules of the project and of its
    installed apps are imported.

    Raises:
        InvalidTask: there is no such task.
    """
    module, _, rest = path.rpartition(".")
    names = [rest]
    while module and module not in sys.modules:
        if _is_ours(module):
            try:
                import_module(module)
                break
            except ModuleNotFoundError as missing:
                if missing.name is None or not f"{module}.".startswith(f"{missing.name}."):
                    raise
        module, _, rest = module.rpartition(".")
        names.insert(0, rest)
    found: Any = sys.modules.get(module)
    for name in names:
        found = getattr(found, name, None)
    if not isinstance(found, Task):
        raise InvalidTask(f"There is no Django task at {path!r}.")
    return found


def _is_ours(module: str) -> bool:
    """Whether a module is an installed app's, or lies in the project's folder, in which a role runs."""
    if any(f"{module}.".startswith(f"{config.name}.") for config in apps.get_app_configs()):
        return True
    spec = PathFinder.find_spec(module.partition(".")[0])
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    paths = [Path(place) for place in places if place]
    return any(path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts for path in paths)
