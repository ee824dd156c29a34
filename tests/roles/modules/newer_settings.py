"""The next version of the project, which has one more task."""

from config.settings import *  # noqa: F403

CELERY_IMPORTS = ["newer_tasks"]
