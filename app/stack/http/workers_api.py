"""The calls of /api/workers and /api/queues: who works, and what waits."""

from collections.abc import Callable
from typing import Any

import redis
from celery import current_app
from django.http import HttpRequest
from ninja import Schema

from stack.broker.connections import answer_of, client
from stack.broker.keys import describe
from stack.http.guarded import Router
from stack.http.shapes import Problem
from stack.state import backlog, queues, stored, workers
from stack.state.schemas import api_tasks

workers_router, queues_router = Router(tags=["workers"]), Router(tags=["workers"])


class WorkerOut(Schema):
    """`active` tasks run, `reserved` ones are taken and not begun, `delayed` ones wait for their time."""

    name: str
    ready: bool
    state: str
    pool: str
    concurrency: int
    queues: list[str]
    active: int
    reserved: int
    delayed: int
    since: str


class QueueOut(Schema):
    """`waiting` counts the tasks of every priority, `delayed` those that workers hold until their time comes; `oldest`
    is the age in seconds of the one that waits for longest. `workers` are ready and take from this queue.

    `unserved` says why no worker takes what waits, and what to do; null where one does, or nothing waits. `problem`
    says what is wrong with the queue: a key of Redis that is no list, or a name that no queue may have."""

    name: str
    waiting: int
    delayed: int
    oldest: float | None
    workers: int
    unserved: str | None
    problem: str | None


class QueuesOut(Schema):
    """`unacknowledged` counts the tasks of all queues that workers have taken and not finished.

    `problem` says what is wrong with the keys that are not of one queue, such as those in which workers note what they
    have taken."""

    queues: list[QueueOut]
    unacknowledged: int
    problem: str | None


@workers_router.get("", response={200: list[WorkerOut], 503: Problem})
def list_workers(request: HttpRequest) -> list[dict[str, Any]]:
    """Every worker, as it noted itself in the last seconds; a killed one is gone after 15 s."""
    return workers.read()


@queues_router.get("", response={200: QueuesOut, 503: Problem})
def list_queues(request: HttpRequest) -> dict[str, Any]:
    """Each queue that a worker takes from, that the project or a schedule names, or in which sent tasks wait."""
    api_tasks()  # so that every task is known, with the queue it names
    problems: list[str] = []
    there = _asked(problems, workers.read, [])
    scheduled = _asked(problems, lambda: stored.queues(current_app), set())
    seen = backlog.look(queues.of_settings(), there, scheduled)
    unacknowledged, problem = backlog.held()
    problems += [problem] if problem else []
    return {"queues": seen, "unacknowledged": unacknowledged, "problem": " ".join(problems) or None}


def _asked(problems: list[str], read: Callable[[], Any], otherwise: Any) -> Any:
    """What `read` gives; where a key is broken its name goes to `problems`."""
    try:
        return read()
    except redis.ResponseError as error:
        if answer_of(error) is None:
            raise
        problems.append(describe(client(), error))
        return otherwise
