"""Canvases as the API knows them: what is sent, and one Redis hash per canvas to find its tasks again.

Celery stores a group only on request and a chain not at all. Each task of a canvas gets its id here, before
anything is sent, so that the record is complete even if sending ends half-way.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from celery import chain, chord, current_app, group
from celery.canvas import Signature
from kombu.utils.uuid import uuid

from stack import records
from stack.connections import client

SHOWN = 10_000  # results that one answer carries; the rest is read task by task


@dataclass
class Plan:
    """What a call sends, and the ids by which its progress is told.

    Attributes:
        signatures: sent one after the other; made as they are sent where there is much in them.
        members: ids of the tasks that count, in the order of their results.
        sizes: how many items each member stands for (1, or the length of a chunk).
        last: id of the task whose result is the canvas's; empty where the list of all results is.
    """

    kind: str
    signatures: Iterable[Any]
    members: list[str]
    sizes: list[int]
    last: str = ""
    id: str = field(default_factory=uuid)


def named(signature: Signature) -> str:
    """Give a signature its task id and return it."""
    task_id = uuid()
    signature.set(task_id=task_id)
    return task_id


def plan_group(tasks: list[Signature]) -> Plan:
    members = [named(task) for task in tasks]
    return Plan("group", [group(tasks)], members, [1] * len(members))


def plan_chain(tasks: list[Signature]) -> Plan:
    members = [named(task) for task in tasks]
    return Plan("chain", [chain(*tasks)], members, [1] * len(members), last=members[-1])


def plan_chord(header: list[Signature], body: Signature) -> Plan:
    members = [named(task) for task in (*header, body)]
    return Plan("chord", [chord(header, body)], members, [1] * len(members), last=members[-1])


def plan_map(kind: str, task: Any, items: Sequence[Any]) -> Plan:
    """`map` and `starmap` are one task that takes the items one after the other."""
    signature = getattr(task, kind)(items)
    task_id = named(signature)
    return Plan(kind, [signature], [task_id], [len(items)], last=task_id)


class Pairs(Sequence[Any]):
    """The items (i, i) of a range, each made when it is asked for: a million need no memory."""

    def __init__(self, numbers: range):
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [(number, number) for number in self.numbers[place]]
        return (self.numbers[place], self.numbers[place])


def plan_chunks(task: Any, items: Sequence[Any], size: int) -> Plan:
    """Starmaps over `size` items each."""
    starts = range(0, len(items), size)
    members = [uuid() for _ in starts]
    sizes = [min(size, len(items) - start) for start in starts]
    signatures = (
        task.starmap(items[start : start + size]).set(task_id=member)
        for start, member in zip(starts, members, strict=True)
    )
    return Plan("chunks", signatures, members, sizes)


def key(canvas_id: str) -> str:
    return f"stack:canvas:{canvas_id}"


def send(plan: Plan) -> str:
    """Record a canvas and send it; returns its id.

    Raises:
        redis.exceptions.RedisError, kombu.exceptions.OperationalError: Redis does not take it. Tasks that were
        sent before that run; the record tells which.
    """
    stored = {
        "kind": plan.kind,
        "members": json.dumps(plan.members),
        "sizes": json.dumps(plan.sizes),
        "last": plan.last,
    }
    pipe = client().pipeline(transaction=True)
    pipe.hset(key(plan.id), mapping=stored)
    pipe.expire(key(plan.id), current_app.conf.result_expires)
    pipe.execute()
    for signature in plan.signatures:
        signature.apply_async()
    return plan.id


def read(canvas_id: str) -> dict[str, Any] | None:
    """A canvas as the API shows it, or None when its id is unknown or has expired."""
    stored = client().hgetall(key(canvas_id))
    if not stored:
        return None
    members, sizes = json.loads(stored["members"]), json.loads(stored["sizes"])
    tasks = records.read_many(members)
    done = [bool(task and task["successful"]) for task in tasks]
    failed = next((task for task in tasks if task and task["ready"] and not task["successful"]), None)
    over = [bool(task and task["ready"]) for task in tasks]
    # What follows a failed task of a chain is never sent; the other tasks of a group run to their end.
    ready = over[-1] or failed is not None if stored["last"] else all(over)
    successful = ready and failed is None
    state = "SUCCESS" if successful else (failed or {}).get("state", "FAILURE") if ready else _under_way(tasks)
    return {
        "id": canvas_id,
        "kind": stored["kind"],
        "state": state,
        "ready": ready,
        "successful": successful,
        "completed": sum(size for size, is_done in zip(sizes, done, strict=True) if is_done),
        "total": sum(sizes),
        "result": _result(stored["kind"], bool(stored["last"]), tasks) if successful and sum(sizes) <= SHOWN else None,
        "error": {"id": failed["id"], **failed["error"]} if failed and failed["error"] else None,
        "members": members,
    }


def _under_way(tasks: list[Any]) -> str:
    return "STARTED" if any(task and task["state"] != "PENDING" for task in tasks) else "PENDING"


def _result(kind: str, has_last: bool, tasks: list[Any]) -> Any:
    if has_last:
        return tasks[-1]["result"]
    results = [task["result"] for task in tasks]
    return [item for part in results for item in part] if kind == "chunks" else results


def revoke(canvas_id: str) -> int:
    """Revoke every task of a canvas that has not started; returns how many that were.

    Tasks of a chain or a chord that are not sent yet find their claim taken when their time comes.
    """
    members = json.loads(client().hget(key(canvas_id), "members") or "[]")
    revoked = [task_id for task_id in members if records.claim(task_id, "", records.REVOKED) == records.REVOKED]
    for task_id in revoked:
        current_app.backend.mark_as_revoked(task_id, records.WAS_REVOKED)
    return len(revoked)
