"""A line of the log is a line, and holds no query string, whatever a client sends."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from stack.runtime.logs import logging_config

FORGED = 'a\n2026-01-01T00:00:00Z [error] forged\r\x1b[2J\x85\u2028"}\n{"event": "forged"'


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest) -> Iterator[tuple[str, io.StringIO]]:
    """The style, and what a handler of the product writes."""
    config = logging_config("INFO", request.param)
    out = io.StringIO()
    made: Any = config["formatters"]["line"]
    handler = logging.StreamHandler(out)
    handler.setFormatter(made.pop("()")(**made))
    logger = logging.getLogger("forged")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel("INFO")
    yield request.param, out
    logger.removeHandler(handler)


def test_no_text_makes_a_line_of_its_own(written: tuple[str, io.StringIO]) -> None:
    style, out = written
    logger = logging.getLogger("forged")
    logger.warning("refused %s", FORGED)
    logger.warning("an extra", extra={"agent": FORGED})
    structlog.get_logger("forged").warning("of structlog", user_agent=FORGED)

    lines = out.getvalue().split("\n")[:-1]
    assert len(lines) == 3, lines
    for line in lines:
        assert not set(line) & set("\r\x1b\x85\u2028")
        assert style == "console" or json.loads(line)["level"] == "warning"


def test_the_text_of_an_error_makes_no_line_of_its_own(written: tuple[str, io.StringIO]) -> None:
    style, out = written
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("forged").exception("failed")

    lines = out.getvalue().rstrip("\n").split("\n")
    assert style == "console" or len(lines) == 1
    assert all(line.startswith("    ") for line in lines[1:])
    assert "ValueError" in out.getvalue()


def test_a_request_is_logged_without_its_query_string(written: tuple[str, io.StringIO]) -> None:
    structlog.get_logger("forged").warning("request_started", request="GET /a?token=secret")

    assert "GET /a" in written[1].getvalue()
    assert "secret" not in written[1].getvalue()
