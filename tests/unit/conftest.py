"""The unit ring imports the project; it needs no network and no service."""

import os

import django

os.environ.update(SECRET_KEY="u" * 50, REDIS_PASSWORD="unused", FLOWER_PASSWORD="unused", LOG_LEVEL="ERROR")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.settings")
django.setup()

import pytest  # noqa: E402 (after the settings are known)

from stack.celery import app  # noqa: E402


@pytest.fixture(autouse=True)
def _current_app() -> None:
    """The project's application is the current one: Celery makes each new one current, and some tests make some."""
    app.set_current()
