"""What a project's own Celery settings and tasks would break, found before a role serves.

stack/broker/configuration.py has the reasons beside the values that are safe.
"""

import inspect
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from celery.app.routes import MapRoute, prepare

from stack.broker.configuration import broker_url, transport_options
from stack.broker.routing import ReservedQueue
from stack.runtime.env import get
from stack.runtime.names import problem
from stack.runtime.roles import max_delay
from stack.state import queues

logger = logging.getLogger(__name__)
JSON = ("json", "application/json")
# What must not be set, and why.
REFUSED = {
    "worker_eta_task_limit": "makes a worker run one task at a time: remove it.",
    "worker_cancel_long_running_tasks_on_connection_loss": "loses tasks here: remove it.",
    "worker_enable_soft_shutdown_on_idle": "makes an idle worker stop slowly: remove it.",
    "worker_soft_shutdown_timeout": (
        "sleeps its full time and works with prefork only: remove it, STOP_GRACE bounds the stop for every pool."
    ),
    "task_ignore_result": "leaves every task PENDING in the API: remove it, and set ignore_result on single tasks.",
}


def check_configuration(conf: Any, role: str, env: dict[str, str], tasks: Iterable[Any] = ()) -> list[str]:
    """What `conf` and `tasks` break, one sentence each with the fix."""
    tasks = list(tasks)
    found = _times(conf, env, tasks) + _arguments(tasks) + _transport(conf, role, env) + _formats(conf)
    found += _queues(conf, tasks)
    found += [f"CELERY_{name.upper()} {why}" for name, why in REFUSED.items() if conf[name]]
    if role == "web" and conf.result_backend_always_retry:
        found.append("CELERY_RESULT_BACKEND_ALWAYS_RETRY makes web requests hang while Redis is down: remove it.")
    if not str(conf.result_backend).startswith("stack.broker.backend:RedisBackend+"):
        found.append("CELERY_RESULT_BACKEND puts results where the API does not look: remove it, they go to REDIS_URL.")
    url = broker_url(role, env)
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        # As Celery reads it: the variable of this name comes before every setting.
        if getattr(conf, name) not in (None, url):
            found.append(
                f"CELERY_{name.upper()} (a variable or a setting) sends tasks where the API does not look: remove it, "
                "REDIS_URL says where Redis is."
            )
    for name in ("task_acks_late", "task_reject_on_worker_lost", "task_retry_on_worker_lost"):
        if conf[name] is not True:
            found.append(f"CELERY_{name.upper()} must be True: otherwise a killed worker loses its tasks.")
    return found


def _times(conf: Any, env: dict[str, str], tasks: Iterable[Any]) -> list[str]:
    found = []
    visible, grace = conf.broker_transport_options.get("visibility_timeout", 3600), get("STOP_GRACE", env)
    if max_delay(env) < 0 or visible < (conf.task_time_limit or visible) + grace:
        found.append(
            f"The visibility timeout ({visible} s) must exceed CELERY_TASK_TIME_LIMIT ({conf.task_time_limit}) "
            "+ STOP_GRACE: raise VISIBILITY_TIMEOUT."
        )
    if not _seconds(conf.result_expires) >= visible:
        found.append(
            f"CELERY_RESULT_EXPIRES={conf.result_expires} must be at least the visibility timeout ({visible} s): the "
            "record of a task could be gone before the task comes back. Remove it, and set RESULT_EXPIRES."
        )
    solo = get("TASK_TIME_LIMIT", env) if get("WORKER_POOL", env) == "solo" else None
    for task in tasks:
        hard, soft = getattr(task, "time_limit", None), getattr(task, "soft_time_limit", None)
        if hard and soft and soft > hard:
            found.append(
                f"soft_time_limit={soft} of the task {task.name} comes after its time_limit={hard}, so it could not be "
                "sent: make it shorter."
            )
        if solo and hard and hard > solo:
            found.append(
                f"time_limit={hard} of the task {task.name} exceeds TASK_TIME_LIMIT={solo}, after which a worker with "
                "WORKER_POOL=solo counts as hung: raise TASK_TIME_LIMIT."
            )
        if hard and visible < hard + grace + 60:
            found.append(
                f"time_limit={hard} of the task {task.name} is too long: while it runs it would be given to a second "
                f"worker. Make VISIBILITY_TIMEOUT at least time_limit + STOP_GRACE + 60 = {hard + grace + 60}."
            )
    return found


def _seconds(value: Any) -> float:
    """A time of Celery's settings; 0 for none, and for what is none."""
    try:
        return float(value.total_seconds() if isinstance(value, timedelta) else value)
    except (TypeError, ValueError):
        return 0.0


def _arguments(tasks: Iterable[Any]) -> list[str]:
    """Tasks whose arguments have no names, where the API sends them by name, or something checks them by name."""
    return [
        f"The task {task.name} is {why} and takes {parameter}: give each argument a name of its own."
        for task in tasks
        if (why := "open to the API" if getattr(task, "api", False) else getattr(task, "checked", False) and "checked")
        for parameter in inspect.signature(task.run).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _transport(conf: Any, role: str, env: dict[str, str]) -> list[str]:
    """What is missing where the project's own options replace the stack's."""
    needed, given = transport_options(role, env), conf.broker_transport_options
    # The separator is in the keys of Redis, where workers and the API must find the same lists.
    wrong = [name for name in needed if not given.get(name) or (name == "sep" and given[name] != needed[name])]
    if not wrong:
        return []
    lines = ", ".join(f"{name!r}: {needed[name]!r}" for name in wrong)
    return [f"CELERY_BROKER_TRANSPORT_OPTIONS takes away what the {role} role needs: add {lines}, or remove it."]


def _queues(conf: Any, tasks: Iterable[Any]) -> list[str]:
    """Queues whose lists would be keys of the transport, the results, beat or the stack."""
    named = {
        "CELERY_TASK_DEFAULT_QUEUE": {conf.get("task_default_queue", "default") or ""},
        "CELERY_TASK_QUEUES": queues.of_queues(conf.get("task_queues")),
        "CELERY_TASK_ROUTES": queues.of_routes(conf.get("task_routes")),
        "CELERY_BEAT_SCHEDULE": queues.of_entries(conf.get("beat_schedule") or {}),
    }
    for task in tasks:
        if queue := getattr(task, "queue", None):
            named[f"The task {task.name}"] = {queues.name_of(queue)}
    told = [
        f"{where} names the queue {queue!r}, which {why}."
        for where, found in named.items()
        for queue in sorted(found)
        if (why := problem(queue))
    ]
    if not told and any(not isinstance(route, MapRoute) for route in prepare(conf.get("task_routes"))):
        for task in tasks:
            try:
                queues.of(task)
            except ReservedQueue as error:
                told.append(f"A function of CELERY_TASK_ROUTES: {error}")
            except Exception as error:  # it may need the arguments of a call
                logger.debug("CELERY_TASK_ROUTES does not say where %s goes: %s", task.name, error)
    return told


def _formats(conf: Any) -> list[str]:
    found = []
    for name in ("accept_content", "result_accept_content"):
        if set(conf[name] or JSON) - set(JSON):
            found.append(f"CELERY_{name.upper()} lets anyone who can write to Redis run code: make it ['json'].")
    for name in ("task_serializer", "result_serializer", "event_serializer"):
        if conf[name] not in JSON:
            found.append(f"CELERY_{name.upper()}={conf[name]!r} makes what no role here accepts: make it 'json'.")
    return found
