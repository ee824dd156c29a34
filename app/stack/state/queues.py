"""Which queues there are, and how many tasks wait. A queue is one list in Redis for each of kombu's priority steps."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import redis
from celery import current_app
from celery.app.routes import MapRoute, prepare
from django.conf import settings
from kombu.transport.redis import PRIORITY_STEPS, Channel

from stack.broker.connections import client
from stack.broker.keys import describe, is_wrong_type
from stack.broker.routing import ReservedQueue
from stack.runtime.env import get
from stack.runtime.names import problem

# Every queue that a worker ever served here; workers add to it, and it stays when they go.
SERVED = "stack:queues"
NAMED = 20  # accepted names that one message tells


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


def of(task: Any) -> str:
    """The queue to which a task goes, by its own option or by CELERY_TASK_ROUTES.

    Raises:
        stack.broker.routing.ReservedQueue: a function of CELERY_TASK_ROUTES names one that no queue may have.
    """
    return name_of(getattr(task, "queue", None) or current_app.amqp.router.route({}, task.name)["queue"])


def name_of(queue: Any) -> str:
    """The name of a queue that is given by its name or as kombu's Queue."""
    return str(getattr(queue, "name", queue))


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


def configured() -> set[str]:
    """The queues that the settings and the tasks' own options name."""
    conf = current_app.conf
    found = {conf.task_default_queue, *of_queues(conf.task_queues)}
    for task in current_app.tasks.values():
        with suppress(ReservedQueue):  # what sends it is told
            found.add(of(task))
    return found


def of_queues(queues: Any) -> set[str]:
    """The names of CELERY_TASK_QUEUES, which is a list of kombu's Queue or a mapping."""
    return {name_of(queue) for queue in queues or ()}


def of_routes(routes: Any) -> set[str]:
    """The queues that CELERY_TASK_ROUTES names; one that a function names shows when it is asked."""
    tables = [route for route in prepare(routes) if isinstance(route, MapRoute)]
    return of_options(each for table in tables for each in (*table.map.values(), *table.patterns.values()))


def of_entries(entries: dict[str, Any]) -> set[str]:
    """The queues that the entries of CELERY_BEAT_SCHEDULE name."""
    return of_options(
        (fields.get("options") if isinstance(fields, dict) else getattr(fields, "options", None)) or {}
        for fields in entries.values()
    )


def of_options(options: Iterable[Any]) -> set[str]:
    """The `queue` of each of these options; a route may be the name of a queue alone."""
    found = (each.get("queue") if isinstance(each, dict) else each for each in options)
    return {name_of(queue) for queue in found if queue}


def of_settings() -> set[str]:
    """Every queue that the settings, the tasks, WORKER_QUEUES or the schedules of the settings name."""
    conf = current_app.conf
    named = of_routes(conf.task_routes) | of_entries(conf.beat_schedule or {})
    return configured() | named | set(get("WORKER_QUEUES", settings.ENV))


def served() -> set[str]:
    """Every queue that a worker ever served here. Raises as `waiting` does."""
    return set(client().smembers(SERVED))


class Known:
    """The queues to which a schedule may send; Redis is asked for one that the settings do not name."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def refusal(self, queue: Any) -> str | None:
        """Why a schedule must not send to `queue`, with the names that are accepted; None where it may.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
        """
        if why := problem(queue):
            return f"{queue!r} {why}."
        self.names = self.names or of_settings()
        if queue in self.names:
            return None
        self.names |= {name for name in served() if not problem(name)}
        if queue in self.names:
            return None
        accepted = sorted(self.names)
        more = f" and {len(accepted) - NAMED} more" if len(accepted) > NAMED else ""
        return (
            f"{queue!r} is no queue of this project: the settings do not name it, and no worker ever served it here. "
            f"It must be one of {', '.join(accepted[:NAMED])}{more}. "
            "For a new one start a worker with it in WORKER_QUEUES."
        )


def wrong_key(queue: str) -> str | None:
    """Which key of a queue, of its lists or its binding, is something else, and what to do; None where none is."""
    pipe = client().pipeline(transaction=False)
    for each in lists(queue):
        pipe.llen(each)
    pipe.smembers(Channel.keyprefix_queue % queue)
    failed = next((each for each in pipe.execute(raise_on_error=False) if isinstance(each, Exception)), None)
    return describe(client(), failed) if failed else None
