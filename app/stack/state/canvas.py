"""Canvases in Redis: one hash for each, by which its tasks are found again, and how far they are.

Celery stores a group only on request and a chain not at all. The ids of a canvas's tasks are chosen before anything is
sent (plans.py), so that the record is complete even if sending ends half-way.
"""

import json
from contextlib import suppress
from typing import Any

import redis
from celery import current_app

from stack.broker.connections import client
from stack.state import records
from stack.state.plans import Plan

SHOWN = 10_000  # results that one answer carries; the rest is read task by task
DONE: dict[str, Any] = {"state": "SUCCESS", "ready": True, "successful": True}


def key(canvas_id: str) -> str:
    """The key of a canvas's record."""
    return f"stack:canvas:{canvas_id}"


def _done_key(canvas_id: str) -> str:
    return f"stack:canvas-done:{canvas_id}"


def record(plan: Plan) -> None:
    """Note a canvas, before anything of it is sent.

    Raises:
        redis.exceptions.RedisError: Redis does not take it.
    """
    stored = {
        "kind": plan.kind,
        "members": json.dumps(plan.members),
        "sizes": json.dumps(plan.sizes),
        "last": plan.last,
    }
    pipe = client().pipeline(transaction=True)
    pipe.hset(key(plan.id), mapping=stored)
    pipe.expire(key(plan.id), records.lasts())
    pipe.execute()


def send(plan: Plan) -> None:
    """Send a canvas that was recorded.

    Raises:
        redis.exceptions.RedisError, kombu.exceptions.OperationalError: Redis does not take it. Tasks that were
        sent before that run; the record tells which.
    """
    for signature in plan.signatures:
        signature.apply_async()


def read(canvas_id: str) -> dict[str, Any] | None:
    """A canvas as the API shows it, or None when its id is unknown or has expired."""
    pipe = client().pipeline(transaction=False)
    pipe.hgetall(key(canvas_id))
    pipe.smembers(_done_key(canvas_id))
    stored, known = pipe.execute()
    if not stored:
        return None
    members, sizes = json.loads(stored["members"]), json.loads(stored["sizes"])
    tasks = _tasks(canvas_id, members, known)
    over = [bool(task and task["ready"]) for task in tasks]
    place = next((n for n, task in enumerate(tasks) if task and task["ready"] and not task["successful"]), None)
    failed = None if place is None else tasks[place]
    ready = _is_ready(stored["kind"], over, place)
    successful = ready and failed is None
    state = "SUCCESS" if successful else (failed or {}).get("state", "FAILURE") if ready else _under_way(tasks)
    pairs = zip(sizes, tasks, strict=True)
    shown = successful and sum(sizes) <= SHOWN
    return {
        "id": canvas_id,
        "kind": stored["kind"],
        "state": state,
        "ready": ready,
        "successful": successful,
        "completed": sum(size for size, task in pairs if task and task["successful"]),
        "total": sum(sizes),
        "result": _result(stored["kind"], members[-1:] if stored["last"] else members) if shown else None,
        "error": {"id": failed["id"], **failed["error"]} if failed and failed["error"] else None,
        "members": members,
    }


def _tasks(canvas_id: str, members: list[str], known: set[str]) -> list[dict[str, Any] | None]:
    """The members' records. One that was seen to succeed is remembered: its result is not read at each look."""
    tasks: dict[str, dict[str, Any] | None] = dict.fromkeys(members, DONE)
    unknown = [task_id for task_id in members if task_id not in known]
    tasks |= dict(zip(unknown, records.read_many(unknown), strict=True))
    if new := [task_id for task_id in unknown if (tasks[task_id] or {}).get("successful")]:
        pipe = client().pipeline(transaction=True)
        pipe.sadd(_done_key(canvas_id), *new)
        # As long as its results, of which each counts from its end.
        for each in (_done_key(canvas_id), key(canvas_id)):
            pipe.expire(each, records.lasts())
        with suppress(redis.ResponseError):  # a full Redis takes no notes, and can still be read
            pipe.execute()
    return [tasks[task_id] for task_id in members]


def _is_ready(kind: str, over: list[bool], failed: int | None) -> bool:
    """Whether no member of a canvas runs or will run.

    Args:
        over: of each member, whether it is ready.
        failed: the place of the first member that has failed or was revoked.
    """
    if failed is None:
        # What follows others ends after them, and they may keep no state (ignore_result).
        return over[-1] if kind in ("chain", "chord") else all(over)
    if kind == "chain":
        return all(over[: failed + 1])  # what follows it is never sent; a revoked one may follow one that runs
    if kind == "chord":
        return all(over[:-1])  # nor is the body then, but each of the header runs
    return all(over)


def _under_way(tasks: list[Any]) -> str:
    return "STARTED" if any(task and task["state"] != "PENDING" for task in tasks) else "PENDING"


def _result(kind: str, members: list[str]) -> Any:
    results = [task and task["result"] for task in records.read_many(members)]
    if kind == "chunks":
        return [item for part in results for item in part or ()]
    return results if kind == "group" else results[0]


def revoke(canvas_id: str) -> int:
    """Revoke every task of a canvas that has not started; returns how many that were.

    Tasks of a chain or a chord that are not sent yet find their claim taken when their time comes.
    """
    members = json.loads(client().hget(key(canvas_id), "members") or "[]")
    revoked = [task_id for task_id in members if records.claim(task_id, "", records.REVOKED) == records.REVOKED]
    for task_id in revoked:
        current_app.backend.mark_as_revoked(task_id, records.WAS_REVOKED)
    return len(revoked)
