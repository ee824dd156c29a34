"""Django's own tasks, as far as they need no worker: what is accepted, and a project's own tests with eager tasks."""

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery, current_app
from django.test import override_settings
from django.utils import timezone

if not (importlib.util.find_spec("django.tasks") or importlib.util.find_spec("django_tasks")):
    pytest.skip("neither Django 6 nor the package django-tasks is installed", allow_module_level=True)

from stack.django_tasks import CeleryBackend, celery_priority
from stack.django_tasks.api import InvalidTask, Task

PLACE = "stack.django_tasks.CeleryBackend"


def double(number: int) -> int:
    return 2 * number


def fail() -> None:
    raise LookupError("nothing")


def made(function: Any) -> Any:
    options = {"priority": 0, "queue_name": "default", "run_after": None, "backend": "default", "takes_context": False}
    return Task(func=function, **options)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The functions of this module as tasks, in a project whose tests run them at once."""
    monkeypatch.setitem(current_app.conf, "task_always_eager", True)
    with override_settings(TASKS={"default": {"BACKEND": PLACE}}):
        for function in (double, fail):
            monkeypatch.setitem(globals(), function.__name__, made(function))
        yield


@pytest.mark.parametrize(("django", "celery"), [(100, 0), (1, 0), (0, 3), (-1, 6), (-50, 6), (-51, 9), (-100, 9)])
def test_priorities_are_turned_round(django: int, celery: int) -> None:
    assert celery_priority(django) == celery


def test_it_says_what_it_supports() -> None:
    backend = CeleryBackend("default", {})
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_priority
    assert backend.supports_get_result


def test_without_results_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.django_tasks.current_app", Celery("none", backend="disabled://", set_as_current=False))
    backend = CeleryBackend("default", {})
    assert not backend.supports_get_result
    with pytest.raises(NotImplementedError):
        backend.get_result("any")


def test_queues_and_options_that_cannot_be_are_named_by_the_check() -> None:
    backend = CeleryBackend("mail", {"QUEUES": ["default", "unacked"], "OPTIONS": {"TIMEOUT": 1}})
    queue, option = [str(each.msg) for each in backend.check()]
    assert queue.startswith("TASKS['mail']['QUEUES'] names 'unacked', which is a key that Celery")
    assert option == "TASKS['mail']['OPTIONS'] has 'TIMEOUT', which nothing reads: remove it."
    assert not list(CeleryBackend("default", {"QUEUES": ["default", "mail"]}).check())


def test_djangos_default_queue_is_celerys() -> None:
    backend = CeleryBackend("default", {"QUEUES": ["default", "mail"]})
    assert backend.queue("default") == current_app.conf.task_default_queue
    assert backend.queue("mail") == "mail"


@pytest.mark.parametrize("place", ["TASKS", "OPTIONS"])
def test_the_commit_is_waited_for_where_an_entry_says_so(place: str) -> None:
    option = {"ENQUEUE_ON_COMMIT": True}
    assert CeleryBackend("default", option if place == "TASKS" else {"OPTIONS": option}).on_commit
    assert not CeleryBackend("default", {}).on_commit


@pytest.mark.usefixtures("eager")
def test_eager_tasks_run_at_once_without_redis() -> None:
    result = double.enqueue(21)  # type: ignore[attr-defined]
    assert (result.status, result.return_value, result.args) == ("SUCCESSFUL", 42, [21])
    failed = fail.enqueue()  # type: ignore[attr-defined]
    assert failed.status == "FAILED"
    assert failed.errors[0].exception_class is LookupError
    assert 'raise LookupError("nothing")' in failed.errors[0].traceback


@pytest.mark.usefixtures("eager")
def test_how_far_ahead_a_task_may_be_is_by_the_projects_own_times(monkeypatch: pytest.MonkeyPatch) -> None:
    later = double.using(run_after=timezone.now() + timedelta(seconds=1800))  # type: ignore[attr-defined]
    assert later.enqueue(1).return_value == 2
    monkeypatch.setitem(current_app.conf.__dict__["stack_above"], "visibility_timeout", 1200)
    with pytest.raises(InvalidTask, match="may be 940 s"):
        later.enqueue(1)
    monkeypatch.setitem(current_app.conf.__dict__["stack_above"], "visibility_timeout", 3600)
    monkeypatch.setitem(current_app.conf, "task_time_limit", 3000)
    with pytest.raises(InvalidTask, match="may be 540 s"):
        later.enqueue(1)


@pytest.mark.usefixtures("eager")
def test_only_what_json_holds_is_an_argument() -> None:
    with pytest.raises(TypeError):
        double.enqueue(object())  # type: ignore[attr-defined]


@pytest.mark.usefixtures("eager")
def test_a_task_that_no_worker_would_find_is_refused() -> None:
    with pytest.raises(InvalidTask, match="decorate the function where it is defined"):
        made(made).enqueue()
