"""The unit ring imports the project; it needs no network and no service."""

import asyncio
import os
import sys
from collections.abc import Iterator

import django

os.environ.update(SECRET_KEY="u" * 50, REDIS_PASSWORD="unused", FLOWER_PASSWORD="unused", LOG_LEVEL="ERROR")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.settings")
django.setup()

import pytest  # noqa: E402 (after the settings are known)
import structlog  # noqa: E402
from celery import _state  # noqa: E402

from stack.celery import app  # noqa: E402


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """What a test changes of the process is undone, so that tests may run in any order.

    Celery makes each new application the current one and gives it every shared task, structlog's loggers keep the
    configuration of their first use, and a browser that another ring holds open leaves its event loop in the thread,
    in which async views fail then.
    """
    app.set_current()
    paths = list(sys.path)  # a script that is called may have added the folder of the project that it looked at
    shared, logs, loop = set(_state._on_app_finalizers), structlog.get_config(), asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    sys.path[:] = paths
    _state._on_app_finalizers.clear()
    _state._on_app_finalizers.update(shared)
    structlog.configure(**logs)
    asyncio._set_running_loop(loop)
