"""Celery's configuration: what the stack lays above the project's settings and below them, with the reasons.

What differs by role is in by_role.py; precedence.py lays it around the settings of the project's app.
"""

from collections.abc import Callable
from typing import Any

from stack.broker.breaker import connection_class
from stack.broker.by_role import broker_url, of_caller, of_worker, transport_options
from stack.runtime.env import get

# Beat's scheduler where the project names none, and the layer around one that it names.
BEAT_DEFAULT, BEAT_LAYER = "stack.beat.scheduler:Scheduler", "stack.beat.layer:scheduler"
# The result backend where results are in Redis.
OURS = "stack.broker.backend:RedisBackend"
# Options of the transport that name keys: workers, the API and the rights in Redis must agree on them.
KEYS = (
    *("sep", "global_keyprefix", "priority_steps", "fanout_prefix", "fanout_patterns", "ack_emulation"),
    *("unacked_key", "unacked_index_key", "unacked_mutex_key"),
)


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
    values |= of_worker(env) if role == "worker" else of_caller(role, env, guard)
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


def beat_scheduler(given: Any, env: dict[str, str]) -> dict[str, Any]:
    """What lays the stack's layer around the project's scheduler: above the project's settings, in every role.

    Args:
        given: the project's own `beat_scheduler`, a name or a class; None or "" where it names none.
    """
    return {"beat_scheduler": BEAT_LAYER, "stack_beat_scheduler": get("BEAT_SCHEDULER", env) or given or BEAT_DEFAULT}
