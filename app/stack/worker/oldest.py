"""Since when the oldest task of each queue waits: a worker looks, as it may read tasks, and web may not."""

import json
import logging
import time
from typing import Any

import redis

from stack.broker.sent import SENT
from stack.runtime.names import problem
from stack.state import backlog, records
from stack.state.queues import SERVED

logger = logging.getLogger(__name__)
EVERY = 10  # seconds between two looks of all workers together
TURN = "stack:queues:looked"  # whose turn it is: the key lives for almost as long


class Oldest:
    """Notes when the task that is next in each queue was queued; of several workers one looks.

    Args:
        connection: a client of the caller's own.
    """

    def __init__(self, connection: Any):
        self.redis, self._next = connection, 0.0

    def look(self) -> None:
        """Look, unless it is too early or another worker did: three round trips where something waits."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        try:
            if self.redis.set(TURN, 1, nx=True, ex=EVERY - 1):
                self._note()
        except redis.RedisError as error:
            logger.info("how long tasks wait is not known until Redis answers: %s", error)

    def _note(self) -> None:
        pipe = self.redis.pipeline(transaction=False)
        served, sent, before = pipe.smembers(SERVED).zrange(SENT, 0, -1).hgetall(backlog.OLDEST).execute()
        names = [name for name in sorted({*served, *sent}) if not problem(name)]
        places = [(name, key) for name in names for key in backlog.lists(name)]
        for _, key in places:
            pipe.lindex(key, -1)
        next_ones = {
            place: message
            for place, message in zip(places, pipe.execute(raise_on_error=False), strict=True)
            if isinstance(message, str)
        }
        for message in next_ones.values():
            pipe.hget(records.key(_id(message)), "queued_at")
        queued: dict[str, float] = {}
        for (name, _), noted in zip(next_ones, pipe.execute(raise_on_error=False), strict=True):
            # Sent by somebody who keeps no records, or record and result have expired: since it was first seen.
            since = noted if isinstance(noted, str) else before.get(name, time.time())
            queued[name] = min(float(since), queued.get(name, float(since)))
        pipe.delete(backlog.OLDEST)
        if queued:
            pipe.hset(backlog.OLDEST, mapping=queued)
        pipe.execute()


def _id(message: str) -> str:
    try:
        return str(json.loads(message)["headers"]["id"])
    except (ValueError, TypeError, KeyError):
        return ""
