"""What a worker holds and does not run is requeued: after a reconnect, and when the worker stops."""

import logging
import os
import signal
import time
from collections.abc import Iterable
from typing import Any

import redis
from celery.worker import state as worker_state
from kombu.exceptions import OperationalError

from stack.broker.transport import put_back, settle

logger = logging.getLogger(__name__)
OUTAGE = (OperationalError, redis.RedisError)
TRIED_FOR = 600  # seconds in which a requeue that failed is tried again; then VISIBILITY_TIMEOUT brings it
PAUSE = 2  # seconds between two tries


class Requeue:
    """The messages of a worker that are to be requeued, and could not be yet.

    Attributes:
        channel: the one over which the worker takes its tasks now.
        tags: of the messages that Redis did not take back yet.
    """

    def __init__(self) -> None:
        self.channel: Any = None
        self.tags: set[str] = set()
        self._until = self._next = 0.0

    def use(self, channel: Any) -> None:
        """Go on with another channel: what came over the old one and does not run is requeued."""
        old, self.channel = self.channel, channel
        self._requeue_idle(old)

    def drain(self) -> None:
        """Requeue what came over this channel and does not run."""
        self._requeue_idle(self.channel)

    def _requeue_idle(self, channel: Any) -> None:
        if channel is None:
            return
        running = {request.message.delivery_tag for request in list(worker_state.active_requests)}
        self.tags |= {tag for tag in channel.qos.held() if tag not in running}
        self._until = time.monotonic() + TRIED_FOR
        self._try()

    def try_again(self) -> None:
        """Requeue what could not be requeued, every PAUSE seconds; cheap where there is nothing."""
        if self.tags and time.monotonic() > self._next:
            self._try()

    def _try(self) -> None:
        if requeue(self.tags) or time.monotonic() > self._until:
            self.tags = set()
        self._next = time.monotonic() + PAUSE

    def everything(self) -> None:
        """Requeue all that is held: the worker's process ends, so nothing runs any more."""
        if self.channel is not None:
            requeue({*self.channel.qos.held(), *(request.message.delivery_tag for request in unfinished())})


def requeue(tags: Iterable[str]) -> bool:
    """Acknowledge what ended while Redis was away, and put `tags` back into their queues; false in an outage."""
    try:
        settle()
        put_back(tags)
    except OUTAGE as error:
        logger.error("what this worker holds comes back after VISIBILITY_TIMEOUT: %s", error)
        return False
    return True


def unfinished() -> list[Any]:
    """The requests that this worker holds and has not acknowledged."""
    return [request for request in list(worker_state.requests.values()) if not request.acknowledged]


def requeue_all(worker: Any) -> None:
    """Put every task that this worker holds back into its queue, then end its pool's processes.

    The children are frozen first: one that finished or died now would be acknowledged or retried by the main
    thread at the same time. Where Redis does not answer, the tasks come back after VISIBILITY_TIMEOUT.
    """
    processes = getattr(getattr(worker.pool, "_pool", None), "_pool", ())  # prefork's; other pools have none
    children = [process.pid for process in processes if hasattr(process, "pid")]
    for pid in children:
        _kill(pid, "SIGSTOP")
    held = unfinished()
    try:
        # More than the requests that Celery lists: not those that wait for their rate limit, nor a retry whose first
        # run has just ended.
        tasks = getattr(worker.consumer, "task_consumer", None)
        tags = set(tasks.channel.qos.held()) if tasks else set()
        put_back(tags | {request.message.delivery_tag for request in held})
        for request in held:
            logger.warning("requeued %s[%s]", request.name, request.id)
    except Exception as error:  # whatever happens here, the process ends and Redis still holds the tasks
        logger.error("could not requeue %d tasks, they return after VISIBILITY_TIMEOUT: %s", len(held), error)
    for pid in children:
        _kill(pid, "SIGKILL")


def _kill(pid: int, name: str) -> None:
    try:
        os.kill(pid, getattr(signal, name))
    except OSError:
        pass
