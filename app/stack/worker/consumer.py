"""Celery's consumer, where an outage or a roll-out would cost more than it has to."""

import logging
from functools import partial
from typing import Any

import redis
from celery.worker import consumer

from stack.state import records
from stack.worker.paused import paused

logger = logging.getLogger(__name__)
PATIENCE = 600  # seconds after it was queued; then no version will come that knows a task, and it fails as ever
PAUSE = 1.0  # seconds that a worker keeps a task it does not know before others may take it


class Consumer(consumer.Consumer):
    """Connects again soon after an outage, and requeues a task that it does not know: another worker may know it."""

    def __init__(self, on_task_request: Any, *args: Any, **options: Any):
        super().__init__(paused.gate(on_task_request), *args, **options)

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's, with pauses of 3 s at most: its own grow to 30 s, in which Redis is back and nobody works."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=3)
        return super().ensure_connected(conn)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Put the message back to the end of its queue after a pause; an old one goes the way of Celery.

        Which is to drop it and record a failure. But during a roll-out the web role of the new version may send a
        task that only the new workers know, and it must not be lost to an old one that happens to take it.
        """
        headers = message.headers or {}
        if not may_be_known_soon(str(headers.get("id"))):
            super().on_unknown_task(body, message, exc)
            return
        logger.warning("%s[%s] is unknown to this version: back into its queue", headers.get("task"), headers.get("id"))
        self.timer.call_after(PAUSE, message.reject_log_error, (logger, self.connection_errors, True))


def may_be_known_soon(task_id: str) -> bool:
    """Whether this stack queued the task less than PATIENCE seconds ago."""
    try:
        age = records.age(task_id)
    except redis.RedisError:
        return True  # nothing can be said, so nothing is dropped
    return age is not None and age < PATIENCE
