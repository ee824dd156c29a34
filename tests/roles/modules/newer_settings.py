"""The next version of the project, which has one more task."""

from demo.settings import *  # noqa: F403

CELERY_IMPORTS = ["newer_tasks"]
