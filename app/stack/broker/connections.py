"""This process's connections to Redis, for what is not a message or a result."""

import threading
from collections.abc import Callable
from typing import Any

import redis
from celery import current_app
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from stack.broker.keys import Client
from stack.runtime import heartbeat

FOR_NOW = ("MISCONF ", "NOREPLICAS ", "BUSY ")
_lock = threading.Lock()
_clients: dict[bool, redis.Redis] = {}


def refused_for_now(error: Exception) -> bool:
    """Whether Redis answered, and will do later what it does not do now: it is full, cannot write, or is a replica."""
    if isinstance(error, OutOfMemoryError | ReadOnlyError | MasterDownError):
        return True
    # It cannot write to its disk, has too few replicas, or runs a script.
    return isinstance(error, redis.ResponseError) and any(word in str(error) for word in FOR_NOW)


class PatientRetry(Retry):
    """redis-py's, which tries again after such an answer too."""

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **options: Any) -> Any:
        def once() -> Any:
            try:
                return do()
            except redis.ResponseError as error:
                if refused_for_now(error):
                    raise redis.ConnectionError(str(error)) from error
                raise

        return super().call_with_retry(once, *args, **options)


class Patience(ExponentialBackoff):
    """The pauses between the tries of a patient client."""

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
        retry: Retry = PatientRetry(Patience(cap=2, base=0.1), 1000, (redis.ConnectionError, redis.TimeoutError))
    else:
        # A connection that Redis closed is worth a second try at once. So is one that says nothing, which a firewall
        # may have forgotten overnight; but not for the web, where the time for a second try is not there.
        web = bool(conf.redis_connection_options)
        retry = Retry(NoBackoff(), 1, (redis.ConnectionError, *(() if web else (redis.TimeoutError,))))
    return Client.from_url(
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


def answered(error: BaseException | type | None) -> redis.ResponseError | redis.DataError | None:
    """What Redis answered, at the bottom of `error`; None where it did not answer, or where it is something else.

    kombu and Celery wrap what Redis answered into errors of their own, which look like an outage.
    """
    while isinstance(error, BaseException):
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            return None
        if isinstance(error, redis.ResponseError | redis.DataError):
            return error
        error = error.__cause__ or error.__context__
    return None


def answer_of(error: BaseException | type | None) -> Exception | None:
    """The refusal of Redis at the bottom of `error`; None for an outage, and for what Redis refuses only for now."""
    answer = answered(error)
    return None if answer is None or refused_for_now(answer) else answer
