"""Logs on standard output: one JSON object a line, or text for people, with the ids that tie lines together.

django-structlog binds `request_id` to every line of an HTTP request and carries it into the task that the
request started, where `task_id` and `task` join it.
"""

import re
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

QUIET_PATHS = ("GET /livez", "GET /readyz", "GET /static/")
# What a terminal, or who reads line by line, takes for more than text: controls, other ends of a line, directions.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def logging_config(level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING for `level` and `style` ("json" or "console"); configures structlog to go through it."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _shorten,
    ]
    structlog.configure(
        processors=[_drop_probes, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Any] = [_escape, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_traceback)]
    if style == "json":
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # gunicorn and Django bring handlers of their own, which would print each line twice.
            **{
                name: {"handlers": [], "propagate": True, "level": level}
                for name in ("gunicorn.error", "django", "celery")
            },
            # django-structlog writes one line a request, with its id.
            "gunicorn.access": {"handlers": [], "propagate": False},
            "django.server": {"handlers": [], "propagate": False},
            # Celery's own lines at the end of a task and at each retry are enough; these come beside them.
            "celery.worker.strategy": {"level": "WARNING"},
            "django_structlog.celery.receivers": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
        },
    }


def _drop_probes(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if str(event.get("request", "")).startswith(QUIET_PATHS):
        raise structlog.DropEvent
    return event


def _shorten(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop query strings, which may hold a token, and the traceback of what a client did wrong."""
    if isinstance(event.get("request"), str):
        event["request"] = event["request"].partition("?")[0]
    if str(event.get("logger", "")).startswith("django.security"):
        event.pop("exc_info", None)
    return event


def _escape(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep each text on its line: a client, or a task's result, must not write lines of its own."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CONTROLS.sub(_code, value)
    return event


def _code(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _traceback(out: TextIO, problem: Any) -> None:
    """A traceback whose lines are indented, so that the text of an error cannot look like a line of the log."""
    for line in "".join(traceback.format_exception(*problem)).splitlines():
        out.write(f"\n    {_CONTROLS.sub(_code, line)}")
