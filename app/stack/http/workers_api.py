"""The calls of /api/workers and /api/queues: who works, and what waits."""

from collections.abc import Callable
from typing import Any

import redis
from celery import current_app
from django.http import HttpRequest
from ninja import Schema

from stack.broker.connections import answer_of, client
from stack.broker.keys import describe
from stack.http.api import Problem
from stack.http.guarded import Router
from stack.state import entries, queues, workers
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
    """`waiting` counts the tasks of every priority; `workers` those that are ready and take from this queue.

    `problem` says what is wrong with the queue: a key of Redis that is no list, or a name that no queue may have."""

    name: str
    waiting: int
    workers: int
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
    """The length of each queue that a worker takes from, or that the settings, a task or a schedule name."""
    api_tasks()  # so that every task is known, with the queue it names
    problems: list[str] = []
    ready = [worker for worker in _told(problems, workers.read, []) if worker["ready"]]
    scheduled = _told(problems, lambda: entries.queues(current_app), set())
    names = (queues.configured() | scheduled).union(*(worker["queues"] for worker in ready))
    lengths = queues.lengths(sorted(names))
    unacknowledged, problem = queues.held()
    problems += [problem] if problem else []
    return {
        "queues": [
            _shown(name, length, sum(name in worker["queues"] for worker in ready)) for name, length in lengths.items()
        ],
        "unacknowledged": unacknowledged,
        "problem": " ".join(problems) or None,
    }


def _told(problems: list[str], read: Callable[[], Any], otherwise: Any) -> Any:
    """What `read` gives; where a key is broken its name goes to `problems`."""
    try:
        return read()
    except redis.ResponseError as error:
        if answer_of(error) is None:
            raise
        problems.append(describe(client(), error))
        return otherwise


def _shown(name: str, length: int | Exception, takers: int) -> dict[str, Any]:
    why, waiting = queues.problem(name), 0 if isinstance(length, Exception) else length
    problem = f"the name {name!r} {why}." if why else None
    if isinstance(length, Exception):
        problem = describe(client(), length)
    return {"name": name, "waiting": waiting, "workers": takers, "problem": problem}
