"""Celery's configuration by role: one for all is wrong either way.

The web must fail within two seconds when Redis does; the worker must wait for Redis as long as it takes.
Everything that concerns the transport is in this file.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.broker.breaker import connection_class
from stack.runtime.env import get, redis_url

# Beat's scheduler where the project names none, and the layer around one that it names.
BEAT_DEFAULT, BEAT_LAYER = "stack.beat.scheduler:Scheduler", "stack.beat.layer:scheduler"
# The result backend where results are in Redis.
OURS = "stack.broker.backend:RedisBackend"
# Options of the transport that name keys: workers, the API and the rights in Redis must agree on them.
KEYS = (
    *("sep", "global_keyprefix", "priority_steps", "fanout_prefix", "fanout_patterns", "ack_emulation"),
    *("unacked_key", "unacked_index_key", "unacked_mutex_key"),
)
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


def configuration(role: str, env: dict[str, str]) -> dict[str, Any]:
    """Celery settings of `role` for an app without a project: Flower's."""
    return defaults(env) | above(role, env)


def defaults(env: dict[str, str]) -> dict[str, Any]:
    """What holds where the project says nothing (lower-case names)."""
    return {
        "task_track_started": True,
        "result_expires": get("RESULT_EXPIRES", env),
        "result_chord_expires": 7 * 86400,  # a chord's body never runs once its counter has expired
        "worker_concurrency": get("WORKER_CONCURRENCY", env),
        # A task waits in Redis until a slot is free, so that queue lengths tell the truth.
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_deduplicate_successful_tasks": True,
        "worker_redirect_stdouts": False,
    }


def from_environment(env: dict[str, str], soft: float | None = None) -> dict[str, Any]:
    """What the environment says, which wins over the project where it is set.

    Args:
        soft: the project's own soft time limit in seconds, which stays where it is under the hard one.
    """
    found: dict[str, Any] = {}
    if env.get("RESULT_EXPIRES"):
        found["result_expires"] = get("RESULT_EXPIRES", env)
    if env.get("TIME_ZONE"):
        found["timezone"] = get("TIME_ZONE", env)
    if env.get("WORKER_CONCURRENCY"):
        found["worker_concurrency"] = get("WORKER_CONCURRENCY", env)
    if limit := get("TASK_TIME_LIMIT", env):
        found["task_time_limit"] = limit
        found["task_soft_time_limit"] = soft if soft and soft < limit else soft_limit(limit)
    return found


def above(role: str, env: dict[str, str], given: Callable[[str], Any] = lambda _: None) -> dict[str, Any]:
    """What wins over the project: without these a promise breaks, or the environment says so.

    Args:
        given: the project's own value of a setting, or None.
    """
    url = broker_url(role, env)
    visible = visibility(env, given("broker_transport_options"))
    values: dict[str, Any] = {
        "broker_url": url,
        "broker_read_url": url,
        "broker_write_url": url,
        "visibility_timeout": visible,
        # Which message is which task is in its headers, which the first protocol has not.
        "task_protocol": 2,
        # A task is acknowledged when it is done; a single one that says otherwise is acknowledged before it starts.
        "task_acks_late": True,
        # A task whose process dies is tried again, a bounded number of times.
        "task_reject_on_worker_lost": True,
        "task_retry_on_worker_lost": True,
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that refuses writes for a while (full, failing over) would otherwise end the worker.
        "broker_channel_error_retry": True,
        # True loses tasks where broker and results share a Redis; tasks in flight are acknowledged later.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # STOP_GRACE bounds the stop, for every pool; Celery's own sleeps its full time and works with prefork only.
        "worker_soft_shutdown_timeout": 0,
        "worker_enable_soft_shutdown_on_idle": False,
        # Makes a worker run one task at a time.
        "worker_eta_task_limit": None,
        # One that is started anew has neither the stack's start of a task nor its settings.
        "worker_pool_start_method": "fork",
        # The address above says all of these.
        **dict.fromkeys(("broker_transport", "broker_user", "broker_password", "broker_vhost", "broker_port")),
        **dict.fromkeys(("broker_login_method", "broker_use_ssl", "redis_backend_use_ssl")),
    }
    # Beat and Flower try by themselves as often as they need; only the web has callers who wait.
    guard = {"connection_class": connection_class(url)} if role == "web" else {}
    values["redis_connection_options"] = guard
    values |= _worker(env) if role == "worker" else _caller(role, env, guard)
    values["broker_transport_options"] = _fitting(given("broker_transport_options")) | transport_options(
        role, env, visible
    )
    store, own = result_store(url, given("result_backend")), given("result_backend_transport_options") or {}
    values["result_backend_transport_options"] = {
        **(_fitting(own) if str(store["result_backend"]).startswith(OURS) else own),
        **values.get("result_backend_transport_options", {}),
        "visibility_timeout": visible,
    }
    values |= beat_scheduler(given("beat_scheduler"), env)
    return values | from_environment(env, given("task_soft_time_limit")) | store


def result_store(url: str, wanted: Any) -> dict[str, Any]:
    """Where results go: into the stack's Redis, unless the project names a store of another kind.

    Args:
        url: of the stack's Redis, with its password.
        wanted: the project's `result_backend`, or None.
    """
    kind = wanted.partition("://")[0].partition("+")[0] if isinstance(wanted, str) else wanted
    if not kind or kind in ("redis", "rediss", "sentinel"):
        return {"result_backend": f"{OURS}+{url}"}
    return {"result_backend": wanted}


def visibility(env: dict[str, str], options: Any = None) -> int:
    """Seconds after which what a dead worker held comes back; `options` are the project's for the transport."""
    own = (options or {}).get("visibility_timeout")
    return int(own) if own and not env.get("VISIBILITY_TIMEOUT") else int(get("VISIBILITY_TIMEOUT", env))


def _fitting(options: Any) -> dict[str, Any]:
    """The project's options for the transport, without those that say under which keys tasks and results are."""
    return {name: value for name, value in (options or {}).items() if name not in KEYS}


def soft_limit(hard: float) -> float:
    """When a task is asked to end by SoftTimeLimitExceeded, in seconds, if it is killed after `hard` seconds."""
    return hard * 0.95


def transport_options(role: str, env: dict[str, str], visible: int | None = None) -> dict[str, Any]:
    """What kombu's transport needs to know in `role`."""
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


def _worker(env: dict[str, str]) -> dict[str, Any]:
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


def _caller(role: str, env: dict[str, str], guard: dict[str, Any]) -> dict[str, Any]:
    """The web, beat and Flower ask Redis and give up soon."""
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
        # The lock outlives five loops; a standby takes over within lock + loop seconds.
        "beat_max_loop_interval": 2,
        "redbeat_lock_timeout": 10,
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


def beat_scheduler(given: Any, env: dict[str, str]) -> dict[str, Any]:
    """What lays the stack's layer around the project's scheduler: above the project's settings, in every role.

    Args:
        given: the project's own `beat_scheduler`, a name or a class; None or "" where it names none.
    """
    return {"beat_scheduler": BEAT_LAYER, "stack_beat_scheduler": get("BEAT_SCHEDULER", env) or given or BEAT_DEFAULT}
