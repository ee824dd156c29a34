"""Results in a database of the project: the end of a task that ran waits there for an outage to end.

As it does where results are in Redis. The task's callbacks were sent before, so it must not run again for its result.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import Celery, states
from celery.backends.base import DisabledBackend
from django.db import connections

from stack.broker.backend import RedisBackend
from stack.broker.routing import over, runs_in_a_worker
from stack.runtime import heartbeat
from stack.state import answering, outages

logger = logging.getLogger(__name__)
PAUSE = 2.0  # seconds between two queries


class Patient:
    """Over a result backend."""

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        """As the backend's; what is stored of a task that has not ended yet fails, and the task is requeued."""
        store = super().store_result  # type: ignore[misc]
        if state not in states.READY_STATES and state != states.RETRY:
            return store(task_id, result, state, *args, **options)
        return patiently(lambda: store(task_id, result, state, *args, **options))

    def on_chord_part_return(self, *args: Any, **options: Any) -> Any:
        """As the backend's."""
        count = super().on_chord_part_return  # type: ignore[misc]
        return patiently(lambda: count(*args, **options))


def patiently(do: Callable[[], Any]) -> Any:
    """What `do` returns, once the database that it needs answers; elsewhere than in a task it fails as ever."""
    while True:
        try:
            return do()
        except Exception as error:
            if (outage := outages.of(error)) is None or not runs_in_a_worker():
                raise
            logger.warning("the end of a task waits to be stored: %s", outage)
            with suppress(Exception):  # the connection is broken
                connections[outage.alias].close()
        while answering.why_not(outage.alias, outage.kind):
            heartbeat.waiting(f"waits to store a result: {outage}")
            time.sleep(PAUSE)


def install(app: Celery) -> None:
    """Lay this over the backends that `app` makes, if they may be in a database."""
    make: Callable[[], Any] = app._get_backend

    def get_backend() -> Any:
        backend = make()
        if not isinstance(backend, RedisBackend | DisabledBackend):
            backend.__class__ = over(Patient, type(backend))
        return backend

    app._get_backend = get_backend
