"""Beat's keys in Redis, read so that a broken one is named: an entry's own hides no other entry."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redbeat.schedulers import ensure_conf, get_redis

from stack.broker.connections import answer_of
from stack.broker.keys import is_wrong_type, note_key, wrong

# Which entries of the settings were put into Redis, each with the definition that was put there.
INSTALLED = "redbeat::installed"
ZONE = "redbeat::zone"
# Why entries are set aside, by their keys. Beat notes it; the API shows it, and takes it away with each change.
PROBLEMS = "redbeat::problems"


@dataclass(frozen=True)
class Stored:
    """What the key of one entry holds.

    Attributes:
        aside: why beat has set the entry aside, if it has.
        error: Redis's answer where the key is no hash.
    """

    key: str
    definition: str | None
    meta: str | None
    aside: str | None = None
    error: Exception | None = None


def keys(app: Any) -> list[str]:
    """The key of every entry.

    Raises:
        redis.exceptions.RedisError: Redis does not answer, or the set of the entries is broken.
    """
    place = ensure_conf(app).schedule_key
    try:
        found: list[str] = get_redis(app).zrange(place, 0, -1)
    except redis.ResponseError as error:
        note_key(error, ("ZRANGE", place))
        raise
    return found


def read(app: Any, wanted: Iterable[str]) -> list[Stored]:
    """What these keys of entries hold, in one round trip."""
    wanted = list(wanted)
    if not wanted:
        return []
    pipe = get_redis(app).pipeline(transaction=False)
    for key in wanted:
        pipe.hmget(key, "definition", "meta")
    pipe.hmget(PROBLEMS, wanted)
    *answers, notes = pipe.execute(raise_on_error=False)
    reasons = [None] * len(wanted) if isinstance(notes, Exception) else notes  # beat makes that key anew
    found = []
    for key, answer, reason in zip(wanted, answers, reasons, strict=True):
        if not isinstance(answer, Exception):
            found.append(Stored(key, answer[0], answer[1], reason))
        elif answer_of(answer):
            note_key(answer, ("HMGET", key))
            found.append(Stored(key, None, None, reason, answer))
        else:
            raise answer
    return found


def queues(app: Any) -> set[str]:
    """The queues that the options of entries name."""
    found = set[str]()
    for stored in read(app, keys(app)):
        with suppress(ValueError, AttributeError):  # no JSON, or no fields
            found.add(str(json.loads(stored.definition or "{}").get("options", {}).get("queue") or ""))
    return found - {""}


def remove(app: Any, key: str) -> None:
    """Delete an entry, whatever its key holds."""
    with get_redis(app).pipeline() as pipe:
        pipe.zrem(app.redbeat_conf.schedule_key, key)
        pipe.delete(key)
        pipe.hdel(PROBLEMS, key)
        pipe.execute()


def wrong_key(app: Any) -> str | None:
    """Which of the keys that beat needs for every schedule is broken, and what to do, or None where none is."""
    conf, connection = ensure_conf(app), get_redis(app)
    own = {conf.schedule_key: "zset", INSTALLED: "hash", ZONE: "string", conf.lock_key: "string"}
    pipe = connection.pipeline(transaction=False)
    pipe.zcard(conf.schedule_key).hget(INSTALLED, "").get(ZONE).get(conf.lock_key).pttl(conf.lock_key)
    *answers, left = pipe.execute(raise_on_error=False)
    for (key, kind), answer in zip(own.items(), answers, strict=True):
        if is_wrong_type(answer):
            text = wrong(connection, key, kind)
            if key != conf.schedule_key:
                return text
            return f"{text} Then `make schedules-reset`, and PUT /api/schedules/<name> for each that was made there."
    return endless(conf.lock_key) if left == -1 else None


def endless(lock: str) -> str:
    """That the key of beat's lock has no expiry, and what to do."""
    return f"The key {lock!r} in Redis never ends, so that no beat can take the lock: delete it (DEL)."
