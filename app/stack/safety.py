"""What a project's own Celery settings and tasks would break, found before a role serves.

stack/broker/configuration.py has the reasons beside the values that are safe.
"""

import inspect
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from celery.app.routes import MapRoute, prepare
from kombu.serialization import registry

from stack.broker.by_role import broker_url
from stack.broker.masks import masked
from stack.broker.precedence import called
from stack.broker.routing import ReservedQueue
from stack.runtime.env import get, loop_limit
from stack.runtime.fitting import max_delay
from stack.runtime.names import problem
from stack.state import queues

logger = logging.getLogger(__name__)
# Formats that make Python run what a message says, by both of their names.
CODE = {"pickle", "application/x-python-serialize"}


def check_configuration(conf: Any, role: str, env: dict[str, str], tasks: Iterable[Any] = ()) -> list[str]:
    """What `conf` and `tasks` break, one sentence each with the fix: what loses tasks, or runs foreign code.

    What the stack lays above the project's settings needs no check: stack/broker/precedence.py keeps it there, whatever
    the project does to its app. Only an app that it was not laid on is found here, by its broker.

    Args:
        conf: the settings of the app that runs.
        role: the role of this process.
        env: mapping of environment variables.
        tasks: the tasks of that app.
    """
    tasks = list(tasks)
    found = _times(conf, env, tasks) + _arguments(tasks) + _formats(conf) + _queues(conf, tasks)
    url = broker_url(role, env)
    found += [
        f"{name}={masked(getattr(conf, name))!r} is not where the stack's Redis is, so nobody would take the tasks: "
        "this Celery app is not the one that the stack configured."
        for name in ("broker_url", "broker_read_url", "broker_write_url")
        if getattr(conf, name) not in (None, url)
    ]
    return found


def acknowledged_first(tasks: Iterable[Any]) -> list[str]:
    """Which tasks are acknowledged before they start, in a sentence: that is theirs to decide, and costs something."""
    early = sorted(task.name for task in tasks if task.acks_late is False and not task.name.startswith("celery."))
    more = f" and {len(early) - 5} more" if len(early) > 5 else ""
    if not early:
        return []
    return [f"acks_late=False of {', '.join(early[:5])}{more}: a killed worker loses it, as it was acknowledged first."]


def eager(conf: Any) -> list[str]:
    """That the workers get nothing, in a sentence: right in a project's own tests, and a remnant of them elsewhere."""
    if not conf.task_always_eager:
        return []
    return [
        "task_always_eager=True: tasks run in the process that sends them, web among them, and no worker gets one. "
        "Nothing records, revokes or repeats them. Make it False but in your own tests."
    ]


def _times(conf: Any, env: dict[str, str], tasks: Iterable[Any]) -> list[str]:
    found = []
    visible, grace = conf.broker_transport_options.get("visibility_timeout", 3600), get("STOP_GRACE", env)
    limit = conf.task_time_limit or 0
    if max_delay(env, visible, limit) < 0 or (limit and visible < limit + grace + 60):
        found.append(
            f"The visibility timeout ({visible} s) must exceed task_time_limit ({conf.task_time_limit}) "
            f"+ STOP_GRACE: make VISIBILITY_TIMEOUT at least {limit + grace + 60}, or shorten the limit."
        )
    if not isinstance(conf.result_expires, int | float | timedelta | None):
        found.append(f"result_expires={conf.result_expires!r} is no time: make it seconds, or set RESULT_EXPIRES.")
    solo = loop_limit("worker", env) - 60 if get("WORKER_POOL", env) == "solo" else None
    for task in tasks:
        hard, soft = getattr(task, "time_limit", None), getattr(task, "soft_time_limit", None)
        if hard and soft and soft > hard:
            found.append(
                f"soft_time_limit={soft} of the task {task.name} comes after its time_limit={hard}, so it could not be "
                "sent: make it shorter."
            )
        if solo and hard and hard > solo:
            found.append(
                f"time_limit={hard} of the task {task.name} exceeds the {solo} s after which a worker with "
                "WORKER_POOL=solo counts as hung: raise TASK_TIME_LIMIT."
            )
        if hard and hard != limit and visible < hard + grace + 60:
            found.append(
                f"time_limit={hard} of the task {task.name} is too long: while it runs it would be given to a second "
                f"worker. Make VISIBILITY_TIMEOUT at least time_limit + STOP_GRACE + 60 = {hard + grace + 60}."
            )
    return found


def _arguments(tasks: Iterable[Any]) -> list[str]:
    """Tasks whose arguments have no names, where the API sends them by name, or something checks them by name."""
    return [
        f"The task {task.name} is {why} and takes {parameter}: give each argument a name of its own."
        for task in tasks
        if (why := "open to the API" if getattr(task, "api", False) else getattr(task, "checked", False) and "checked")
        for parameter in inspect.signature(task.run).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _queues(conf: Any, tasks: Iterable[Any]) -> list[str]:
    """Queues whose lists would be keys of the transport, the results, beat or the stack."""
    named = {
        called(conf, "task_default_queue"): {conf.get("task_default_queue", "celery") or ""},
        called(conf, "task_queues"): queues.of_queues(conf.get("task_queues")),
        called(conf, "task_routes"): queues.of_routes(conf.get("task_routes")),
        called(conf, "beat_schedule"): queues.of_entries(conf.get("beat_schedule") or {}),
    }
    for task in tasks:
        if queue := getattr(task, "queue", None):
            named[f"The task {task.name}"] = {queues.name_of(queue)}
    found = [
        f"{where} names the queue {queue!r}, which {why}."
        for where, names in named.items()
        for queue in sorted(names)
        if (why := problem(queue))
    ]
    if not found and any(not isinstance(route, MapRoute) for route in prepare(conf.get("task_routes"))):
        for task in tasks:
            try:
                queues.of(task)
            except ReservedQueue as error:
                found.append(f"A function of {called(conf, 'task_routes')}: {error}")
            except Exception as error:  # it may need the arguments of a call
                logger.debug("task_routes does not say where %s goes: %s", task.name, error)
    return found


def _formats(conf: Any) -> list[str]:
    """Formats that run foreign code, and those that a role writes and no role reads."""
    found, accepted = [], {}
    for name in ("accept_content", "result_accept_content"):
        accepted[name] = set(conf[name] or conf["accept_content"] or ("json",))
        if accepted[name] & CODE:
            found.append(f"{name} runs foreign code, of anyone who can write to Redis: take 'pickle' out of it.")
    for name, reader in (
        ("task_serializer", "accept_content"),
        ("result_serializer", "result_accept_content"),
        ("event_serializer", "accept_content"),
    ):
        if conf[name] in CODE:
            found.append(f"{name}={conf[name]!r} runs foreign code where it is read: make it 'json'.")
        elif not _names(conf[name]) & accepted[reader]:
            found.append(f"{name}={conf[name]!r} makes what no role here accepts: add it to {reader}.")
    return found


def _names(serializer: str) -> set[str]:
    """The names under which a format may be accepted: its own and its content type."""
    types = registry.name_to_type
    return {
        serializer,
        types.get(serializer, serializer),
        *(name for name, each in types.items() if each == serializer),
    }
