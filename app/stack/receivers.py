"""What the stack does on Celery's signals; connected when Django has started."""

from typing import Any

import structlog
from celery import signals
from django.dispatch import receiver
from django_structlog.celery import signals as structlog_signals


@signals.setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Celery leaves logging alone where this signal has a receiver: Django has configured it."""


@receiver(structlog_signals.bind_extra_task_metadata)
def bind_task_name(task: Any, **_: Any) -> None:
    """Put the task's name on each of its lines; django-structlog binds the id."""
    structlog.contextvars.bind_contextvars(task=task.name)
