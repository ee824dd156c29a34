"""Which workers there are, by the notes that they keep in Redis (see stack/worker/presence.py)."""

import json
from typing import Any

from stack.broker.connections import client

NAMES = "stack:workers"


def key(name: str) -> str:
    """The key of a worker's note."""
    return f"stack:worker:{name}"


def notes(connection: Any) -> dict[str, str | None]:
    """The note of every worker that was ever seen, None where it has expired, by name."""
    names = sorted(connection.smembers(NAMES))
    return dict(zip(names, connection.mget([key(name) for name in names]), strict=True)) if names else {}


# What a note says, and what stands for it where somebody wrote something else.
FIELDS: dict[str, Any] = {
    "ready": False,
    "state": "",
    "pool": "",
    "concurrency": 0,
    "queues": [],
    "active": 0,
    "reserved": 0,
    "delayed": 0,
    "since": "",
}


def read() -> list[dict[str, Any]]:
    """What each worker that is there says of itself, by name.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    return [{"name": name, **_read(name, note)} for name, note in notes(client()).items() if note is not None]


def _read(name: str, note: str) -> dict[str, Any]:
    try:
        said = json.loads(note)
        fit = all(type(said[field]) is type(other) for field, other in FIELDS.items())
        if fit and all(isinstance(queue, str) for queue in said["queues"]):
            return {field: said[field] for field in FIELDS} | {"delayed_in": _counts(said.get("delayed_in"))}
    except (ValueError, TypeError, KeyError):
        pass
    return FIELDS | {
        "delayed_in": {},
        "state": f"the key {key(name)!r} in Redis is not the note of a worker: delete it (DEL)",
    }


def _counts(said: Any) -> dict[str, int]:
    """How many tasks of each queue; none where a worker of an older version does not say it."""
    counted = said.items() if isinstance(said, dict) else ()
    return {queue: count for queue, count in counted if isinstance(count, int)}
