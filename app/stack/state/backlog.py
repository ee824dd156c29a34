"""How many tasks wait, since when, and who takes them. A queue is a list in Redis for each priority step of kombu."""

import time
from collections.abc import Iterable
from typing import Any

import redis
from celery import current_app
from kombu.transport.redis import PRIORITY_STEPS, Channel

from stack.broker.connections import client
from stack.broker.keys import describe, is_wrong_type
from stack.broker.sent import SENT
from stack.runtime.names import problem

# When the oldest task of each queue was queued, in Unix seconds. A worker looks, as web may read no task.
OLDEST = "stack:queues:oldest"
GUIDE = "docs/queues.md"


def lists(queue: str) -> list[str]:
    """The keys of a queue's lists, the most urgent first."""
    sep = current_app.conf.broker_transport_options["sep"]
    return [f"{queue}{sep}{step}" if step else queue for step in PRIORITY_STEPS]


def lengths(queues: Iterable[str]) -> dict[str, int | Exception]:
    """How many tasks wait in each of these queues, or Redis's answer where the key of one is no list.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    names = list(queues)
    pipe = client().pipeline(transaction=False)
    for queue in names:
        for each in lists(queue):
            pipe.llen(each)
    answers, steps = pipe.execute(raise_on_error=False), len(PRIORITY_STEPS)
    found: dict[str, int | Exception] = {}
    for place, queue in enumerate(names):
        parts = answers[place * steps : (place + 1) * steps]
        failed = next((each for each in parts if isinstance(each, Exception)), None)
        found[queue] = failed or sum(parts)
    return found


def waiting(queues: Iterable[str]) -> dict[str, int]:
    """How many tasks wait in each of these queues.

    Raises:
        redis.exceptions.RedisError: Redis does not answer, or the key of a queue is no list.
    """
    found: dict[str, int] = {}
    for queue, length in lengths(queues).items():
        if isinstance(length, Exception):
            raise length
        found[queue] = length
    return found


def look(project: Iterable[str], workers: list[dict[str, Any]], further: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Each queue with what waits there, since when, and who takes it: those of the project and of workers, and those to
    which tasks were sent that wait.

    Args:
        project: the names that the project knows.
        workers: what they say of themselves.
        further: more names, those that schedules use.

    Returns:
        list of dict: name, waiting, delayed, oldest (its age in seconds), workers, problem, unserved.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    pipe = client().pipeline(transaction=False)
    sent, since = pipe.zrange(SENT, 0, -1).hgetall(OLDEST).execute(raise_on_error=False)
    sent = set() if isinstance(sent, Exception) else {name for name in sent if not problem(name)}
    since = {} if isinstance(since, Exception) else since
    known = {*project, *further}.union(*(worker["queues"] for worker in workers if worker["ready"]))
    found, now = [], time.time()
    for name, length in lengths(sorted(known | sent)).items():
        broken = isinstance(length, Exception)
        waiting = 0 if isinstance(length, Exception) else length
        if name not in known and not waiting and not broken:
            continue
        takers = [worker for worker in workers if name in worker["queues"]]
        why = f"the name {name!r} {why}." if (why := problem(name)) else None
        found.append(
            {
                "name": name,
                "waiting": waiting,
                "delayed": sum(worker["delayed_in"].get(name, 0) for worker in workers),
                "oldest": max(0.0, round(now - float(since[name]), 1)) if waiting and name in since else None,
                "workers": sum(worker["ready"] for worker in takers),
                "problem": describe(client(), length) if isinstance(length, Exception) else why,
                "unserved": unserved(name, waiting, bool(workers), name in project) if waiting and not takers else None,
            }
        )
    return found


def unserved(name: str, waiting: int, works: bool, named: bool) -> str:
    """That nobody takes what waits in a queue, why, and what to do.

    Args:
        waiting: how many tasks.
        works: whether any worker runs.
        named: whether the project names the queue.
    """
    count = "1 task waits" if waiting == 1 else f"{waiting} tasks wait"
    if not works:
        return f"{count} here, and no worker runs: start one."
    if named:
        return (
            f"{count} here, and no running worker takes from this queue: WORKER_QUEUES leaves it out. Name it there, "
            f"or start a worker of its own ({GUIDE})."
        )
    return (
        f"{count} here, no running worker takes from this queue, and the project does not name it. Is it misspelt "
        "where the task is sent? If not, name it in CELERY_TASK_QUEUES, or start a worker with "
        f"WORKER_QUEUES={name} ({GUIDE})."
    )


def held() -> tuple[int, str | None]:
    """How many tasks of all queues workers have taken and not finished, those among them whose time has not come; and
    what is wrong with the keys in which workers note them, which stops every worker."""
    pipe = client().pipeline(transaction=False)
    # kombu's index has the same tags as its hash of messages; of the hash it is asked only whether it is one.
    pipe.zcard("unacked_index").hget("unacked", "")
    count, hashed = pipe.execute(raise_on_error=False)
    failed = count if isinstance(count, Exception) else hashed if is_wrong_type(hashed) else None
    if failed is None:
        return int(count), None
    if not isinstance(failed, redis.ResponseError):
        raise failed
    return 0 if isinstance(count, Exception) else int(count), describe(client(), failed)


def wrong_key(queue: str) -> str | None:
    """Which key of a queue, of its lists or its binding, is something else, and what to do; None where none is."""
    pipe = client().pipeline(transaction=False)
    for each in lists(queue):
        pipe.llen(each)
    pipe.smembers(Channel.keyprefix_queue % queue)
    failed = next((each for each in pipe.execute(raise_on_error=False) if isinstance(each, Exception)), None)
    return describe(client(), failed) if failed else None
