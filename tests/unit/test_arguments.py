"""What the API makes of a task's arguments."""

from typing import Any

import pytest
from celery import current_app

from stack.apps import environment_fits
from stack.state.schemas import api_tasks, arguments_model, bind

pytest.importorskip("demo", reason="the tasks of app/demo are its examples")


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "told"),
    [
        ("add", [1], {}, "y: Field required"),
        ("add", [1, 2, 3], {}, "at most 2 arguments"),
        ("add", [1], {"x": 2, "y": 3}, "x: given twice"),
        ("add", [1, "2"], {}, "y"),
        ("add", [1, True], {}, "y"),
        ("add", [1, 2**60], {}, "y"),
        ("add", [1, float("nan")], {}, "y"),
        ("add", [1, 2], {"z": 3}, "z: Extra inputs"),
        ("xsum", [[1, "a"]], {}, "numbers.1"),
        ("send_mail", ["a@b.c", "two\nlines", ""], {}, "subject"),
        ("sleep", [-1], {}, "seconds"),
    ],
)
def test_arguments_that_do_not_fit_are_named(task: str, args: list[Any], kwargs: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        bind(api_tasks()[task], args, kwargs)


def test_arguments_go_by_name_and_unchanged() -> None:
    assert bind(api_tasks()["add"], [1], {"y": 2.5}) == {"x": 1, "y": 2.5}


def test_only_tasks_that_say_so_are_open_to_the_api() -> None:
    names = api_tasks().keys()
    assert {"add", "mul", "xsum", "sleep", "fail", "flaky", "summarize", "send_mail", "group_task", "ping"} == names


def test_every_open_task_has_a_schema_and_says_why_twice_is_safe() -> None:
    for task in api_tasks().values():
        assert arguments_model(task).model_json_schema()["type"] == "object"
        assert "running it twice" in task.run.__doc__.lower()


def test_an_argument_that_goes_by_name_only_is_not_taken_by_its_place() -> None:
    def report(day: str, *, kind: str = "short") -> None:
        """Never run."""

    task = current_app.task(report, name="report of this test", api=True, shared=False)
    try:
        assert bind(task, ["monday"], {"kind": "long"}) == {"day": "monday", "kind": "long"}
        with pytest.raises(ValueError, match="at most 1 arguments \\(day\\)"):
            bind(task, ["monday", "long"], {})
    finally:
        current_app.tasks.pop(task.name)


@pytest.mark.parametrize("arguments", ["*numbers", "**options", "number, /"])
def test_a_task_of_the_api_whose_arguments_have_no_names_is_named_at_start(arguments: str) -> None:
    place: dict[str, Any] = {"__name__": __name__}
    exec(f"def report({arguments}): pass", place)  # noqa: S102
    task = current_app.task(place["report"], name="report of this test", api=True, shared=False)
    try:
        found = environment_fits(None)
        assert any("The task report of this test is open to the API and takes" in str(each.msg) for each in found)
    finally:
        current_app.tasks.pop(task.name)
