"""JSON as the standard has it: Python's own parser makes an infinity of 1e309, and takes NaN, which browsers do not."""

import json
import math
from typing import Any, NoReturn


class NoNumber(ValueError):
    """A number that no double holds, or none at all."""


def loads(body: bytes) -> Any:
    """What a body says.

    Raises:
        NoNumber: a number in it is infinite or none.
        ValueError, RecursionError: it is not JSON, or nested too deeply.
    """
    return json.loads(body, parse_float=_finite, parse_constant=_refuse)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse(text)
    return number


def _refuse(text: str) -> NoReturn:
    raise NoNumber(f"{text[:40]} is a number that JSON or a double cannot hold")
