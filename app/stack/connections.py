"""This process's connections to Redis, for what is not a message or a result."""

import threading
from typing import Any

from celery import current_app
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

import redis
from stack import heartbeat

_lock = threading.Lock()
_clients: dict[bool, redis.Redis] = {}


class Patience(ExponentialBackoff):
    def compute(self, failures: int) -> float:
        """As redis-py's, and a sign of life: a solo pool's task waits for Redis in the worker's main loop."""
        heartbeat.waiting()
        return super().compute(failures)


def client(patient: bool = False) -> Any:
    """A redis-py client with this role's address and time limits, shared by the process's threads.

    Args:
        patient: wait for Redis as long as an outage lasts. Right inside a task, where giving up would turn
            an outage into a failed task; wrong in a request, where it would turn it into a hang.

    Raises:
        redis.exceptions.RedisError: by the client's calls, when Redis is down, hung or full.
    """
    with _lock:
        if patient not in _clients:
            _clients[patient] = new_client(patient)
        return _clients[patient]


def new_client(patient: bool = False, seconds: float | None = None) -> Any:
    """A client as `client` gives, of the caller's own.

    Args:
        patient: as above.
        seconds: limit of each connect and of each answer, in place of the role's.
    """
    conf = current_app.conf
    if patient:
        retry = Retry(Patience(cap=2, base=0.1), 1000, (redis.ConnectionError, redis.TimeoutError))
    else:
        # A connection that Redis closed is worth a second try at once; one that hangs has had its time.
        retry = Retry(NoBackoff(), 1, (redis.ConnectionError,))
    return redis.Redis.from_url(
        conf.broker_url,
        decode_responses=True,
        socket_timeout=seconds or conf.redis_socket_timeout,
        socket_connect_timeout=seconds or conf.redis_socket_connect_timeout,
        socket_keepalive=True,
        health_check_interval=10,
        retry=retry,
        **conf.redis_connection_options,
    )


def server_problem(version: str) -> str | None:
    """What is wrong with a Redis server of this version ("6.0.16"), or None when Celery's transport works with it."""
    if tuple(int(part) for part in version.split(".")[:2]) >= (6, 2):
        return None
    return (
        f"Redis {version} is too old for this Celery, which needs 6.2 or newer: tasks would fail. Upgrade the server."
    )
