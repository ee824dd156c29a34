"""A task that this worker does not know waits for one that does, while a roll-out may still be under way.

Celery drops such a message and records a failure. But during a roll-out the web role of the new version may send
a task that only the new workers know, and it must not be lost to an old one that happens to take it.
"""

import logging
from typing import Any

from celery.worker.consumer.consumer import Consumer

import redis
from stack import records

logger = logging.getLogger(__name__)
PATIENCE = 600  # seconds after it was queued; then no version will come that knows it, and it fails as ever
PAUSE = 1.0  # seconds that a worker keeps it before others may take it

_drop = Consumer.on_unknown_task


def on_unknown_task(self: Any, body: Any, message: Any, exc: Exception) -> None:
    """Put the message back to the end of its queue after a pause; an old one goes the way of Celery."""
    headers = message.headers or {}
    if not may_be_known_soon(str(headers.get("id"))):
        _drop(self, body, message, exc)
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


def install() -> None:
    """Put this into Celery's consumer, for the whole process."""
    Consumer.on_unknown_task = on_unknown_task
