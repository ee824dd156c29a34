"""The project's settings with a schedule class that says nothing of how it is stored."""

from celery.schedules import BaseSchedule

from demo.settings import *  # noqa: F403


class moonrise(BaseSchedule):  # noqa: N801
    pass


CELERY_BEAT_SCHEDULE = {"by_the_moon": {"task": "ping", "schedule": moonrise()}}
