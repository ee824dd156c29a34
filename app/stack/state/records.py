"""What is known of each task from the moment it is accepted: one Redis hash per id.

Celery answers PENDING for an id it has never seen. The record tells a queued task from an unknown one, and
carries the claim that decides between a worker that starts the task and a caller who revokes it.

Fields: name, queued_at, retries, claim ("started" or "revoked"), started_at. Times are Unix seconds.
The record is written before the message and expires RESULT_EXPIRES after the task last moved.
"""

import time
from datetime import UTC, datetime
from typing import Any

from celery import current_app

from stack.broker.connections import client

STARTED, REVOKED = "started", "revoked"
WAS_REVOKED = "revoked before it started"


def key(task_id: str) -> str:
    return f"stack:task:{task_id}"


def accept(task_id: str, name: str, retries: int, patient: bool = False) -> None:
    """Write the record of a task that is about to be published; a retry gives up its earlier claim.

    Raises:
        redis.exceptions.RedisError: Redis does not take it; then the task must not be published either.
    """
    pipe = client(patient).pipeline(transaction=True)
    pipe.hset(key(task_id), "retries", retries)
    # A task that replaces itself by a canvas keeps its id, and its own name.
    pipe.hsetnx(key(task_id), "name", name)
    pipe.hsetnx(key(task_id), "queued_at", time.time())
    if retries:
        pipe.hdel(key(task_id), "claim")
    pipe.expire(key(task_id), current_app.conf.result_expires)
    pipe.execute()


def note_sent(task_id: str) -> None:
    """Note that the message of a task is in its queue, which the record alone does not say."""
    client().hset(key(task_id), "sent", 1)


def is_sent(task_id: str) -> bool:
    """Whether `note_sent` was called for this task."""
    return client().hget(key(task_id), "sent") is not None


def age(task_id: str) -> float | None:
    """Seconds since the task was accepted, or None where there is no record of it."""
    queued = client().hget(key(task_id), "queued_at")
    return None if queued is None else time.time() - float(queued)


def forget(task_id: str) -> None:
    """Take the record back, because the task was not published."""
    client().delete(key(task_id))


def claim(task_id: str, name: str, wanted: str, patient: bool = False) -> str:
    """Claim a task for starting or for revoking; whoever comes first keeps it.

    Returns:
        str: the claim that holds, which is `wanted` unless the other side was first. A task that is
        delivered a second time finds its own claim and runs again.
    """
    pipe = client(patient).pipeline(transaction=True)
    pipe.hsetnx(key(task_id), "claim", wanted)
    pipe.hget(key(task_id), "claim")
    if name:
        pipe.hsetnx(key(task_id), "name", name)
    if wanted == STARTED:
        pipe.hset(key(task_id), "started_at", time.time())
    pipe.expire(key(task_id), current_app.conf.result_expires)
    holds: str = pipe.execute()[1]
    return holds


def claimed(task_id: str, patient: bool = False) -> str | None:
    """The claim on a task, or None where nobody has claimed it."""
    claim: str | None = client(patient).hget(key(task_id), "claim")
    return claim


def read(task_id: str) -> dict[str, Any] | None:
    """The record and the stored result of a task in one round trip, as the API shows it; None if unknown."""
    return read_many([task_id])[0]


def read_many(task_ids: list[str]) -> list[dict[str, Any] | None]:
    """As `read`, for several tasks in one round trip."""
    backend = current_app.backend
    pipe = client().pipeline(transaction=False)
    for task_id in task_ids:
        pipe.hgetall(key(task_id))
        pipe.get(backend.get_key_for_task(task_id).decode())
    answers = pipe.execute()
    return [
        _shown(task_id, record, backend.decode(stored) if stored else {}) if record else None
        for task_id, record, stored in zip(task_ids, answers[::2], answers[1::2], strict=True)
    ]


def _shown(task_id: str, record: dict[str, str], meta: dict[str, Any]) -> dict[str, Any]:
    state = "REVOKED" if record.get("claim") == REVOKED else meta.get("status", "PENDING")
    if state == "STARTED" and "claim" not in record:
        state = "PENDING"  # Celery says so a moment before the task claims its start, and may yet find it revoked
    if state == "PENDING" and int(record.get("retries", 0)):
        state = "RETRY"
    result, ready = meta.get("result"), state in ("SUCCESS", "FAILURE", "REVOKED")
    return {
        "id": task_id,
        "name": record.get("name", ""),
        "state": state,
        "ready": ready,
        "successful": state == "SUCCESS",
        "result": result if state == "SUCCESS" else None,
        "error": _error(state, result),
        "progress": result if state == "PROGRESS" else None,
        "retries": int(record.get("retries", 0)),
        "queued_at": _iso(record.get("queued_at")),
        "started_at": None if record.get("claim") == REVOKED else _iso(record.get("started_at")),
        "done_at": meta.get("date_done") if ready else None,
    }


def _error(state: str, result: Any) -> dict[str, str] | None:
    if state in ("FAILURE", "RETRY", "REVOKED") and isinstance(result, dict) and "exc_type" in result:
        message = result.get("exc_message", "")
        text = " ".join(str(part) for part in message) if isinstance(message, list | tuple) else str(message)
        return {"type": str(result.get("exc_type", "Error")), "message": text}
    return {"type": "TaskRevokedError", "message": WAS_REVOKED} if state == "REVOKED" else None


def _iso(timestamp: str | None) -> str | None:
    return datetime.fromtimestamp(float(timestamp), UTC).isoformat() if timestamp else None
