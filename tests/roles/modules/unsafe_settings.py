"""The project's settings with one that lets others run code."""

from demo.settings import *  # noqa: F403

CELERY_ACCEPT_CONTENT = ["json", "pickle"]
