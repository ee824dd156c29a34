"""The demo: the tutorial's tasks, a data set and its statistics. A team deletes this folder."""

from .celery import app as celery_app

__all__ = ("celery_app",)
