"""The project's settings with a task that does not end when it is asked to."""

from demo.settings import *  # noqa: F403

CELERY_IMPORTS = ["stack.tasks", "stubborn_tasks"]
