"""What the log says of django_celery_beat: rows that nobody reads, by name, and once that its database is away."""

import logging
import time
from typing import Any

from django.apps import apps
from django.db import Error

from stack.broker.precedence import called
from stack.state import chosen

logger = logging.getLogger(__name__)
NAMED = 5  # rows that the warning names


class OncePerMinute(logging.Filter):
    """Its scheduler notes a database that is away several times a second, each with a traceback of 4 KB."""

    quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not (record.exc_info and isinstance(record.exc_info[1], Error)):
            return True
        if (now := time.monotonic()) < self.quiet_until:
            return False
        self.quiet_until, record.exc_info = now + 60, None
        return True


def say_an_outage_once() -> None:
    """Twice is as once."""
    scheduler = logging.getLogger("django_celery_beat.schedulers")
    if not any(isinstance(each, OncePerMinute) for each in scheduler.filters):
        scheduler.addFilter(OncePerMinute())


def warn_of_idle_rows(app: Any) -> None:
    """Log the periodic tasks of django_celery_beat that never run, because beat uses another scheduler."""
    if not apps.is_installed("django_celery_beat") or chosen.kind(app) == chosen.DATABASE:
        return
    # In two steps: mypy's plugin looks for the model of a literal name.
    model: Any = apps.get_app_config("django_celery_beat").get_model("PeriodicTask")
    rows = model.objects.filter(enabled=True)
    try:
        names = list(rows.exclude(name="celery.backend_cleanup").order_by("name").values_list("name", flat=True))
    except Error as error:
        logger.debug("beat: the rows of django_celery_beat are not known: %s", error)
        return
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        logger.warning(
            "beat: %d periodic tasks in the tables of django_celery_beat never run (%s%s): beat uses %s. Set "
            "%s = 'django_celery_beat.schedulers:DatabaseScheduler'.",
            *(len(names), ", ".join(names[:NAMED]), more, chosen.name(app), called(app.conf, "beat_scheduler")),
        )
