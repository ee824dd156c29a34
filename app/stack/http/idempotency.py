"""Idempotency-Key: the same call gives the same task id again, however often it is sent."""

import hashlib
import json
import time
from typing import Any

import redis
from kombu.utils.uuid import uuid
from ninja.errors import HttpError

from stack.broker.connections import client
from stack.state import records


def id_for(key: str, call: Any) -> tuple[str, bool]:
    """The task id that belongs to an idempotency key, and whether that task was accepted before.

    Args:
        call: what the key is used for, as JSON has it.

    Raises:
        HttpError: the key was used for another call, or the first call with it is still under way.
    """
    body = json.dumps(call, sort_keys=True)
    wanted = f"{uuid()} {hashlib.sha256(body.encode('utf-8', 'backslashreplace')).hexdigest()}"
    place = f"stack:idempotency:{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()}"
    client().set(place, wanted, nx=True, ex=records.lasts())
    stored = client().get(place) or wanted
    task_id, digest = stored.split()
    if digest != wanted.split()[1]:
        raise HttpError(422, "Idempotency-Key: it was used before for another call; take a new one.")
    # One of several calls publishes: the one that takes the lock, which lasts longer than a call. After a call
    # that ended without having noted its message as sent, the next one publishes, under the same id: in doubt
    # a task runs twice rather than never.
    if not records.is_sent(task_id) and client().set(_lock(task_id), 1, nx=True, ex=10):
        return task_id, False
    for _ in range(10):
        if records.is_sent(task_id):
            return task_id, True
        time.sleep(0.1)
    raise HttpError(409, "Idempotency-Key: the first call with it is still under way. Try again in 10 s.")


def _lock(task_id: str) -> str:
    return f"stack:idempotency:lock:{task_id}"


def let_go(task_id: str) -> None:
    """The call failed: let the next one with the same key publish at once."""
    try:
        client().delete(_lock(task_id))
    except redis.RedisError:  # then the lock ends by itself
        return
