"""The project's settings with tasks that say what they take."""

from demo.settings import *  # noqa: F403

CELERY_IMPORTS = ["stack.tasks", "demo.tasks", "handed_tasks"]
