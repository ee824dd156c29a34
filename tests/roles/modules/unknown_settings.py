"""The project's settings with a schedule class that nobody registered."""

from celery.schedules import schedule

from config.settings import *  # noqa: F403


class moonrise(schedule):  # noqa: N801
    pass


CELERY_BEAT_SCHEDULE = {"by_the_moon": {"task": "ping", "schedule": moonrise(60)}}
