"""The project's settings with the scheduler that the test names, and one task a second."""

import os
from importlib.util import find_spec

from celery.schedules import crontab

from demo.settings import *  # noqa: F403
from demo.settings import INSTALLED_APPS as BEFORE

CELERY_BEAT_SCHEDULER = os.environ["TEST_SCHEDULER"]
CELERY_BEAT_SCHEDULE = {
    "each second": {"task": "ping", "schedule": 1.0},
    "each night": {"task": "ping", "schedule": crontab(minute=0, hour=3)},
}
INSTALLED_APPS = [*BEFORE, "django_celery_beat"] if find_spec("django_celery_beat") else BEFORE
