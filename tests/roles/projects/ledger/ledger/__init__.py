"""A project as `django-admin startproject ledger` and Celery's tutorial make it, whose tasks read the database."""

from .celery import app as celery_app

__all__ = ("celery_app",)
