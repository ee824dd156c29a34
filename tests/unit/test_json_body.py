"""What the API says is JSON, whatever a task returned."""

import json
from typing import Any

import pytest
from django.http import HttpRequest

from stack.http.api import api


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (float("inf"), None),
        ({"mean": float("nan"), "of": [1.5, float("-inf")]}, {"mean": None, "of": [1.5, None]}),
        ((1, 2), [1, 2]),
        ("Infinity", "Infinity"),
    ],
)
def test_a_result_that_no_json_holds_is_told_nevertheless(result: Any, told: Any) -> None:
    text = api.renderer.render(HttpRequest(), {"result": result}, response_status=200)
    assert json.loads(text, parse_constant=refuse) == {"result": told}
