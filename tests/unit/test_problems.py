"""What a wrong call costs, and what its answer says."""

import json
import tracemalloc
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from celery import current_app
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

import stack.http.api  # noqa: F401 (it imports the calls, and they take from it)
from stack.http.canvas_calls import CanvasCall
from stack.http.tasks_api import TaskCall
from stack.state.problems import cut, listed
from stack.state.schemas import bind


class Row(TypedDict):
    number: int


def _no_int(value: Any) -> Any:
    if isinstance(value, int):
        raise ValueError("an integer must be between -2**53 and 2**53")
    return value


Word = Annotated[str, Field(pattern="^[a-z]+$")]
# As the demo's: an error of either kind is told once.
Number = (
    Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
    | Annotated[float, BeforeValidator(_no_int), Field(strict=True, allow_inf_nan=False)]
)


@pytest.fixture
def task() -> Iterator[Any]:
    def every_kind(
        numbers: list[Number] | None = None,
        by_name: dict[Word, Number] | None = None,
        nested: list[list[int]] | None = None,
        either: list[int] | list[str] | None = None,
        rows: list[Row] | None = None,
        pair: tuple[int, str] | None = None,
        kind: Literal["list", "dict"] = "list",
        anything: Any = None,
    ) -> None:
        """Never run."""

    made = current_app.task(every_kind, name="every kind", api=True)
    yield made
    current_app.tasks.pop(made.name)


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({"numbers": ["a"] * 30_000}, "and at least 1990 more"),
        ({"numbers": [2**60] * 30_000}, "and at least 1990 more"),
        ({"by_name": {f"A{n}": "x" for n in range(20_000)}}, "and at least"),
        ({"nested": [["x"] * 10] * 10_000}, "and at least"),
        ({"nested": [["x"] * 10] * 5}, "and 40 more"),
        ({"rows": [{}] * 30_000}, "and at least 990 more"),
        ({"either": [1, "a"] * 40_000}, "either"),
        ({"numbers": [1] * 30_000 + ["a"]}, "numbers.30000"),
        ({f"n{n}": 1 for n in range(60_000)}, "and 59990 more"),
        ({"x" * 500_000: 1}, "..."),
    ],
    ids=range(10),
)
def test_very_many_errors_cost_little_and_are_told_in_a_few(task: Any, given: dict[str, Any], more: str) -> None:
    bind(task, [], {})  # makes the models
    tracemalloc.start()
    with pytest.raises(ValueError, match=r".") as caught:
        bind(task, [], given)
    cost = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert more in str(caught.value)
    assert len(json.dumps(str(caught.value))) < 16_000
    assert cost < 10_000_000


@pytest.mark.parametrize(
    "given",
    [
        {"numbers": [1, 2.5, -0.0, 2**53] * 20_000},
        {"by_name": {"a": 1, "b": 2.5}},
        {"nested": [[1], [], ["2"]]},
        {"either": ["a", "b"]},
        {"rows": [{"number": 1}, {"number": 2}]},
        {"pair": [1, "a"]},
        {"kind": "dict", "anything": {"type": "list", "items_schema": [1, "a", None]}},
    ],
    ids=range(7),
)
def test_what_fits_is_taken_as_it_was_sent(task: Any, given: dict[str, Any]) -> None:
    assert bind(task, [], given) is not given
    assert bind(task, [], given) == given


def test_few_errors_are_all_told(task: Any) -> None:
    with pytest.raises(ValueError, match=r"numbers.1.*numbers.3.*nested.0.0.*kind") as caught:
        bind(task, [], {"numbers": [1, "a", 2, None], "nested": [["x"]], "kind": "set"})
    assert "more" not in str(caught.value)


@pytest.mark.parametrize("model", [TaskCall, CanvasCall])
def test_very_many_unknown_fields_of_a_body_are_one_error(model: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown fields: .*and 59990 more") as caught:
        model.model_validate({f"a{n}": 1 for n in range(60_000)})
    assert caught.value.error_count() == 1  # type: ignore[attr-defined]


def test_a_text_is_cut_by_what_json_makes_of_it() -> None:
    assert cut("short") == "short"
    for letter in ("a", "é", "\ud800", "\U0001f600", '"', "\0"):
        assert len(json.dumps(cut(letter * 100_000))) < 1_100
    assert len(json.dumps(listed(["\U0001f600" * 100_000] * 1_000).text())) < 16_000


def test_an_error_names_nothing_of_the_stacks_own(task: Any) -> None:
    with pytest.raises(ValueError, match=r"either.list\[\.\.\.\]: Input should be a valid list") as found:
        bind(task, [], {"either": 5})
    assert "_element" not in str(found.value)


class Corner(tuple[int, int], Enum):
    """Each member is a tuple too, as which pydantic takes it by its value."""

    TOP = (0, 0)
    END = (1, 1)


def test_a_choice_whose_members_are_tuples_stays_a_choice() -> None:
    def place(corner: Corner) -> None:
        """Never run."""

    made = current_app.task(place, name="place", api=True)
    try:
        assert bind(made, [(1, 1)], {}) == {"corner": (1, 1)}
        with pytest.raises(ValueError, match=r"corner: Input should be \(0, 0\) or \(1, 1\)"):
            bind(made, [2], {})
    finally:
        current_app.tasks.pop(made.name)
