"""Which workers there are, by the notes that they keep in Redis (see stack/presence.py)."""

import json
from typing import Any

from stack.connections import client

NAMES = "stack:workers"


def key(name: str) -> str:
    return f"stack:worker:{name}"


def notes(connection: Any) -> dict[str, str | None]:
    """The note of every worker that was ever seen, None where it has expired, by name."""
    names = sorted(connection.smembers(NAMES))
    return dict(zip(names, connection.mget([key(name) for name in names]), strict=True)) if names else {}


def read() -> list[dict[str, Any]]:
    """What each worker that is there tells of itself, by name.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    return [{"name": name, **json.loads(note)} for name, note in notes(client()).items() if note is not None]
