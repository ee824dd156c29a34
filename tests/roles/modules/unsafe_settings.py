"""The project's settings with one that loses tasks."""

from config.settings import *  # noqa: F403

CELERY_TASK_ACKS_LATE = False
