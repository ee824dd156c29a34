"""How many tasks wait. A queue is one list in Redis for each of kombu's priority steps."""

from collections.abc import Iterable
from typing import Any

from celery import current_app
from kombu.transport.redis import PRIORITY_STEPS

from stack.connections import client


def lists(queue: str) -> list[str]:
    """The keys of a queue's lists, the most urgent first."""
    sep = current_app.conf.broker_transport_options["sep"]
    return [f"{queue}{sep}{step}" if step else queue for step in PRIORITY_STEPS]


def waiting(queues: Iterable[str]) -> dict[str, int]:
    """How many tasks wait in each of these queues.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    names = list(queues)
    pipe = client().pipeline(transaction=False)
    for queue in names:
        for each in lists(queue):
            pipe.llen(each)
    lengths, steps = pipe.execute(), len(PRIORITY_STEPS)
    return {queue: sum(lengths[place * steps : (place + 1) * steps]) for place, queue in enumerate(names)}


def of(task: Any) -> str:
    """The queue to which a task goes, by its own option or by CELERY_TASK_ROUTES."""
    return str(getattr(task, "queue", None) or current_app.amqp.router.route({}, task.name)["queue"].name)


def unacknowledged() -> int:
    """How many tasks of all queues workers have taken and not finished, those among them whose time has not come."""
    # kombu's index has the same tags as its hash of messages.
    return int(client().zcard("unacked_index"))


def configured() -> set[str]:
    """The queues that the settings and the tasks' own options name."""
    conf = current_app.conf
    named = {conf.task_default_queue, *(queue.name for queue in conf.task_queues or ())}
    return named.union(of(task) for task in current_app.tasks.values())
