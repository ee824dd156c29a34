"""JSON as the standard has it: Python's own parser makes an infinity of 1e309, and takes NaN, which browsers do not."""

import json
import math
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser
from ninja.renderers import JSONRenderer

# A worker pickles a task's arguments for its pool, which ends it where they are nested 480 deep.
MAX_DEPTH = 100


class Unfit(ValueError):
    """JSON that not everything behind the API can hold."""


def loads(body: bytes) -> Any:
    """What a body says.

    Raises:
        Unfit: a number in it is infinite or none, or it is nested more than MAX_DEPTH deep.
        ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    data = json.loads(body, parse_float=_finite, parse_constant=_refuse)
    # Hardly any body has brackets enough, and counting them costs nothing.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(data):
        raise Unfit(f"the body is nested more than {MAX_DEPTH} deep")
    return data


def _is_deep(data: Any) -> bool:
    level = [[data]]
    for _ in range(MAX_DEPTH):
        parts = (each.values() if type(each) is dict else each for each in level)
        level = [part for each in parts for part in each if type(part) in (list, dict)]
        if not level:
            return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse(text)
    return number


def _refuse(text: str) -> NoReturn:
    raise Unfit(f"{text[:40]} is a number that JSON or a double cannot hold")


class BodyParser(Parser):
    """Ninja's, for the JSON of `loads`."""

    def parse_body(self, request: HttpRequest) -> Any:
        """What the body says; 400 for what is no JSON, 422 for what not everything can hold."""
        try:
            return loads(request.body)
        except Unfit as problem:
            raise HttpError(422, f"{problem}.") from None
        except (ValueError, RecursionError) as problem:
            raise HttpError(400, f"The body is not JSON: {str(problem)[:200]}") from None


class Renderer(JSONRenderer):
    """Ninja's, for results that no JSON holds: a task of the project's own may return an infinity."""

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> str:
        """The text; a number that is infinite or none is null in it, as JavaScript writes it."""
        try:
            return json.dumps(data, cls=self.encoder_class, allow_nan=False)
        except ValueError:
            return json.dumps(_without_infinities(data), cls=self.encoder_class)


def _without_infinities(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _without_infinities(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_infinities(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
