"""What is known of each task from the moment it is accepted: one Redis hash per id.

Celery answers PENDING for an id it has never seen. The record tells a queued task from an unknown one, and
carries the claim that decides between a worker that starts the task and a caller who revokes it.

Fields: name, queued_at, retries, claim ("started" or "revoked"), started_at, outages. Times are Unix seconds. Where
the project keeps no result, also state, done_at and error (JSON). The record is written with the message, in one
transaction (stack/broker/publishing.py), and expires RESULT_EXPIRES after the task last moved or was due.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import current_app
from celery.backends.base import DisabledBackend

from stack.broker.backend import RedisBackend
from stack.broker.connections import client

logger = logging.getLogger(__name__)
FINAL = ("state", "done_at", "error")
STARTED, REVOKED = "started", "revoked"
WAS_REVOKED = "revoked before it started"


def key(task_id: str) -> str:
    """The key of a task's record."""
    return f"stack:task:{task_id}"


def lasts() -> int:
    """Seconds that a record is kept: as long as a result, and until a task that a dead worker held has come back.

    Results that never expire leave no record behind for ever. A setting that is no time is refused at start.
    """
    expires, visible = current_app.conf.result_expires, current_app.conf.visibility_timeout
    return max(int(expires.total_seconds() if isinstance(expires, timedelta) else expires or 86400), 2 * visible)


def note(add: Callable[..., Any], headers: dict[str, Any]) -> None:
    """Add the commands that write the record of a task which is being published; a retry gives up its earlier claim.

    Args:
        add: takes the name of a command of redis-py and its arguments.
        headers: those of the task's message.
    """
    place, retries = key(headers["id"]), int(headers.get("retries") or 0)
    add("hset", place, "retries", retries)
    # A task that replaces itself by a canvas keeps its id, and its own name.
    add("hsetnx", place, "queued_at", time.time())
    add("hsetnx", place, "name", headers["task"])
    if retries:
        add("hdel", place, "claim", *FINAL)
    due = _until(headers.get("eta"))
    if due and due > (visible := current_app.conf.visibility_timeout):
        logger.warning(
            "%s[%s] is due in %d s, after VISIBILITY_TIMEOUT=%d: more than one worker will run it. Raise it, or let a "
            "periodic task send this one when its time comes.",
            *(headers["task"], headers["id"], due, visible),
        )
    add("expire", place, lasts() + due)


def undo(headers: dict[str, Any], answers: list[Any]) -> list[tuple[Any, ...]]:
    """The commands that take a record back whose message Redis did not take; `answers` are those to `note`'s."""
    return [("delete", key(headers["id"]))] if answers[1] == 1 else []


def _until(eta: Any) -> int:
    """Seconds until a task is due, whose record must outlive it."""
    try:
        return max(0, int((datetime.fromisoformat(eta) - datetime.now(UTC)).total_seconds())) if eta else 0
    except (TypeError, ValueError):  # without a zone, or no time at all
        return 0


def is_sent(task_id: str) -> bool:
    """Whether the message of a task is in its queue, or was: its record came there with it."""
    return client().hget(key(task_id), "queued_at") is not None


def age(task_id: str) -> float | None:
    """Seconds since the task was accepted, or None where there is no record of it."""
    queued = client().hget(key(task_id), "queued_at")
    return None if queued is None else time.time() - float(queued)


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
    pipe.expire(key(task_id), lasts())
    holds: str = pipe.execute()[1]
    return holds


def claimed(task_id: str, patient: bool = False) -> str | None:
    """The claim on a task, or None where nobody has claimed it."""
    claim: str | None = client(patient).hget(key(task_id), "claim")
    return claim


def unclaim(task_id: str) -> None:
    """Note that a task which had started waits in its queue again."""
    client(patient=True).hdel(key(task_id), "claim", "started_at")


def met_outage(task_id: str) -> int:
    """Count an outage that a task met while the database answered; returns how many those are."""
    pipe = client(patient=True).pipeline(transaction=True)
    pipe.hincrby(key(task_id), "outages", 1)
    pipe.expire(key(task_id), lasts())
    met: int = pipe.execute()[0]
    return met


def read(task_id: str) -> dict[str, Any] | None:
    """The record and the stored result of a task in one round trip, as the API shows it; None if unknown."""
    return read_many([task_id])[0]


def finish(task_id: str, state: str, error: BaseException | None = None, patient: bool = True) -> None:
    """Note the end of a task of which no result is kept. `patient` waits for Redis as long as an outage lasts."""
    fields = {"state": state, "done_at": datetime.now(UTC).isoformat()}
    if error is not None:
        fields["error"] = json.dumps({"type": type(error).__name__, "message": str(error)[:1000]})
    pipe = client(patient).pipeline(transaction=True)
    pipe.hset(key(task_id), mapping=fields)
    pipe.expire(key(task_id), lasts())
    pipe.execute()


def read_many(task_ids: list[str]) -> list[dict[str, Any] | None]:
    """As `read`, for several tasks in one round trip where results are in the stack's Redis."""
    backend, ours = current_app.backend, isinstance(current_app.backend, RedisBackend)
    pipe = client().pipeline(transaction=False)
    for task_id in task_ids:
        pipe.hgetall(key(task_id))
        if ours:
            pipe.get(backend.get_key_for_task(task_id).decode())
    answers = pipe.execute()
    if not ours:
        return [
            _shown(task_id, record, result_elsewhere(task_id, record)) if record else None
            for task_id, record in zip(task_ids, answers, strict=True)
        ]
    return [
        _shown(task_id, record, backend.decode(stored) if stored else {}) if record else None
        for task_id, record, stored in zip(task_ids, answers[::2], answers[1::2], strict=True)
    ]


def result_elsewhere(task_id: str, record: dict[str, str]) -> dict[str, Any]:
    """What the project's own result backend knows of a task, as ours stores it; nothing where it keeps no results."""
    if "state" in record or isinstance(current_app.backend, DisabledBackend):
        return {}
    meta = dict(current_app.backend.get_task_meta(task_id))
    if isinstance(error := meta.get("result"), BaseException):
        meta["result"] = {"exc_type": type(error).__name__, "exc_message": [str(error)]}
    if isinstance(done := meta.get("date_done"), datetime):
        meta["date_done"] = done.isoformat()
    return meta


def _shown(task_id: str, record: dict[str, str], meta: dict[str, Any]) -> dict[str, Any]:
    state = "REVOKED" if record.get("claim") == REVOKED else meta.get("status", "PENDING")
    if state == "STARTED" and "claim" not in record:
        state = "PENDING"  # Celery says so a moment before the task claims its start, and may yet find it revoked
    if state == "PENDING" and record.get("state"):
        state = record["state"]
    elif state == "PENDING" and int(record.get("retries", 0)):
        state = "RETRY"
    elif state == "PENDING" and not meta and record.get("claim") == STARTED:
        state = "STARTED"  # a task that keeps no result has no other who would say it
    result, ready = meta.get("result"), state in ("SUCCESS", "FAILURE", "REVOKED")
    return {
        "id": task_id,
        "name": record.get("name", ""),
        "state": state,
        "ready": ready,
        "successful": state == "SUCCESS",
        "result": result if state == "SUCCESS" else None,
        "error": json.loads(record["error"]) if "error" in record and not meta else _error(state, result),
        "progress": result if state == "PROGRESS" else None,
        "retries": int(record.get("retries", 0)),
        "queued_at": _iso(record.get("queued_at")),
        "started_at": None if record.get("claim") == REVOKED else _iso(record.get("started_at")),
        "done_at": (meta.get("date_done") or record.get("done_at")) if ready else None,
    }


def _error(state: str, result: Any) -> dict[str, str] | None:
    if state in ("FAILURE", "RETRY", "REVOKED") and isinstance(result, dict) and "exc_type" in result:
        message = result.get("exc_message", "")
        text = " ".join(str(part) for part in message) if isinstance(message, list | tuple) else str(message)
        return {"type": str(result.get("exc_type", "Error")), "message": text}
    return {"type": "TaskRevokedError", "message": WAS_REVOKED} if state == "REVOKED" else None


def _iso(timestamp: str | None) -> str | None:
    return datetime.fromtimestamp(float(timestamp), UTC).isoformat() if timestamp else None
