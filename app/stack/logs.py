"""Logs on standard output: one JSON object a line, or text for people, with the ids that tie lines together.

django-structlog binds `request_id` to every line of an HTTP request and carries it into the task that the
request started, where `task_id` and `task` join it.
"""

from collections.abc import MutableMapping
from typing import Any

import structlog

QUIET_PATHS = ("GET /livez", "GET /readyz", "GET /static/")


def logging_config(level: str, style: str) -> dict[str, Any]:
    """Django's LOGGING for `level` and `style` ("json" or "console"); configures structlog to go through it."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[_drop_probes, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Any] = [structlog.dev.ConsoleRenderer(colors=False)]
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
            # One line at start, one at the end and one at each retry come from our own task hooks.
            "celery.worker.strategy": {"level": "WARNING"},
            "django_structlog.celery.receivers": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
        },
    }


def _drop_probes(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if str(event.get("request", "")).startswith(QUIET_PATHS):
        raise structlog.DropEvent
    return event
