"""What differs by role in Celery's configuration: for how long each waits for Redis, at which address.

One for all is wrong either way: the web must fail within two seconds when Redis does; the worker must wait for Redis as
long as it takes.
"""

from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.runtime.env import get, redis_url

# Of beat, in seconds: its lock, and its longest sleep. The lock outlives five loops; a standby takes over within lock +
# loop seconds.
LOCK, LOOP = 10, 2
# What each TASK_TRANSPORT adds to the broker's options.
TRANSPORTS: dict[str, dict[str, Any]] = {
    "stock": {
        # What a dead worker held is looked for every 5 s; the default sweep takes 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # The lists of a queue's priorities are celery, celery:3, celery:6 and celery:9.
        "sep": ":",
    }
}


def address(role: str, env: dict[str, str]) -> str:
    """Redis's address without user and password."""
    scheme, _, host, port, database = redis_url(role, env)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/{database}"


def broker_url(role: str, env: dict[str, str]) -> str:
    """Redis's address with the role's user and password, as kombu and redis-py read it."""
    scheme, _, place = address(role, env).partition("://")
    user, password = quote(redis_url(role, env)[1], safe=""), quote(get("REDIS_PASSWORD", env), safe="")
    tls = "?ssl_cert_reqs=required" if scheme == "rediss" else ""
    return f"{scheme}://{user}:{password}@{place}{tls}"


def transport_options(role: str, env: dict[str, str], visible: int | None = None) -> dict[str, Any]:
    """What kombu's transport needs to know in `role`.

    Args:
        visible: the visibility timeout in seconds, where that is not VISIBILITY_TIMEOUT.
    """
    seconds = _patience(role)
    common = {"visibility_timeout": visible or get("VISIBILITY_TIMEOUT", env), "socket_keepalive": True}
    common |= TRANSPORTS[get("TASK_TRANSPORT", env)]
    if role != "worker":
        return common | {"socket_timeout": seconds, "socket_connect_timeout": seconds, "health_check_interval": 10}
    # Without these four a connection that a firewall cut is never noticed; with only some, a task is lost.
    # With a Redis that hangs, several of these waits follow each other in the main loop: with 5 s each it
    # stood still for 46 s, close to the 60 after which it would count as hung.
    return common | {
        "socket_timeout": seconds,
        "socket_connect_timeout": 2,
        "health_check_interval": 5,
        "retry_on_timeout": True,
    }


def _patience(role: str) -> int:
    """Seconds for one answer of Redis; beat may take a little longer than a page."""
    return 1 if role == "web" else 3


def of_worker(env: dict[str, str]) -> dict[str, Any]:
    """The worker's own settings: it waits for Redis as long as an outage lasts."""
    return {
        "worker_consumer": "stack.worker.consumer:Consumer",
        # A task that succeeded during an outage must not be stored as failed.
        "result_backend_always_retry": True,
        "result_backend_max_retries": 1000,
        "result_backend_max_sleep_between_retries_ms": 2000,
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 3,
        "redis_backend_health_check_interval": 10,
        "redis_retry_on_timeout": True,
        "redis_socket_keepalive": True,
        # A task that sends another waits for Redis as long as an outage lasts; giving up would make it fail.
        "task_publish_retry": True,
        "task_publish_retry_policy": {
            "max_retries": 1000,
            "interval_start": 0.1,
            "interval_step": 0.2,
            "interval_max": 2,
        },
    } | ({"worker_concurrency": 1} if get("WORKER_POOL", env) == "solo" else {})


def of_caller(role: str, env: dict[str, str], guard: dict[str, Any]) -> dict[str, Any]:
    """The settings of web, beat and Flower, which ask Redis and give up soon.

    Args:
        guard: options of a connection that redis-py makes.
    """
    seconds = _patience(role)
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
    return {
        "broker_connection_timeout": seconds,
        "broker_pool_limit": get("WEB_THREADS", env),
        "broker_pool_acquire_timeout": 1,
        "task_publish_retry": True,
        "task_publish_retry_policy": once,
        "redis_socket_timeout": seconds,
        "redis_socket_connect_timeout": seconds,
        "result_backend_always_retry": False,
        "result_backend_transport_options": {
            "retry_policy": once | {"timeout": seconds},
        },
        "beat_max_loop_interval": LOOP,
        "redbeat_lock_timeout": LOCK,
        # Apart from the address: Celery masks passwords in `celery report`, but not within this key.
        "redbeat_redis_url": address(role, env),
        # The rights in Redis are for keys that begin so.
        "redbeat_key_prefix": "redbeat:",
        "redbeat_redis_options": guard
        | {
            "username": redis_url(role, env)[1],
            "password": get("REDIS_PASSWORD", env),
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "socket_keepalive": True,
            # As in broker/connections.py: one that hangs has had its time, and a second try is too long for a page.
            "retry": Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        },
    }
