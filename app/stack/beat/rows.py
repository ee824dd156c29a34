"""django_celery_beat's rows that nobody reads: a warning by name, for its scheduler is not the default."""

import logging
from typing import Any

from django.apps import apps
from django.db import Error

from stack.state import chosen

logger = logging.getLogger(__name__)
NAMED = 5  # rows that the warning names


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
            "CELERY_BEAT_SCHEDULER = 'django_celery_beat.schedulers:DatabaseScheduler'.",
            *(len(names), ", ".join(names[:NAMED]), more, chosen.name(app)),
        )
