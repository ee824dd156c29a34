"""How often each hook of each task ran, for people to see: one Redis hash for all tasks."""

import logging

import redis
from stack.broker.connections import client

logger = logging.getLogger(__name__)
KEY = "stack:counters"
HOOKS = ("success", "failure", "retry", "return")


def count(task: str, hook: str) -> None:
    """Add one to a hook's counter. A counter is not worth a failed task: an outage loses the count only."""
    try:
        client().hincrby(KEY, f"{task} {hook}", 1)
    except redis.RedisError as error:
        logger.warning("%s of %s was not counted: %s", hook, task, error)


def read(tasks: list[str]) -> dict[str, dict[str, int]]:
    """The counters of `tasks`, by task and hook.

    Raises:
        redis.exceptions.RedisError: Redis does not answer.
    """
    stored = client().hgetall(KEY)
    return {task: {hook: int(stored.get(f"{task} {hook}", 0)) for hook in HOOKS} for task in tasks}
