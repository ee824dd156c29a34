"""The entries that beat set aside: each with its reason, while the others go on."""

import logging
import time
from typing import Any

import redis
from redbeat.schedulers import get_redis

from stack.broker.connections import answer_of
from stack.state.stored import PROBLEMS, Stored

logger = logging.getLogger(__name__)
PAUSE = 60  # seconds until an entry that was set aside is tried again, unless it was changed before
LONGEST = 500  # characters of a reason


class Aside:
    """Which entries of `app` beat leaves out for now. Redis has the reasons, for people to see."""

    def __init__(self, app: Any):
        self.app = app
        self._until: dict[str, tuple[str | None, float]] = {}  # by key: the definition that failed, and how long
        self._noted: set[str] = set()  # the keys whose reasons Redis has taken
        self._logged: dict[str, str] = {}  # the reasons that the log has

    def reset(self) -> None:
        """Begin anew, as the beat that has just taken the lock; whatever is wrong shows again in the first turn."""
        self._until.clear()
        self._noted.clear()
        get_redis(self.app).delete(PROBLEMS)

    def put(self, key: str, definition: str | None, reason: str) -> None:
        """Set an entry aside, and log it once.

        Raises:
            redis.exceptions.RedisError: an outage.
        """
        name = key.removeprefix(self.app.redbeat_conf.key_prefix)
        if self._logged.get(key) != reason:
            self._logged[key] = reason
            logger.error("beat: %s cannot be sent and is set aside: %s", name, reason)
        self._until[key] = (definition, time.monotonic() + PAUSE)
        try:
            get_redis(self.app).hset(PROBLEMS, key, reason[:LONGEST])
            self._noted.add(key)
        except redis.RedisError as error:
            if answer_of(error) is None:
                raise

    def holds(self, stored: Stored) -> bool:
        """Whether to leave this entry out of this turn. One whose reason the API has taken away was changed."""
        if stored.key in self._noted and stored.aside is None:
            self._forget(stored.key)
        definition, until = self._until.get(stored.key, (None, 0.0))
        return time.monotonic() < until and definition == stored.definition

    def clear(self, key: str) -> None:
        """The entry was sent."""
        if key in self._noted:
            get_redis(self.app).hdel(PROBLEMS, key)
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._until.pop(key, None)
        self._logged.pop(key, None)
        self._noted.discard(key)
