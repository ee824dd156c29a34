"""The names of Django's task API: Django 6 has it, and for Django 5.2 it is the package `django-tasks`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_HOME = next((name for name in ("django.tasks", "django_tasks") if find_spec(name)), "")
if not _HOME:
    raise ImproperlyConfigured(
        "TASKS names stack.django_tasks, which needs Django 6, or the package django-tasks on Django 5.2: "
        "add it to your requirements."
    )
_api: Any = import_module(_HOME)
_base: Any = import_module(f"{_HOME}.base")
_signals: Any = import_module(f"{_HOME}.signals")
_exceptions: Any = import_module(f"{_HOME}.exceptions")

DEFAULT_QUEUE: str = _base.DEFAULT_TASK_QUEUE_NAME
BaseTaskBackend: Any = import_module(f"{_HOME}.backends.base").BaseTaskBackend
Task, TaskContext, TaskError, TaskResult = _base.Task, _base.TaskContext, _base.TaskError, _base.TaskResult
Status: Any = _base.TaskResultStatus
task_enqueued, task_started, task_finished = _signals.task_enqueued, _signals.task_started, _signals.task_finished
TaskResultDoesNotExist: type[Exception] = _exceptions.TaskResultDoesNotExist
InvalidTask: type[Exception] = getattr(_exceptions, "InvalidTask", None) or _exceptions.InvalidTaskError
try:
    normalize_json: Any = import_module("django.utils.json").normalize_json
except ImportError:
    normalize_json = import_module("django_tasks.utils").normalize_json
