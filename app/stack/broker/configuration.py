"""Celery's configuration by role: one for all is wrong either way.

The web must fail within two seconds when Redis does; the worker must wait for Redis as long as it takes.
Everything that concerns the transport is in this file.
"""

from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.broker.breaker import connection_class
from stack.runtime.env import get, redis_url

# What each TASK_TRANSPORT adds to the broker's options.
TRANSPORTS: dict[str, dict[str, Any]] = {
    "stock": {
        # What a dead worker held is looked for every 5 s; the default sweep takes 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # The lists of a queue's priorities are default, default:3, default:6 and default:9.
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


def configuration(role: str, env: dict[str, str]) -> dict[str, Any]:
    """Celery settings of `role` (lower-case names), on top of the CELERY_ ones in settings.py."""
    url = broker_url(role, env)
    visible = get("VISIBILITY_TIMEOUT", env)
    common: dict[str, Any] = {
        "broker_url": url,
        "result_backend": f"stack.broker.backend:RedisBackend+{url}",
        "visibility_timeout": visible,
        "result_expires": get("RESULT_EXPIRES", env),
        "task_time_limit": get("TASK_TIME_LIMIT", env),
        "task_soft_time_limit": soft_limit(get("TASK_TIME_LIMIT", env)),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that refuses writes for a while (full, failing over) would otherwise end the worker.
        "broker_channel_error_retry": True,
        # True loses tasks where broker and results share a Redis; tasks in flight are acknowledged later.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
    common["broker_transport_options"] = transport_options(role, env)
    # Beat and Flower try by themselves as often as they need; only the web has callers who wait.
    guard = {"connection_class": connection_class(url)} if role == "web" else {}
    common["redis_connection_options"] = guard
    return common | (_worker(env) if role == "worker" else _caller(role, env, guard))


def soft_limit(hard: float) -> float:
    """When a task is asked to end by SoftTimeLimitExceeded, in seconds, if it is killed after `hard` seconds."""
    return hard * 0.95


def transport_options(role: str, env: dict[str, str]) -> dict[str, Any]:
    """What kombu's transport needs to know in `role`."""
    seconds = _patience(role)
    common = {"visibility_timeout": get("VISIBILITY_TIMEOUT", env), "socket_keepalive": True}
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


def _worker(env: dict[str, str]) -> dict[str, Any]:
    return {
        "worker_consumer": "stack.worker.consumer:Consumer",
        # A task that succeeded during an outage must not be stored as failed.
        "result_backend_always_retry": True,
        "result_backend_max_retries": 1000,
        "result_backend_max_sleep_between_retries_ms": 2000,
        "result_backend_transport_options": {"visibility_timeout": get("VISIBILITY_TIMEOUT", env)},
        "redis_socket_timeout": 5,
        "redis_socket_connect_timeout": 3,
        "redis_backend_health_check_interval": 10,
        "redis_retry_on_timeout": True,
        "redis_socket_keepalive": True,
        "worker_concurrency": 1 if get("WORKER_POOL", env) == "solo" else get("WORKER_CONCURRENCY", env),
        # A task waits in Redis until a slot is free, so that queue lengths tell the truth.
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_deduplicate_successful_tasks": True,
    }


def _caller(role: str, env: dict[str, str], guard: dict[str, Any]) -> dict[str, Any]:
    """The web, beat and Flower ask Redis and give up soon."""
    seconds = _patience(role)
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
    return {
        "broker_connection_timeout": seconds,
        "broker_pool_limit": get("WEB_THREADS", env),
        "broker_pool_acquire_timeout": 1,
        "task_publish_retry_policy": once,
        "redis_socket_timeout": seconds,
        "redis_socket_connect_timeout": seconds,
        "result_backend_always_retry": False,
        "result_backend_transport_options": {
            "visibility_timeout": get("VISIBILITY_TIMEOUT", env),
            "retry_policy": once | {"timeout": seconds},
        },
        "beat_scheduler": "stack.beat.scheduler:Scheduler",
        # The lock outlives five loops; a standby takes over within lock + loop seconds.
        "beat_max_loop_interval": 2,
        "redbeat_lock_timeout": 10,
        # Apart from the address: Celery masks passwords in `celery report`, but not within this key.
        "redbeat_redis_url": address(role, env),
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
