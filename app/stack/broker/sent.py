"""To which queues tasks were sent: each sender notes it, so that one that nobody knows is found.

`apply_async(queue="emials")` makes a queue, which is in no setting and which no worker takes. Redis cannot list its
queues but by walking through all its keys.
"""

import logging
import time
from typing import Any

import redis
from celery import signals

from stack.broker.connections import client

logger = logging.getLogger(__name__)

# Name and time of the last note, in Unix seconds.
SENT = "stack:queues:sent"
AGAIN = 600  # seconds after which a process notes a queue anew, so that a note which is older may be forgotten
_noted: dict[str, float] = {}


def note(exchange: str = "", routing_key: str = "", **_: Any) -> None:
    """Note the queue of a task that was just sent: one more command in ten minutes for each process and queue.

    What goes to an exchange with a name of its own goes to queues of CELERY_TASK_QUEUES, which are known.
    """
    now = time.monotonic()
    if exchange or not routing_key or now - _noted.get(routing_key, -AGAIN) < AGAIN:
        return
    try:
        client().zadd(SENT, {routing_key: time.time()})
    except redis.RedisError as error:  # the task is sent, and nobody must hear that it is not
        logger.info("cannot note that the queue %r is used: %s", routing_key, error)
        return
    _noted[routing_key] = now


def install() -> None:
    """Note what this process sends."""
    signals.after_task_publish.connect(note, weak=False, dispatch_uid="stack.broker.sent")
