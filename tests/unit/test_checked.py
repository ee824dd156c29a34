"""Tasks whose arguments are checked whoever calls them, and those that leave it to their callers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stack.apps import environment_fits
from stack.celery import app
from stack.state.schemas import FROM_API


@pytest.fixture
def task() -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(run: Callable[..., Any], **options: Any) -> Any:
        made.append(app.task(run, name=f"{run.__name__} of this test", **options))
        return made[-1]

    yield make
    for each in made:
        app.tasks.pop(each.name)


def double(number: int) -> int:
    return number * 2


def test_a_hint_alone_asks_nothing_of_the_projects_own_code(task: Callable[..., Any]) -> None:
    assert task(double).apply(["ab"]).get() == "abab"


@pytest.mark.parametrize(("options", "headers"), [({"checked": True}, None), ({"api": True}, FROM_API)])
def test_what_is_checked_fails_before_it_starts(
    task: Callable[..., Any], options: dict[str, Any], headers: dict[str, Any] | None
) -> None:
    job = task(double, **options)
    assert job.apply([2], headers=headers).get() == 4
    for args, told in (([[2]], "number: Input should be"), ([1, 2], "at most 1 arguments")):
        failed = job.apply(args, headers=headers)
        assert failed.state == "FAILURE"
        assert told in str(failed.result)


def test_a_checked_task_whose_arguments_have_no_names_is_named_at_start(task: Callable[..., Any]) -> None:
    def report(*numbers: int) -> None:
        """Never run."""

    task(report, checked=True)
    found = [str(each.msg) for each in environment_fits(None)]
    assert any("The task report of this test is checked and takes *numbers" in text for text in found), found
