"""Room for what the API sends: in the queues, and in Redis, whose rest is for results and acknowledgements.

A message of 1 MiB counts as one for QUEUE_LIMIT, and some hundred of them fill Redis.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from ninja.errors import HttpError

from stack.broker.connections import client
from stack.broker.precedence import called
from stack.broker.refusals import AlmostFull
from stack.runtime.env import get
from stack.state import backlog, queues

logger = logging.getLogger(__name__)
QUEUE_LIMIT = get("QUEUE_LIMIT", settings.STACK_ENV)


def refuse_when_full(jobs: Iterable[Any]) -> None:
    """Raise a 429 while QUEUE_LIMIT tasks or more wait in the queue of one of `jobs`; a 409 where none ever would."""
    if current_app.conf.task_always_eager:
        name = called(current_app.conf, "task_always_eager")
        raise HttpError(409, f"{name}=True in the project's settings: no worker would get this. Make it False.")
    for queue, waiting in backlog.waiting(sorted({queues.of(job) for job in jobs})).items():
        if waiting >= QUEUE_LIMIT:
            raise HttpError(
                429, f"{waiting} tasks wait in queue {queue!r} (QUEUE_LIMIT is {QUEUE_LIMIT}). Try again in 5 s."
            )


def _memory() -> tuple[int, int]:
    """Bytes in use as Redis counts them for its limit, and the limit; 0 where it has none or does not tell."""
    try:
        info = client().info("memory")
    except redis.ResponseError as error:  # a user without the right, or a service that hides the command
        logger.warning("Redis does not tell how full it is, so REDIS_FULL_PERCENT has no effect: %s", error)
        return 0, 0
    if "used_memory" not in info:  # a service that answers with a part
        return 0, 0
    return info["used_memory"] - info.get("mem_not_counted_for_evict", 0), info.get("maxmemory", 0)


class Room:
    """What Redis holds, asked seldom, and what this process has sent since.

    Args:
        ask: gives the bytes in use and the limit, 0 for none.
        percent: the share of the limit that the API may fill.
        pause: seconds for which an answer holds.
    """

    def __init__(self, ask: Callable[[], tuple[int, int]], percent: int, pause: float = 1.0):
        self._ask, self._percent, self._pause = ask, percent, pause
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._asked_at: float | None = None
        self._used = self._limit = self._sent = self._under_way = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Keep `size` bytes for what the block sends.

        Raises:
            AlmostFull: there is no room for them.
            redis.exceptions.RedisError: Redis does not answer.
        """
        if self._asked_at is None or time.monotonic() - self._asked_at > self._pause:
            self._renew()
        with self._lock:
            most = self._limit * self._percent // 100
            # Redis has each message twice for a while: in the buffer of the connection, and where it stores it.
            used = self._used + 2 * (self._sent + self._under_way)
            if self._limit and used + 2 * size > most:
                raise AlmostFull(
                    f"{used * 100 // self._limit} % of its maxmemory of {self._limit >> 20} MiB is in use, and the API "
                    f"may fill {self._percent} % (REDIS_FULL_PERCENT)"
                )
            self._under_way += size
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= size
                self._sent += size

    def _renew(self) -> None:
        # One thread asks. Meanwhile what was known holds for the others, who wait where nothing is known yet.
        if not self._asking.acquire(blocking=self._asked_at is None):
            return
        try:
            if self._asked_at is not None and time.monotonic() - self._asked_at <= self._pause:
                return
            before = self._sent
            used, limit = self._ask()
            with self._lock:
                # What was sent while Redis answered may be in its count or not.
                self._used, self._limit, self._sent = used, limit, self._sent - before
                self._asked_at = time.monotonic()
        finally:
            self._asking.release()


_room = Room(_memory, get("REDIS_FULL_PERCENT", settings.STACK_ENV))
_MESSAGE = 4096  # a message's own fields, the task's record and its result, as Redis stores them


def room_for(size: int, messages: int = 1) -> AbstractContextManager[None]:
    """Keep room in Redis for what the block sends; raises as Room.taken does.

    Args:
        size: bytes of its arguments as JSON; kombu sends them in base64.
        messages: how many tasks it makes.
    """
    return _room.taken(size * 4 // 3 + messages * _MESSAGE)
